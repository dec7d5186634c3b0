"""Builds one stage, from FROM to its last instruction.

Life of a step: TaskStarted → (described → found | executed → committed) → TaskFinished.  A step
that several builds need at the same time, in this process or in others, is executed once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import msgspec

from jupyter_containers.build import history
from jupyter_containers.build.cache import CachedStep, StepCache, StepKey
from jupyter_containers.build.checks import Finding
from jupyter_containers.build.context import LocalContext
from jupyter_containers.build.contexts import Contexts
from jupyter_containers.build.copystep import describe_copy, describe_workdir
from jupyter_containers.build.filestep import FileStep, StepContext
from jupyter_containers.build.instructions import Copy, Instruction, Run, Workdir
from jupyter_containers.build.interpret import trigger
from jupyter_containers.build.plan import SCRATCH, Plan, Stage, stage_references
from jupyter_containers.build.progress import StageProgress, Step
from jupyter_containers.build.runstep import describe_run
from jupyter_containers.build.seams import (
    BaseImage,
    ExtractArchive,
    FailedRun,
    LayerRef,
    LayerStore,
    Stream,
    Workspace,
)
from jupyter_containers.build.sharing import SharedStep, StepLedger
from jupyter_containers.build.state import StageState
from jupyter_containers.build.steps import BuildArguments, Expander, apply, is_config_only
from jupyter_containers.errors import BuildError, StepFailedError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.descriptor import Platform
from jupyter_containers.oci.image import ExecutionConfig, check_depth
from jupyter_containers.options.build import BuildOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """The objects shared by the stages of one build.

    ``stage`` waits for another stage and returns its result; ``image`` resolves a base image;
    ``place`` identifies this Dockerfile among all; ``slots`` limits the steps executed at once.
    ``ledger`` records the steps if they are to be exported.
    """

    options: BuildOptions
    plan: Plan
    context: LocalContext
    contexts: Contexts
    layers: LayerStore
    extract: ExtractArchive | None
    cache: StepCache
    arguments: BuildArguments
    image: Callable[[str, Platform], BaseImage]
    stage: Callable[[int], StageState]
    epoch: int | None
    keep_times: bool
    trust_host_ca: bool
    place: str
    now: Callable[[], str]
    slots: threading.Semaphore
    ledger: StepLedger | None = None


class StageWork:
    """One stage in progress; ``findings`` grows with the findings of the checks."""

    def __init__(
        self, means: Means, stage: Stage, progress: StageProgress, findings: list[Finding]
    ) -> None:
        self.means = means
        self.index = stage.index
        self.progress = progress
        self.findings = findings
        self._stage = stage
        options = means.options
        self._use_cache = not (
            options.no_cache or {stage.name, str(stage.index)} & set(options.no_cache_filter)
        )

    def run(self) -> StageState:
        """Build the stage and return its result."""
        stage = self._stage
        if stage.base is not None:
            self.means.stage(stage.base)
        with self.progress.step(stage.source, stage.location) as step:
            state, triggers = self._open(step)
        self.progress.add_steps(len(triggers))
        if self.means.contexts.tree(stage.image):
            self._execute(_whole_context(stage), state)
            state.history.clear()
        for text in triggers:
            self._execute(trigger(text, stage.location), state)
        for instruction in stage.instructions:
            self._execute(instruction, state)
        return state

    def _open(self, step: Step) -> tuple[StageState, tuple[str, ...]]:
        """Return the state right after FROM, and the ONBUILD triggers to execute."""
        stage = self._stage
        step.cached = True
        if stage.base is not None:
            base = self.means.stage(stage.base)
            return base.fork(), base.config.on_build
        if stage.image == SCRATCH or self.means.contexts.tree(stage.image):
            return StageState.empty(stage.platform), ()
        image = self.means.image(stage.image, stage.platform)
        return StageState.of_image(image), image.config.config.on_build

    def _chain_of(self, reference: str) -> str:
        index = self.means.plan.stage_named(reference, self.index)
        if index is not None:
            return self.means.stage(index).chain_id
        if reference == SCRATCH:
            return ""
        return self.means.image(reference, self._stage.platform).chain_id

    def _await_stages(self, instruction: Instruction) -> None:
        """Wait for the stages that the instruction reads from, outside the time of the step."""
        for reference in stage_references(instruction):
            index = None
            with suppress(BuildError):  # the step itself reports it, with its location
                index = self.means.plan.stage_named(reference, self.index)
            if index is not None:
                self.means.stage(index)

    def _execute(self, instruction: Instruction, state: StageState) -> None:
        self._await_stages(instruction)
        expand = Expander(
            instruction,
            self.means.plan.lexer,
            state.variables(),
            frozenset(state.args),
            self.findings,
        )
        with self.progress.step(instruction.source, instruction.location) as step:
            if is_config_only(instruction):
                apply(instruction, state, expand, self.means.arguments)
                step.cached = self.progress.all_cached
                return
            with ExitStack() as stack:
                around = self._step_context(instruction, state, step.task, stack)
                described = self._describe(instruction, expand, around)
                if described is None:
                    step.cached = self.progress.all_cached
                    state.history.append(history.entry(f"WORKDIR {state.config.working_dir}"))
                    return
                made = self._result(described, state, step)
                parent = "" if described.detached else state.chain_id
                self._note(described, parent, made)
                if parent != state.chain_id and made.entries:
                    layer = LayerRef(made.blob, made.diff_id)
                    chain = self.means.layers.stack(state.chain_id, layer)
                    made = msgspec.structs.replace(made, chain_id=chain)
                self._append_layer(made, state, described.history, step)

    def _describe(
        self, instruction: Instruction, expand: Expander, around: StepContext
    ) -> FileStep | None:
        if isinstance(instruction, Run):
            return describe_run(instruction, expand, around)
        if isinstance(instruction, Copy):
            return describe_copy(instruction, expand, around)
        assert isinstance(instruction, Workdir)
        return describe_workdir(instruction, expand, around)

    def _step_context(
        self, instruction: Instruction, state: StageState, task: str, stack: ExitStack
    ) -> StepContext:
        def output(data: bytes, stream: Stream) -> None:
            self.progress.output(task, data, stream)

        means = self.means
        return StepContext(
            instruction=instruction,
            state=state,
            step_id=task,
            context=means.context,
            contexts=means.contexts,
            layers=means.layers,
            extract=means.extract,
            chain_of=self._chain_of,
            stack=stack,
            cancel=self.progress.cancel,
            output=output,
            build_args=means.options.build_args,
            network=means.options.network,
            trust_host_ca=means.trust_host_ca,
            source_date_epoch=means.epoch,
            secrets=means.options.secrets,
            findings=self.findings,
            keep_times=means.keep_times,
            ssh=means.options.ssh,
            allow=means.options.allow,
            step_means=means.options.step_means,
        )

    def _result(self, described: FileStep, state: StageState, step: Step) -> CachedStep:
        """Return the result of the step, from the cache if it is there."""
        cache, quick = self.means.cache, described.quick
        found = cache.find(quick.digest) if self._use_cache and quick else None
        if found is None:
            key = described.key()
            if not self._use_cache:
                step.reason = "the cache is off"
                return self._carry_out(described, key, state, step)
            found = cache.find(key.digest)
            if found is None:
                with cache.alone(key.digest, self.progress.cancel):
                    # Another process may have made it between the lookup and the lock.
                    found = cache.find(key.digest)
                    if found is None:
                        step.reason = cache.reason(self._place, key, self.progress.cause)
                        return self._carry_out(described, key, state, step)
            if quick:
                cache.remember(quick.digest, found)
        step.cached = True
        return found

    @property
    def _place(self) -> str:
        return f"{self.means.place}\0{self.index}\0{self.progress.number}"

    def _carry_out(
        self, described: FileStep, key: StepKey, state: StageState, step: Step
    ) -> CachedStep:
        latest = None if self.means.keep_times else self.means.epoch
        parent = "" if described.detached else state.chain_id
        with self._slot(), self.means.layers.workspace(parent) as workspace:
            try:
                described.act(workspace)
            except StepFailedError as error:
                self._keep(error, workspace, state, step)
                raise
            self.progress.cancel.check()
            layer = workspace.commit(source_date_epoch=latest)
        made = CachedStep.of(layer, self.means.now(), step.title.partition("] ")[2])
        if described.quick or described.key().digest == key.digest:
            # Otherwise files changed while they were copied: the result fits neither key.
            cache = self.means.cache
            cache.remember(key.digest, made)
            if described.quick:
                cache.remember(described.quick.digest, made)
            cache.witness(self._place, key)
        return made

    def _keep(
        self, error: StepFailedError, workspace: Workspace, state: StageState, step: Step
    ) -> None:
        """Keep the root of a failed step for inspection."""
        env, _ = state.run_env(self.means.options.build_args)
        config = ExecutionConfig(
            user=state.config.user,
            env=env,
            cmd=state.shell[:1],
            working_dir=state.config.working_dir,
            shell=state.shell,
        )
        title = step.title.partition("] ")[2]
        error.snapshot = workspace.keep(
            FailedRun(title, str(error.location or ""), error.exit_code, config)
        )
        if error.snapshot:
            error.suggest_inspection("Engine.builds.failed_image()")

    @contextmanager
    def _slot(self) -> Iterator[None]:
        while not self.means.slots.acquire(timeout=0.05):
            self.progress.cancel.check()
        try:
            yield
        finally:
            self.means.slots.release()

    def _note(self, described: FileStep, parent: str, made: CachedStep) -> None:
        ledger, quick = self.means.ledger, described.quick
        if ledger is not None:
            # The key by content is the one that also fits if other stages were rebuilt.
            keys = (described.key().digest, *((quick.digest,) if quick else ()))
            ledger.note(self.index, self.progress.number, SharedStep(keys, made, parent))

    def _append_layer(self, made: CachedStep, state: StageState, text: str, step: Step) -> None:
        """Add a step's layer to the stage's stack, and the step to its history."""
        if made.entries:
            check_depth(len(state.layers) + 1)
            state.layers.append(LayerRef(made.blob, made.diff_id))
            state.chain_id = made.chain_id
            step.size = made.size
        state.history.append(history.entry(text, created=made.created, layer=made.entries > 0))
        step.chain_id = state.chain_id


def _whole_context(stage: Stage) -> Instruction:
    """Return a step that copies the files of a named context in place of a base image."""
    return Copy(stage.location, stage.source, sources=("/",), destination="/", from_=stage.image)
