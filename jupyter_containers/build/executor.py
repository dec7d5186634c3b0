"""Carries a plan out: stages in order, each step from the cache or in a workspace, then the image.

Life of a step: TaskStarted → (described → found | carried out → committed) → TaskFinished.  What
is committed stays and is remembered, so that a build that was stopped goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from jupyter_containers.build import history
from jupyter_containers.build.cache import CachedStep, StepCache, StepKey
from jupyter_containers.build.checks import Finding, static_findings, unused_build_args
from jupyter_containers.build.context import LocalContext, read_dockerfile
from jupyter_containers.build.copystep import describe_copy, describe_workdir
from jupyter_containers.build.filestep import FileStep, StepSurroundings
from jupyter_containers.build.image import write_image
from jupyter_containers.build.instructions import Copy, Instruction, Run, Workdir
from jupyter_containers.build.interpret import trigger, typed
from jupyter_containers.build.parser import parse
from jupyter_containers.build.plan import SCRATCH, Plan, Stage, make_plan
from jupyter_containers.build.progress import Progress
from jupyter_containers.build.result import BuildResult
from jupyter_containers.build.runstep import describe_run
from jupyter_containers.build.seams import (
    BaseImage,
    BlobStore,
    CacheStore,
    ExtractArchive,
    ImageSource,
    LayerRef,
    LayerStore,
    Stream,
)
from jupyter_containers.build.state import StageState
from jupyter_containers.build.steps import BuildArguments, Expander, apply, is_config_only
from jupyter_containers.build.tree import DigestMemo
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.events import CancelToken, EventSink, discard
from jupyter_containers.oci.descriptor import Platform, digest_of, encode_json
from jupyter_containers.oci.image import rfc3339
from jupyter_containers.options.build import BuildOptions

_EPOCH_ARG = "SOURCE_DATE_EPOCH"


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds images with what the engine provides; one builder serves many builds.

    ``memo`` keeps file digests between builds.  ``trust_host_ca`` applies where the request does
    not say.  ``clock`` returns seconds since the epoch.
    """

    images: ImageSource
    layers: LayerStore
    cache: CacheStore
    blobs: BlobStore
    extract: ExtractArchive | None = None
    memo: DigestMemo | None = None
    trust_host_ca: bool = False
    clock: Callable[[], float] = time.time

    def build(
        self, options: BuildOptions, emit: EventSink = discard, cancel: CancelToken | None = None
    ) -> BuildResult:
        """Return the image that the request describes, its blobs stored.

        Raises :class:`DockerfileSyntaxError`, :class:`StepFailedError` or :class:`BuildError`,
        each with the lines, and :class:`OperationCancelledError`.
        """
        dockerfile = read_dockerfile(options)
        parsed = parse(dockerfile.text, dockerfile.name)
        instructions = typed(parsed)
        plan = make_plan(
            instructions,
            parsed.escape,
            build_args=options.build_args,
            target=options.target,
            platform=Platform.parse(options.platform) if options.platform else Platform.host(),
            name=dockerfile.name,
        )
        findings = [
            *static_findings(instructions),
            *plan.findings,
            *unused_build_args(instructions, options.build_args),
        ]
        with LocalContext(options.context, dockerfile.path, self.memo) as context:
            token = cancel or CancelToken()
            progress = Progress(emit, token)
            work = _Build(self, options, plan, context, progress, findings, dockerfile.name)
            return work.run()


