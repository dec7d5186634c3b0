"""Opens the engine of a user and a context.

Root's engine works in this process, that of other users in a separate one; in the context of a
cluster, containers are there, and the engine of this machine opens when it is needed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from jupyter_containers.settings import Settings, load_settings

if TYPE_CHECKING:
    from jupyter_containers.kubernetes.engine import ClusterEngine


def in_cluster(
    overrides: Mapping[str, Any], settings: Settings | None = None
) -> ClusterEngine | None:
    """Return the engine of the selected context; None if that is this machine."""
    from jupyter_containers.contexts import Contexts

    settings = settings or load_settings(overrides=overrides)
    context = Contexts(settings=settings).get()
    if context.cluster is None:
        return None
    from jupyter_containers.kubernetes.engine import ClusterEngine

    def local() -> Any:
        return local_class()(**{**overrides, "context": "default"})

    return ClusterEngine(context, settings, local)


@cache
def local_class() -> type[Any]:
    """Return the class of this user's engine on this machine."""
    if os.geteuid() == 0:
        from jupyter_containers.engine import Engine

        return Engine
    from jupyter_containers.rootless import RemoteEngine

    return RemoteEngine


@cache
def engine_of_this_user() -> type[Any]:
    """Return ``jupyter_containers.Engine``: this user's engine, or that of the selected context."""
    base = local_class()

    class Engine(base):  # type: ignore[misc,valid-type]  # the class depends on the user
        __doc__ = base.__doc__

        def __new__(cls, settings: Settings | None = None, **overrides: Any) -> Any:
            found = in_cluster(overrides, settings)
            return super().__new__(cls) if found is None else found

    Engine.__qualname__, Engine.__module__ = "Engine", "jupyter_containers"
    return Engine
