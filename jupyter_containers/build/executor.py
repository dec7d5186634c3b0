"""Executes a plan: the needed stages in parallel, then the image.

Committed steps stay in the cache, so that a stopped build continues where it was.
"""

from __future__ import annotations

import os
import posixpath
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from jupyter_containers.build.cache import StepCache
from jupyter_containers.build.checking import Rehearsal
from jupyter_containers.build.checks import Finding, Policy
from jupyter_containers.build.context import DockerfileText, LocalContext, read_dockerfile
from jupyter_containers.build.contexts import Contexts, OpenDigests
from jupyter_containers.build.digests import FileDigests
from jupyter_containers.build.forecast import MadeLayers, PresentImages, StageForecast
from jupyter_containers.build.ignorefile import IgnoreRules
from jupyter_containers.build.image import write_image
from jupyter_containers.build.interpret import typed
from jupyter_containers.build.linting import static_findings, unused_build_args
from jupyter_containers.build.outline import Outline, Outliner
from jupyter_containers.build.parser import ParsedFile, parse
from jupyter_containers.build.plan import Plan, make_plan
from jupyter_containers.build.progress import Progress, show_findings
from jupyter_containers.build.result import BuildResult, StepReport
from jupyter_containers.build.scheduling import StageRuns
from jupyter_containers.build.seams import (
    BaseImage,
    BlobStore,
    CacheStore,
    ExtractArchive,
    ImageSource,
    LayerStore,
)
from jupyter_containers.build.sharing import INLINE_MEMBER, SharedSteps, StepLedger
from jupyter_containers.build.stagework import Means, StageWork
from jupyter_containers.build.state import StageState
from jupyter_containers.build.steps import BuildArguments
from jupyter_containers.build.tree import SourceTree
from jupyter_containers.errors import BuildError, InvalidArgumentError
from jupyter_containers.events import CancelToken, EventSink, discard, note
from jupyter_containers.lazy_dataclasses import dataclass, replace
from jupyter_containers.oci.descriptor import Platform, digest_of, encode_json
from jupyter_containers.oci.image import rfc3339
from jupyter_containers.options.build import EPOCH_ARG, BuildOptions
from jupyter_containers.options.buildcache import CacheMode
from jupyter_containers.options.output import ImageFormat

# RUN and COPY steps at the same time; more would only compete for the processors.
_CHECK_ARG = "BUILDKIT_DOCKERFILE_CHECK"
_KEEP_GIT_ARG = "BUILDKIT_CONTEXT_KEEP_GIT_DIR"
_MIN_PARALLEL = 4


