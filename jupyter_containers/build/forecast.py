"""Forecasts which steps a build would take from the cache, and why not the others.

The stages are walked through as in a build.  A step that would be executed leaves an *unmade* stack
of layers with a unique name: no step on top of it is found, as after a step with a new result.  So
a forecast never promises too much; if a step turns out to reproduce an earlier result, a build
takes more from the cache than the forecast stated.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from jupyter_containers.build.cache import CachedStep, StepKey
from jupyter_containers.build.filestep import FileStep, StepContext
from jupyter_containers.build.instructions import Instruction
from jupyter_containers.build.progress import Step
from jupyter_containers.build.seams import BaseImage, ImageSource, LayerRef, LayerStore, Workspace
from jupyter_containers.build.stagework import StageWork
from jupyter_containers.build.state import StageState
from jupyter_containers.build.steps import Expander
from jupyter_containers.errors import BuildError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.descriptor import Descriptor, Platform, chain_id
from jupyter_containers.oci.image import ImageConfig

_UNMADE = "unmade:"
_PULLED = f"{_UNMADE}pulled:"


class _UnmadeError(BuildError):
    """Files are requested that only a build would make."""


@dataclass(frozen=True, slots=True)
class PresentImages:
    """The images that exist here; a missing one is replaced by a placeholder without files."""

    source: ImageSource

    def resolve(self, name: str, platform: Platform, pull: bool) -> BaseImage:  # noqa: ARG002  # nothing is pulled
        """Return the image."""
        found = self.source.look(name, platform)
        if found is not None:
            return found
        config = ImageConfig(platform.architecture, platform.os, variant=platform.variant)
        return BaseImage(name, "", config, (), f"{_PULLED}{name}")

    def look(self, name: str, platform: Platform) -> BaseImage | None:
        """Return the image if it exists here."""
        return self.source.look(name, platform)


@dataclass(frozen=True, slots=True)
class MadeLayers:
    """The layers that exist here; the others get names, and are never made."""

    inner: LayerStore

    def has(self, chain_id: str) -> bool:
        """Return whether the stack can be used now."""
        return not chain_id.startswith(_UNMADE) and self.inner.has(chain_id)

    def stack(self, parent_chain_id: str, layer: LayerRef) -> str:
        """Return the name of the stack."""
        if parent_chain_id.startswith(_UNMADE) or layer.diff_id.startswith(_UNMADE):
            return f"{_UNMADE}{parent_chain_id}+{layer.diff_id}"
        return chain_id([parent_chain_id, layer.diff_id]) if parent_chain_id else layer.diff_id

    def workspace(self, parent_chain_id: str) -> AbstractContextManager[Workspace]:
        """Return the files of a stack; raise if they do not exist yet."""
        if parent_chain_id and not self.has(parent_chain_id):
            raise _UnmadeError("these files are made by the build")
        return self.inner.workspace(parent_chain_id)


class StageForecast(StageWork):
    """One stage of which nothing is executed."""

    def _open(self, step: Step) -> tuple[StageState, tuple[str, ...]]:
        opened = super()._open(step)
        if opened[0].chain_id.startswith(_PULLED):
            step.cached, step.reason = False, "the image is not here: it is pulled first"
        return opened

    def _describe(
        self, instruction: Instruction, expand: Expander, around: StepContext
    ) -> FileStep | None:
        try:
            return super()._describe(instruction, expand, around)
        except _UnmadeError as error:
            return FileStep(None, _key_that_raises(error), _nothing, instruction.source)

    def _result(self, described: FileStep, state: StageState, step: Step) -> CachedStep:  # noqa: ARG002  # the signature
        found = self._found(described, step)
        if found is not None:
            step.cached = True
            return found
        name = f"{_UNMADE}{self.index}:{self.progress.number}"
        return CachedStep(name, name, Descriptor("", "", 0), 0, 1, "")

    def _found(self, described: FileStep, step: Step) -> CachedStep | None:
        if not self._use_cache:
            step.reason = "the cache is off"
            return None
        cache, quick = self.means.cache, described.quick
        found = cache.find(quick.digest) if quick else None
        if found is None:
            try:
                key = described.key()
            except _UnmadeError:
                cause = self.progress.cause
                step.reason = (
                    f"the parent changed: {cause}" if cause else "what it reads is made anew"
                )
                return None
            found = cache.find(key.digest)
            if found is None:
                step.reason = cache.reason(self._place, key, self.progress.cause)
        return found


def _key_that_raises(error: BuildError) -> Callable[[], StepKey]:
    def key() -> StepKey:
        raise error

    return key


def _nothing(workspace: Workspace) -> None:  # one of FileStep's acts
    """Do nothing."""
