"""The exchange format of cached steps between stores.

Each step is named by its keys (:class:`.cache.StepKey` digests), which depend on content alone and
so are the same everywhere.  The document is the configuration of an OCI manifest whose layers are
the steps' layers, or, *inline*, a member of the image's own configuration.
"""

from __future__ import annotations

import threading

import msgspec

from jupyter_containers.build.cache import CachedStep
from jupyter_containers.errors import VerificationError
from jupyter_containers.oci.decoding import DECODE_ERRORS, decode_json
from jupyter_containers.oci.descriptor import encode_json

MEDIA_TYPE = "application/vnd.jupyter-containers.buildcache.v1+json"
INLINE_MEMBER = "io.jupyter-containers.buildcache.v1"
_VERSION = 1


class SharedStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step: its keys, the chain below it, and its result."""

    keys: tuple[str, ...]
    step: CachedStep
    parent: str = ""


class SharedSteps(msgspec.Struct, frozen=True):
    """The steps of one build."""

    steps: tuple[SharedStep, ...]
    version: int = _VERSION

    def encode(self) -> bytes:
        """Return the document."""
        return encode_json(self)

    def by_key(self) -> dict[str, SharedStep]:
        """Return the steps under each of their keys."""
        return {key: step for step in self.steps for key in step.keys}


def decode(data: bytes) -> SharedSteps:
    """Return the steps of a document; raise :class:`VerificationError` for anything else."""
    try:
        found = msgspec.json.decode(data, type=SharedSteps)
    except DECODE_ERRORS as error:
        raise VerificationError(f"not a build cache: {error}") from error
    if found.version != _VERSION:
        raise VerificationError(f"a build cache of version {found.version} is not supported here")
    for step in found.steps:
        step.step.blob.checked()
    return found


def inline_steps(config: bytes) -> SharedSteps | None:
    """Return the steps in an image's configuration, None if there are none."""
    try:
        document = decode_json(config)
    except DECODE_ERRORS:
        return None
    member = document.get(INLINE_MEMBER) if isinstance(document, dict) else None
    return None if member is None else decode(encode_json(member))


class StepLedger:
    """Records the steps of a build as they end, of all its stages; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps: list[tuple[int, int, SharedStep]] = []

    def note(self, stage: int, number: int, step: SharedStep) -> None:
        """Record one step."""
        with self._lock:
            self._steps.append((stage, number, step))

    def steps(self, stage: int | None = None) -> SharedSteps:
        """Return the steps by stage and number: all, or only those of one stage."""
        with self._lock:
            found = sorted(self._steps, key=lambda entry: entry[:2])
        return SharedSteps(
            tuple(step for index, _, step in found if stage is None or index == stage)
        )
