"""Build, run, push and pull containers from notebook cells, with no Docker daemon.

In a notebook: ``%load_ext jupyter_containers``.  In Python::

    from jupyter_containers import Engine

    with Engine() as engine:
        print(engine.run("busybox", ["echo", "hello"], rm=True).output)

Importing this package loads nothing else; every name below is imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jupyter_containers.version import __version__

if TYPE_CHECKING:
    from jupyter_containers.engine import Container, Engine, Image, RunResult
    from jupyter_containers.errors import ContainersError
    from jupyter_containers.settings import Settings, load_settings

_HOMES = {
    "Container": "engine",
    "ContainersError": "errors",
    "Image": "engine",
    "RunResult": "engine",
    "Settings": "settings",
    "load_settings": "settings",
}

__all__ = [
    "Container",
    "ContainersError",
    "Engine",
    "Image",
    "RunResult",
    "Settings",
    "__version__",
    "load_settings",
]


def __getattr__(name: str) -> object:
    if name == "Engine":
        from jupyter_containers.opening import engine_of_this_user

        return engine_of_this_user()
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Return the path of the JupyterLab extension: called by ``jupyter labextension develop``."""
    return [{"src": "labextension", "dest": "jupyter-containers-engine"}]


def load_ipython_extension(shell: Any) -> None:
    """Register the magics: called by ``%load_ext jupyter_containers``."""
    from jupyter_containers.magics import load_ipython_extension as load

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Remove the magics: called by ``%unload_ext jupyter_containers``."""
    from jupyter_containers.magics import unload_ipython_extension as unload

    unload(shell)
