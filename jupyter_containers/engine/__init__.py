"""The engine: the only package that composes store, runtime, network, registry and build.

``Engine`` is the facade; the values it returns are ``Container``, ``Image`` and those of
:mod:`~jupyter_containers.engine.results`.  Everything is imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_containers.engine.containers.container import Container
    from jupyter_containers.engine.engine import Engine
    from jupyter_containers.engine.images.image import Image
    from jupyter_containers.engine.results import RunResult

_HOMES = {
    "Container": "containers.container",
    "Engine": "engine",
    "Image": "images.image",
    "RunResult": "results",
}

__all__ = ["Container", "Engine", "Image", "RunResult"]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
