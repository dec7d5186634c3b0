"""The sources of a build's files, as users write them.

A *context* is a folder, a git repository, an archive (a file, an URL, or bytes), files by name,
or an image.  The main context is the last argument of ``build``; *named* contexts are given with
``--build-context NAME=…`` and replace images and stages of that name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.options.values import as_sequence

ContextKind = Literal["folder", "files", "archive", "url", "git", "image", "layout"]
_GIT = pattern(r"(?i)(git|ssh)://|git@[^/]+:|github\.com/|https?://[^#?]+\.git(?:[#?]|$)")
_URL = pattern(r"(?i)https?://")


def is_git_address(text: str) -> bool:
    """True when ``text`` names a git repository (``git@…``, ``git://…``, ``https://….git``)."""
    return _GIT.match(text) is not None


def is_url(text: str) -> bool:
    """True when ``text`` is an address that is downloaded."""
    return _URL.match(text) is not None and not is_git_address(text)


@dataclass(frozen=True, slots=True)
class ContextSource:
    """One context; ``place`` is its path, address or reference.

    ``files`` are those of the kind ``files``; ``data`` is an archive in memory.
    """

    kind: ContextKind
    place: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    data: bytes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, value: Any) -> ContextSource:
        """Return the context for a path, an address, bytes or a mapping."""
        if isinstance(value, ContextSource):
            return value
        if isinstance(value, Mapping):
            return cls("files", "files", contents(value))
        if isinstance(value, (bytes, bytearray)):
            return cls("archive", "archive", data=bytes(value))
        text = os.fspath(value)
        if is_git_address(text):
            return cls("git", text)
        if is_url(text):
            return cls("url", text)
        # For an impossible path (too long, with a NUL) os.path returns false.
        return cls("archive" if os.path.isfile(text) else "folder", text)

    @classmethod
    def named(cls, value: Any) -> ContextSource:
        """Return the named context of ``--build-context NAME=value``."""
        if isinstance(value, str):
            for prefix, kind in _PREFIXES.items():
                if value.startswith(prefix):
                    return cls(kind, value.removeprefix(prefix))
        return cls.of(value)

    @property
    def label(self) -> str:
        """The text that identifies this context, for users and in the cache."""
        return str(Path(self.place).absolute()) if self.kind == "folder" else self.place


_PREFIXES: dict[str, ContextKind] = {"docker-image://": "image", "oci-layout://": "layout"}


def named_contexts(entries: Any) -> dict[str, ContextSource]:
    """Return the contexts of ``--build-context NAME=value`` (strings, or a mapping)."""
    if isinstance(entries, Mapping):
        pairs = [(str(name), value) for name, value in entries.items()]
    else:
        pairs = []
        for entry in as_sequence(entries):
            name, equals, value = entry.partition("=")
            if not (name and equals and value):
                raise InvalidArgumentError(
                    f"invalid build context {entry!r}",
                    hint="write NAME=PATH, NAME=docker-image://IMAGE or NAME=oci-layout://PATH",
                )
            pairs.append((name, value))
    return {name.lower(): ContextSource.named(value) for name, value in pairs}


def contents(files: Mapping[str, Any]) -> dict[str, bytes]:
    """Return files by name with their bytes; text becomes UTF-8."""
    found: dict[str, bytes] = {}
    for name, value in files.items():
        parts = name.split("/") if isinstance(name, str) else [".."]
        if ".." in parts or not name.strip("/") or "\0" in name:
            raise InvalidArgumentError(
                f"invalid file name {name!r}", hint="names must be relative to the context"
            )
        if isinstance(value, str):
            value = value.encode()
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise InvalidArgumentError(
                f"the contents of {name!r} are of type {type(value).__name__}",
                hint="give bytes or text",
            )
        found[name.strip("/")] = bytes(value)
    return found
