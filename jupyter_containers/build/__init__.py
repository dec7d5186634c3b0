"""Dockerfiles: text in, image out.

The passes, each its own module: ``parser`` (text → nodes) → ``instructions`` (nodes → typed
instructions) → ``plan`` (stages, arguments, order) → ``executor`` (steps → layers and an image).
Names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_containers.build.executor import Builder as Builder
    from jupyter_containers.build.result import BuildResult as BuildResult

__all__ = ["BuildResult", "Builder"]

_HOMES = {"Builder": "executor", "BuildResult": "result"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
