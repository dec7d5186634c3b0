"""Modules of the standard library that are imported on first use.

A command that lists containers starts no process and copies no file, so it need not import
``subprocess``, ``shutil`` and ``hashlib`` (which loads OpenSSL).  Write ``from
jupyter_containers.lazy_modules import shutil`` and use it like the module itself.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import csv as csv
    import hashlib as hashlib
    import html as html
    import inspect as inspect
    import json as json
    import queue as queue
    import secrets as secrets
    import selectors as selectors
    import shutil as shutil
    import socket as socket
    import subprocess as subprocess
    import tempfile as tempfile


class _Lazy:
    """A module's stand-in: reads and writes its attributes, and imports it before the first."""

    __slots__ = ("__name__",)

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "__name__", name)

    def _module(self) -> Any:
        # Not sys.modules: another thread may be importing it, and __import__ waits for that.
        return __import__(self.__name__)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._module(), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._module(), name)

    def __repr__(self) -> str:
        return f"<lazy module {self.__name__!r}>"


def import_msgspec() -> None:
    """Import msgspec without ``typing_extensions``, for programs that run one command.

    It would take a sixth of the command's time; msgspec uses ``typing`` if it is missing.
    """
    absent = "typing_extensions" not in sys.modules
    if absent:
        sys.modules["typing_extensions"] = None  # type: ignore[assignment]  # the import fails
    try:
        import msgspec  # noqa: F401  # for those who import it next
    finally:
        if absent:
            del sys.modules["typing_extensions"]


if not TYPE_CHECKING:
    csv = _Lazy("csv")
    hashlib = _Lazy("hashlib")
    html = _Lazy("html")
    inspect = _Lazy("inspect")
    json = _Lazy("json")
    queue = _Lazy("queue")
    secrets = _Lazy("secrets")
    selectors = _Lazy("selectors")
    shutil = _Lazy("shutil")
    socket = _Lazy("socket")
    subprocess = _Lazy("subprocess")
    tempfile = _Lazy("tempfile")