def _nothing_remembered(folder: Path) -> FileDigests:  # noqa: ARG001  # one of OpenDigests
    return FileDigests()


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="build-") as folder:
        yield Path(folder)


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds images with what the engine provides; one builder serves many builds.

    ``digests`` returns the cached digests of a folder's files.  ``trust_host_ca`` is the default
    for requests.  ``clock`` returns seconds since the epoch.  ``scratch`` opens an empty folder.
    ``store`` is the engine's own folder, which contexts exclude.
    """

    images: ImageSource
    layers: LayerStore
    cache: CacheStore
    blobs: BlobStore
    extract: ExtractArchive | None = None
    add: ExtractArchive | None = None  # for the archives of ADD, if it is a different one
    digests: OpenDigests = _nothing_remembered
    trust_host_ca: bool = False
    clock: Callable[[], float] = time.time
    scratch: Callable[[], AbstractContextManager[Path]] = _temporary_folder
    store: Path | None = None

    def build(
        self, options: BuildOptions, emit: EventSink = discard, cancel: CancelToken | None = None
    ) -> BuildResult:
        """Build an image and store its blobs; return the result.

        Raises :class:`DockerfileSyntaxError`, :class:`StepFailedError` or :class:`BuildError`,
        each with the lines, and :class:`OperationCancelledError`.
        """
        token = cancel or CancelToken()
        with ExitStack() as stack:
            draft = self._draft(options, token, stack)
            if draft.policy.error:
                _refuse(draft.checked(self.images))
            progress = Progress(emit, token)
            result = _Build(self, options, draft, progress).run()
            show_findings(result.warnings, emit)
            note(emit, _left_out(draft.context.tree))
            return result

    def check(
        self, options: BuildOptions, cancel: CancelToken | None = None
    ) -> tuple[Finding, ...]:
        """Return the findings of the checks in a Dockerfile; build and pull nothing."""
        with ExitStack() as stack:
            return self._draft(options, cancel or CancelToken(), stack).checked(self.images)

    def outline(self, options: BuildOptions, cancel: CancelToken | None = None) -> Outline:
        """Return the outline of a Dockerfile; build and pull nothing."""
        with ExitStack() as stack:
            return self._draft(options, cancel or CancelToken(), stack).outline(self.images)

    def forecast(
        self, options: BuildOptions, cancel: CancelToken | None = None
    ) -> tuple[StepReport, ...]:
        """Return the steps of a build, whether each is cached, and why not; build nothing."""
        token = cancel or CancelToken()
        with ExitStack() as stack:
            draft = self._draft(options, token, stack)
            dry = replace(self, images=PresentImages(self.images), layers=MadeLayers(self.layers))
            return _Build(dry, options, draft, Progress(discard, token), StageForecast).steps()

    def _draft(self, options: BuildOptions, cancel: CancelToken, stack: ExitStack) -> _Draft:
        contexts = self._contexts(options, cancel, stack)
        folder = contexts.folder(options.context)
        dockerfile = read_dockerfile(options, folder)
        parsed = parse(dockerfile.text, dockerfile.name, options.lines_above)
        instructions = typed(parsed)
        plan = make_plan(
            instructions,
            parsed.escape,
            build_args=options.build_args,
            target=options.target,
            platform=Platform.parse(options.platform) if options.platform else Platform.host(),
            name=dockerfile.name,
            contexts=options.build_contexts,
        )
        findings = [
            *static_findings(parsed, instructions),
            *plan.findings,
            *unused_build_args(instructions, options.build_args),
        ]
        context = contexts.local(options.context, folder, dockerfile.path)
        asked = options.build_args.get(_CHECK_ARG, "")
        policy = Policy.parse(asked or parsed.directives.check)
        arguments = BuildArguments(options.build_args, plan.global_args)
        return _Draft(
            plan=plan,
            arguments=arguments,
            context=context,
            contexts=contexts,
            findings=findings,
            policy=policy,
            dockerfile=dockerfile,
            parsed=parsed,
        )

    def _contexts(self, options: BuildOptions, cancel: CancelToken, stack: ExitStack) -> Contexts:
        def scratch() -> Path:
            return stack.enter_context(self.scratch())

        return Contexts(
            named=options.build_contexts,
            scratch=scratch,
            extract=self.extract,
            digests=self.digests,
            cancel=cancel,
            stack=stack,
            files=options.files,
            keep_git_dir=options.build_args.get(_KEEP_GIT_ARG, "").lower() in ("1", "t", "true"),
            memory=self.cache,
            store=self.store,
            leave_out=IgnoreRules.of(options.leave_out),
        )


def _left_out(tree: SourceTree) -> str:
    """Return a sentence about the files that copies of folders left out; empty without any."""
    names = sorted(name for name in tree.left_out if not posixpath.basename(name).startswith("."))
    if not names:
        return ""
    others = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return (
        f"left out: {names[0]}{others}; to include it, COPY it by name or add "
        f"!{names[0]} to .dockerignore"
    )


def _refuse(findings: tuple[Finding, ...]) -> None:
    """Raise if there are findings and the Dockerfile declares them an error."""
    if findings:
        rules = ", ".join(dict.fromkeys(one.rule.name for one in findings))
        raise BuildError(
            f"lint violation found for rules: {rules}",
            location=findings[0].location,
            hint=f"{findings[0].message}; see {findings[0].rule.page}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """A Dockerfile, parsed and planned, with open contexts."""

    plan: Plan
    arguments: BuildArguments
    context: LocalContext
    contexts: Contexts
    findings: list[Finding]
    policy: Policy
    dockerfile: DockerfileText
    parsed: ParsedFile

    def checked(self, images: ImageSource) -> tuple[Finding, ...]:
        """Return the findings of the checks without a build."""
        return self.policy.applicable([*self.findings, *self._rehearsal(images).findings()])

    def outline(self, images: ImageSource) -> Outline:
        """Return the outline of the Dockerfile."""
        rehearsal = self._rehearsal(images)
        rehearsal.findings()
        comments = {node.location.first_line: node.comments for node in self.parsed.nodes}
        return Outliner(self.plan, rehearsal.states, comments, self.dockerfile.text).outline()

    def _rehearsal(self, images: ImageSource) -> Rehearsal:
        def look(name: str, platform: Platform) -> BaseImage | None:
            source = self.contexts.image(name)
            return images.look(source.place if source else name, platform)

        return Rehearsal(self.plan, self.arguments, self.context, look)


class _Build:
    """One build in progress."""

    def __init__(
        self,
        builder: Builder,
        options: BuildOptions,
        draft: _Draft,
        progress: Progress,
        work: type[StageWork] = StageWork,
    ) -> None:
        plan, context, contexts = draft.plan, draft.context, draft.contexts
        self.policy = draft.policy
        self.options = options
        self.plan = plan
        self.progress = progress
        self.builder = builder
        self.work = work
        self.epoch = _epoch(options)
        self.cache = StepCache(builder.cache, builder.layers)
        self.findings: dict[int, list[Finding]] = {-1: draft.findings}
        self.stages = StageRuns(self._stage, progress.cancel)
        self.ledger = StepLedger() if options.cache_to else None
        images = _Images(builder.images, options.pull, contexts)
        self.means = Means(
            options=options,
            plan=plan,
            context=context,
            contexts=contexts,
            layers=builder.layers,
            extract=builder.add or builder.extract,
            cache=self.cache,
            arguments=draft.arguments,
            image=images.image,
            stage=self.stages.result,
            epoch=self.epoch,
            keep_times=not any(one.rewrite_timestamp for one in options.outputs),
            trust_host_ca=(
                builder.trust_host_ca if options.trust_host_ca is None else options.trust_host_ca
            ),
            place=options.place or f"{options.context.label}\0{draft.dockerfile.name}",
            now=self._now,
            slots=threading.Semaphore(max(_MIN_PARALLEL, os.cpu_count() or 1)),
            ledger=self.ledger,
        )

    def steps(self) -> tuple[StepReport, ...]:
        """Walk through the stages and return their steps."""
        self.stages.run(self.plan.needed)
        return self.progress.reports

    def run(self) -> BuildResult:
        """Build, and return the finished image."""
        self.stages.run(self.plan.needed)
        state = self.stages.result(self.plan.target)
        created = self._now() if self.epoch is not None else self._stamp(state)
        config = state.image_config(created, self.options.labels)
        manifest, config_digest = write_image(
            self.builder.blobs,
            config,
            state.layers,
            form=_form(self.options),
            annotations=_annotations(self.options),
            extra=self._inline,
        )
        findings = [one for _, found in sorted(self.findings.items()) for one in found]
        return BuildResult(
            manifest=manifest,
            config_digest=config_digest,
            config=config,
            chain_id=state.chain_id,
            steps=self.progress.reports,
            warnings=self.policy.applicable(findings),
            layers=tuple(state.layers),
            source_date_epoch=self.epoch,
            shared=self._shared(),
            extra=self._inline,
            inherited=state.inherited,
        )

    @property
    def _inline(self) -> dict[str, object]:
        inline = any(place.type == "inline" for place in self.options.cache_to)
        if not inline or self.ledger is None:
            return {}
        return {INLINE_MEMBER: self.ledger.steps(self.plan.target)}

    def _shared(self) -> dict[CacheMode, SharedSteps]:
        if self.ledger is None:
            return {}
        return {"max": self.ledger.steps(), "min": self.ledger.steps(self.plan.target)}

    def _stage(self, index: int) -> StageState:
        stage = self.plan.stages[index]
        found = self.findings[index] = []
        steps = self.progress.stage(stage, len(self.plan.stages) > 1)
        return self.work(self.means, stage, steps, found).run()

    def _stamp(self, state: StageState) -> str:
        """Return the creation time of the first equal image: a rebuild gives the same ID."""
        draft = encode_json(state.image_config("", self.options.labels))
        return self.cache.stamp(f"image:{digest_of(draft)}", self._now())

    def _now(self) -> str:
        return rfc3339(self.builder.clock() if self.epoch is None else self.epoch)


class _Images:
    """The base images of one build, each resolved once for all stages."""

    def __init__(self, source: ImageSource, pull: bool, contexts: Contexts) -> None:
        self._source, self._pull, self._contexts = source, pull, contexts
        self._lock = threading.Lock()
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._found: dict[tuple[str, str], BaseImage] = {}

    def image(self, name: str, platform: Platform) -> BaseImage:
        """Return an image, unpacked."""
        context = self._contexts.image(name)
        if context is not None:
            name = f"oci-layout://{context.place}" if context.kind == "layout" else context.place
        key = (name, str(platform))
        with self._lock:
            own = self._locks.setdefault(key, threading.Lock())
        with own:
            if key not in self._found:
                self._found[key] = self._source.resolve(name, platform, self._pull)
            return self._found[key]


def _form(options: BuildOptions) -> ImageFormat:
    """Return the format of the image in the store; an output's explicit format wins."""
    said = [output.oci for output in options.outputs if output.in_store and output.oci is not None]
    return ("oci" if said[-1] else "docker") if said else options.format


def _annotations(options: BuildOptions) -> dict[str, str]:
    found = dict(options.annotations.manifest)
    for output in options.outputs:
        if output.in_store:
            found |= output.annotations
    return found


def _epoch(options: BuildOptions) -> int | None:
    text = options.build_args.get(EPOCH_ARG, "")
    if not text:
        return None
    if not text.isdecimal() or len(text) > 12:
        raise InvalidArgumentError(
            f"invalid {EPOCH_ARG}: {text!r}", hint="a number of seconds since 1970"
        )
    return int(text)
