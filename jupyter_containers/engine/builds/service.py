"""The service of builds: Dockerfiles, the build cache, failed steps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Unpack

from jupyter_containers.engine.builds.builds import Builds
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.garbage import GarbageCollection
from jupyter_containers.engine.images.image import Image
from jupyter_containers.engine.images.service import ImageService
from jupyter_containers.engine.results import PruneResult
from jupyter_containers.events import CancelToken, EventSink, discard
from jupyter_containers.options.buildflags import BuildFlags
from jupyter_containers.options.flag import with_keywords
from jupyter_containers.options.values import parse_size

if TYPE_CHECKING:
    from jupyter_containers.build.checks import Finding
    from jupyter_containers.build.outline import Outline
    from jupyter_containers.build.result import StepReport
    from jupyter_containers.engine.builds.cache_records import BuildRecord, BuildRecords
    from jupyter_containers.engine.builds.failed_steps import FailedStep
    from jupyter_containers.engine.records import BuildNote, BuiltStep
    from jupyter_containers.options.build import BuildOptions


class BuildService:
    """The builder of one store, with its history and its cache."""

    noun = "builds"

    def __init__(
        self,
        engine_context: EngineContext,
        images: ImageService,
        builder: Builds,
        garbage: GarbageCollection,
    ) -> None:
        self._engine_context, self._images, self._builds = engine_context, images, builder
        self._garbage = garbage

    @with_keywords(BuildFlags)
    def build(
        self,
        context: str | Path | bytes | Mapping[str, str | bytes] = ".",
        *,
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
        stream: BinaryIO | None = None,
        **flags: Unpack[BuildFlags],
    ) -> Image:
        """Build an image from a folder with a Dockerfile (or ``dockerfile="…text…"``).

        ``context`` may also be a git or HTTP URL, an archive (path or bytes), or a mapping of names
        to contents.  ``stream`` receives the archive of an output with ``dest=-``.
        """
        options = _options(context, flags)
        return self._images.handle(
            self._builds.build(options, emit, cancel or CancelToken(), stream)
        )

    @with_keywords(BuildFlags)
    def check(
        self,
        context: str | Path | bytes | Mapping[str, str | bytes] = ".",
        *,
        cancel: CancelToken | None = None,
        **flags: Unpack[BuildFlags],
    ) -> tuple[Finding, ...]:
        """Return the findings of the build checks (``build --check``) without building."""
        return self._builds.check(_options(context, flags), cancel or CancelToken())

    @with_keywords(BuildFlags)
    def outline(
        self,
        context: str | Path | bytes | Mapping[str, str | bytes] = ".",
        *,
        cancel: CancelToken | None = None,
        **flags: Unpack[BuildFlags],
    ) -> Outline:
        """Return a Dockerfile's targets and the arguments of the chosen one (``build --call``)."""
        return self._builds.outline(_options(context, flags), cancel or CancelToken())

    @with_keywords(BuildFlags)
    def forecast(
        self,
        context: str | Path | bytes | Mapping[str, str | bytes] = ".",
        *,
        cancel: CancelToken | None = None,
        **flags: Unpack[BuildFlags],
    ) -> tuple[StepReport, ...]:
        """Return a build's steps, and why some are not cached (``build --call=cache``)."""
        return self._builds.forecast(_options(context, flags), cancel or CancelToken())

    def prune(
        self,
        *,
        all: bool = False,
        filters: Any = None,
        max_used_space: str | int | None = None,
        min_free_space: str | int | None = None,
    ) -> PruneResult:
        """Remove records that only the build cache has; with ``all`` also the steps of images.

        ``filters`` are ``until=…`` (not used since) and ``type=…``.  With ``max_used_space`` the
        least recently used are removed until the rest fits, with ``min_free_space`` until so many
        bytes are free.
        """
        from jupyter_containers.engine.builds.cache_records import PruneLimits

        limits = PruneLimits.of(
            filters,
            None if max_used_space is None else parse_size(max_used_space, "max-used-space"),
            0 if min_free_space is None else parse_size(min_free_space, "min-free-space"),
        )
        return self._cache_records.prune(limits, all=all)

    @property
    def _cache_records(self) -> BuildRecords:
        from jupyter_containers.engine.builds.cache_records import BuildRecords

        return BuildRecords(self._engine_context, self._garbage.collect)

    def records(self) -> list[BuildRecord]:
        """Return the records of the build cache, least recently used first."""
        return self._cache_records.all()

    def history(self) -> list[BuildNote]:
        """Return the finished builds, latest first: duration, and steps from the cache."""
        from jupyter_containers.engine.builds.history import BuildHistory

        return BuildHistory(self._engine_context).all()

    def steps(self, id: str) -> tuple[BuiltStep, ...]:
        """Return the steps of a build in the history, each with the reason for a cache miss."""
        from jupyter_containers.engine.builds.history import BuildHistory

        return BuildHistory(self._engine_context).steps(id)

    def failed_steps(self) -> list[FailedStep]:
        """Return the kept failed build steps, latest first."""
        from jupyter_containers.engine.builds.failed_steps import FailedSteps

        return FailedSteps(self._engine_context).all()

    def failed_step(self, name: str = "") -> FailedStep:
        """Return one of the failed steps, by default the latest."""
        from jupyter_containers.engine.builds.failed_steps import FailedSteps

        return FailedSteps(self._engine_context).find(name)

    def failed_changes(self, name: str = "") -> list[str]:
        """Return the first changed paths of a failed step."""
        from jupyter_containers.engine.builds.failed_steps import FailedSteps

        steps = FailedSteps(self._engine_context)
        return steps.changes(steps.find(name))

    def failed_image(self, name: str = "", *, cancel: CancelToken | None = None) -> Image:
        """Return the image of a failed step: ``run`` it to look around."""
        from jupyter_containers.engine.builds.failed_steps import FailedSteps

        steps = FailedSteps(self._engine_context)
        step = steps.find(name)
        return self._images.handle(steps.image(step, self._images.catalog, cancel or CancelToken()))


def _options(
    context: str | Path | bytes | Mapping[str, str | bytes], flags: BuildFlags
) -> BuildOptions:
    from jupyter_containers.options.build import BuildOptions

    return BuildOptions.of(context, **flags)
