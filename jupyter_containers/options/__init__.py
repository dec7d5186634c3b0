"""Requests as frozen values: the only request types between the front ends and the packages below.

Field names are Docker's long flags in snake_case.  ``RunOptions.of(image, command, **flags)``
accepts values as users write them (``memory="512m"``, ``publish=["8000:8000"]``) and converts them
to numbers and typed values, or raises :class:`~jupyter_containers.errors.InvalidArgumentError`.
``BuildOptions`` is in :mod:`.build`, because most commands build nothing.

The grammar needs only the declarations of :mod:`.flags`, so the values are imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_containers.options.mounts import MountRequest
    from jupyter_containers.options.run import ExecOptions, RunOptions
    from jupyter_containers.options.values import PortMapping

_HOMES = {
    "ExecOptions": "run",
    "MountRequest": "mounts",
    "PortMapping": "values",
    "RunOptions": "run",
}

__all__ = ["ExecOptions", "MountRequest", "PortMapping", "RunOptions"]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