class _Build:
    """One build under way."""

    def __init__(
        self,
        builder: Builder,
        options: BuildOptions,
        plan: Plan,
        context: LocalContext,
        progress: Progress,
        findings: list[Finding],
        name: str,
    ) -> None:
        self.builder = builder
        self.options = options
        self.plan = plan
        self.context = context
        self.progress = progress
        self.findings = findings
        self.cache = StepCache(builder.cache, builder.layers)
        self.arguments = BuildArguments(options.build_args, plan.global_args)
        self.epoch = _epoch(options)
        self.done: dict[int, StageState] = {}
        self.images: dict[tuple[str, str], BaseImage] = {}
        self.place = f"{context.folder.absolute()}\0{name}"

    def run(self) -> BuildResult:
        """Return the finished image."""
        for index in self.plan.needed:
            self.stage(index)
        state = self.done[self.plan.target]
        created = self._now() if self.epoch is not None else self._stamp(state)
        config = state.image_config(created, self.options.labels)
        manifest, config_digest = write_image(self.builder.blobs, config, state.layers)
        return BuildResult(
            manifest,
            config_digest,
            config,
            state.chain_id,
            tuple(self.progress.reports),
            tuple(dict.fromkeys(self.findings)),
        )

    def _stamp(self, state: StageState) -> str:
        """Return when an image like this was first made, so that rebuilding gives the same ID."""
        draft = encode_json(state.image_config("", self.options.labels))
        return self.cache.stamp(f"image:{digest_of(draft)}", self._now())

    def _now(self) -> str:
        return rfc3339(self.builder.clock() if self.epoch is None else self.epoch)

    def stage(self, index: int) -> StageState:
        """Return what stage ``index`` becomes, built on the first call."""
        if index in self.done:
            return self.done[index]
        stage = self.plan.stages[index]
        if stage.base is not None:
            self.stage(stage.base)
        with self.progress.stage(stage, len(self.plan.stages) > 1):
            with self.progress.step(stage.source, stage.location) as step:
                state, triggers = self._open(stage)
                step.cached = True
            self.progress.add_steps(len(triggers))
            for text in triggers:
                self._carry(trigger(text, stage.location), stage, state)
            for instruction in stage.instructions:
                self._carry(instruction, stage, state)
        self.done[index] = state
        return state

    def _open(self, stage: Stage) -> tuple[StageState, tuple[str, ...]]:
        """Return the state right after FROM, and the ONBUILD triggers to carry out."""
        if stage.base is not None:
            base = self.stage(stage.base)
            return base.fork(), base.config.on_build
        if stage.image == SCRATCH:
            return StageState.empty(stage.platform), ()
        image = self._image(stage.image, stage.platform)
        return StageState.of_image(image), image.config.config.on_build

    def _image(self, name: str, platform: Platform) -> BaseImage:
        key = (name, str(platform))
        if key not in self.images:
            self.images[key] = self.builder.images.resolve(name, platform, self.options.pull)
        return self.images[key]

    def _chain_of(self, reference: str, stage: Stage) -> str:
        index = self.plan.stage_named(reference, stage.index)
        if index is not None:
            return self.stage(index).chain_id
        if reference == SCRATCH:
            return ""
        return self._image(reference, stage.platform).chain_id

    def _carry(self, instruction: Instruction, stage: Stage, state: StageState) -> None:
        expand = Expander(
            instruction,
            self.plan.lexer,
            state.variables(),
            frozenset(state.args),
            self.findings,
        )
        with self.progress.step(instruction.source, instruction.location) as step:
            if is_config_only(instruction):
                apply(instruction, state, expand, self.arguments)
                step.cached = self.progress.all_cached
                return
            with ExitStack() as stack:
                around = self._surroundings(instruction, stage, state, step.task, stack)
                described = self._describe(instruction, expand, around)
                if described is None:
                    step.cached = self.progress.all_cached
                    state.history.append(history.entry(f"WORKDIR {state.config.working_dir}"))
                    return
                place = f"{self.place}\0{stage.index}\0{self.progress.number}"
                made, step.reason = self._result(described, place, state)
                step.cached = not step.reason
                _take(made, state, described.history)
                step.chain_id = state.chain_id

    def _surroundings(
        self,
        instruction: Instruction,
        stage: Stage,
        state: StageState,
        task: str,
        stack: ExitStack,
    ) -> StepSurroundings:
        def output(data: bytes, stream: Stream) -> None:
            self.progress.output(task, data, stream)

        asked = self.options.trust_host_ca
        return StepSurroundings(
            instruction,
            state,
            task,
            self.context,
            self.builder.layers,
            self.builder.extract,
            lambda reference: self._chain_of(reference, stage),
            stack,
            self.progress.cancel,
            output,
            self.options.build_args,
            self.options.network,
            self.builder.trust_host_ca if asked is None else asked,
            self.epoch,
            self.options.secrets,
            self.findings,
        )

    def _describe(
        self, instruction: Instruction, expand: Expander, around: StepSurroundings
    ) -> FileStep | None:
        if isinstance(instruction, Run):
            return describe_run(instruction, expand, around)
        if isinstance(instruction, Copy):
            return describe_copy(instruction, expand, around)
        assert isinstance(instruction, Workdir)
        return describe_workdir(instruction, expand, around)

    def _result(self, step: FileStep, place: str, state: StageState) -> tuple[CachedStep, str]:
        """Return what the step makes, and why it was not in the cache (empty: it was)."""
        use_cache = not self.options.no_cache
        if use_cache and step.quick:
            found = self.cache.find(step.quick.digest)
            if found:
                return found, ""
        key = step.key()
        if use_cache:
            found = self.cache.find(key.digest)
            if found:
                if step.quick:
                    self.cache.remember(step.quick.digest, found)
                return found, ""
        reason = self.cache.reason(place, key) if use_cache else "the cache is off"
        made = self._carry_out(step, state)
        if step.quick or step.key().digest == key.digest:
            # Otherwise files changed while they were copied: the result fits neither key.
            self._remember(step, key, place, made)
        return made, reason

    def _carry_out(self, step: FileStep, state: StageState) -> CachedStep:
        with self.builder.layers.workspace(state.chain_id) as workspace:
            step.act(workspace)
            self.progress.cancel.check()
            layer = workspace.commit(source_date_epoch=self.epoch)
        return CachedStep.of(layer, self._now())

    def _remember(self, step: FileStep, key: StepKey, place: str, made: CachedStep) -> None:
        self.cache.remember(key.digest, made)
        if step.quick:
            self.cache.remember(step.quick.digest, made)
        self.cache.witness(place, key)


def _take(made: CachedStep, state: StageState, text: str) -> None:
    """Put a step's layer on the stage's stack and the step into its history."""
    if made.entries:
        state.layers.append(LayerRef(made.blob, made.diff_id))
        state.chain_id = made.chain_id
    state.history.append(history.entry(text, created=made.created, layer=made.entries > 0))


def _epoch(options: BuildOptions) -> int | None:
    text = options.build_args.get(_EPOCH_ARG, "")
    if not text:
        return None
    if not text.isdecimal() or len(text) > 12:
        raise InvalidArgumentError(
            f"invalid {_EPOCH_ARG}: {text!r}", hint="a number of seconds since 1970"
        )
    return int(text)
