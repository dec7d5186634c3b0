"""The build cache: keys derived from a step's inputs, and the reasons for misses.

A *key* is the digest of named parts (parent, command, environment, files …).  A step that reads
files of the context has one part for each file, by content and never by mtime.  A *witness* records
the step at the same position of the same Dockerfile in the last build; the difference between the
two is the reason of a miss.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress

import msgspec

from jupyter_containers.build.seams import CacheStore, CommittedLayer, LayerStore
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.lazy_modules import hashlib
from jupyter_containers.oci.decoding import DECODE_ERRORS
from jupyter_containers.oci.descriptor import Descriptor

STEP_KEY = "step:"
_VERSION = "1"
# Only a part of each digest is kept for a large context: enough to see a change.
_MAX_WITNESS_FILES = 100_000
_MARK = 12


@dataclass(frozen=True, slots=True)
class StepKey:
    """The inputs that determine a step's result; ``files`` maps each path to its digest."""

    parts: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The key under which the result is stored."""
        total = hashlib.sha256(_VERSION.encode())
        for name, value in (*sorted(self.parts.items()), *sorted(self.files.items())):
            for text in (name, value):
                data = text.encode("utf-8", "surrogateescape")
                total.update(b"%d:" % len(data) + data)
        return STEP_KEY + total.hexdigest()


class CachedStep(msgspec.Struct, frozen=True):
    """The result of a step; ``entries`` 0 means that it made no layer, ``title`` is for people."""

    diff_id: str
    chain_id: str
    blob: Descriptor
    size: int
    entries: int
    created: str
    title: str = ""

    @classmethod
    def of(cls, layer: CommittedLayer, created: str, title: str = "") -> CachedStep:
        """Return the record of a layer that was just committed."""
        return cls(
            layer.diff_id, layer.chain_id, layer.blob, layer.size, layer.entries, created, title
        )


class _Witness(msgspec.Struct, frozen=True):
    parts: dict[str, str]
    files: dict[str, str]


class StepCache:
    """Looks up and stores results of steps; only results with a usable layer count."""

    def __init__(self, store: CacheStore, layers: LayerStore) -> None:
        self._store = store
        self._layers = layers

    def find(self, key: str) -> CachedStep | None:
        """Return the result under ``key``, or None."""
        value = self._store.get(key)
        if value is None:
            return None
        try:
            step = msgspec.json.decode(value, type=CachedStep)
        except DECODE_ERRORS:
            return None
        if step.entries and not self._layers.has(step.chain_id):
            return None
        return step

    def remember(self, key: str, step: CachedStep) -> None:
        """Store a result under ``key`` for as long as its layer exists."""
        self._store.put(key, msgspec.json.encode(step), step.chain_id if step.entries else "")

    def stamp(self, key: str, now: str) -> str:
        """Return the time that was first stored under ``key``, which is ``now`` for a new key."""
        value = self._store.get(key)
        if value is not None:
            with suppress(UnicodeDecodeError):  # a damaged record is replaced
                return value.decode()
        self._store.put(key, now.encode(), "")
        return now

    def alone(self, key: str, cancel: CancelToken) -> AbstractContextManager[object]:
        """Return a block in which no other thread or process makes the result of ``key``."""
        return self._store.alone(key, cancel)

    def reason(self, place: str, key: StepKey, parent: str = "") -> str:
        """Return why ``key`` was not found, by comparison with the witness at ``place``.

        ``parent`` is the first step below that was not found either.
        """
        value = self._store.get(f"seen:{place}")
        if value is None:
            return "not built here before"
        try:
            witness = msgspec.json.decode(value, type=_Witness)
        except DECODE_ERRORS:
            return "not built here before"
        return difference(witness.parts, witness.files, key, parent)

    def witness(self, place: str, key: StepKey) -> None:
        """Store a witness of the step at ``place``."""
        few = len(key.files) <= _MAX_WITNESS_FILES
        files = {name: value[-_MARK:] for name, value in key.files.items()} if few else {}
        self._store.put(
            f"seen:{place}",
            msgspec.json.encode(_Witness(_printable(key.parts), _printable(files))),
            "",
        )


def _printable(values: Mapping[str, str]) -> dict[str, str]:
    """Return the values as text that JSON can hold (file names may be any bytes)."""

    def clean(text: str) -> str:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    return {clean(name): clean(value) for name, value in values.items()}


_NAMES = {
    "instruction": "the instruction changed",
    "command": "the command changed",
    "user": "the user changed",
    "cwd": "the working directory changed",
    "network": "the network mode changed",
    "platform": "the platform changed",
    "security": "the security mode changed",
    "checksum": "the checksum changed",
    "owner": "the owner changed",
    "mounts": "the mounts changed",
    "destination": "the destination changed",
    "sources": "the sources changed",
    "flags": "the flags changed",
    "parent": "an earlier step (or the base image) changed",
}
_ORDER = (*_NAMES, "env")


def difference(
    parts: Mapping[str, str], files: Mapping[str, str], key: StepKey, parent: str = ""
) -> str:
    """Return the first difference between a witness and ``key``, in words."""
    now_parts, now_files = _printable(key.parts), _printable(key.files)
    for name in _ORDER:
        if parts.get(name) == now_parts.get(name):
            continue
        if name == "parent" and parent:
            return f"the parent changed: {parent}"
        if name == "env":
            return _changed_variable(parts.get(name, ""), now_parts.get(name, ""))
        return _NAMES[name]
    for path in sorted({*files, *now_files}):
        before, now = files.get(path), now_files.get(path)
        if before is not None and now is not None and before[-_MARK:] == now[-_MARK:]:
            continue
        if path not in files:
            return f"{_shown(path)} is new" if files else "the files changed"
        return f"{_shown(path)} {'changed' if path in now_files else 'is gone'}"
    return "its layer is no longer stored"


def _shown(path: str) -> str:
    """Return a file of a key by its usual name: without the number of its source."""
    return path.partition(":")[2].partition("\0")[0] or path


def _changed_variable(before: str, now: str) -> str:
    old, new = (dict(_pairs(text)) for text in (before, now))
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            return f"variable {name} changed"
    return "the environment changed"


def _pairs(text: str) -> list[tuple[str, str]]:
    entries = (entry.partition("=") for entry in text.split("\0") if entry)
    return [(name, value) for name, _, value in entries]
