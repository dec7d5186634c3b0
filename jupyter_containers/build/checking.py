"""Walks through a plan without executing it, and collects the warnings of its build.

Base images are used if they exist here and never pulled; in a stage on a missing image, undefined
variables cannot be detected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jupyter_containers.build.checks import COPY_IGNORED, UNDEFINED_VAR, Finding
from jupyter_containers.build.context import LocalContext
from jupyter_containers.build.flags import expanded
from jupyter_containers.build.instructions import Copy, Instruction, Run, Workdir
from jupyter_containers.build.interpret import trigger
from jupyter_containers.build.plan import SCRATCH, Plan, Stage
from jupyter_containers.build.seams import BaseImage
from jupyter_containers.build.state import StageState
from jupyter_containers.build.steps import (
    BuildArguments,
    Expander,
    apply,
    is_config_only,
    set_workdir,
)
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.oci.descriptor import Platform
from jupyter_containers.options.context import is_git_address, is_url


@dataclass(slots=True)
class Rehearsal:
    """Walks through all stages; ``look`` returns an existing base image, or None."""

    plan: Plan
    arguments: BuildArguments
    context: LocalContext
    look: Callable[[str, Platform], BaseImage | None]
    _states: dict[int, StageState] = field(default_factory=dict)
    _unknown: set[int] = field(default_factory=set)

    def findings(self) -> list[Finding]:
        """Return the warnings of the steps, including stages that the target does not need."""
        return [one for stage in self.plan.stages for one in self._stage(stage)]

    @property
    def states(self) -> Mapping[int, StageState]:
        """The final states of the stages, by number."""
        return self._states

    def _stage(self, stage: Stage) -> list[Finding]:
        found: list[Finding] = []
        state, triggers = self._open(stage)
        self._states[stage.index] = state
        for text in triggers:
            self._step(trigger(text, stage.location), state, found)
        for instruction in stage.instructions:
            self._step(instruction, state, found)
        if stage.index in self._unknown:
            return [one for one in found if one.rule is not UNDEFINED_VAR]
        return found

    def _open(self, stage: Stage) -> tuple[StageState, tuple[str, ...]]:
        if stage.base is not None:
            base = self._states[stage.base]
            if stage.base in self._unknown:
                self._unknown.add(stage.index)
            return base.fork(), base.config.on_build
        image = None if stage.image == SCRATCH else self.look(stage.image, stage.platform)
        if image is not None:
            return StageState.of_image(image), image.config.config.on_build
        if stage.image != SCRATCH:
            self._unknown.add(stage.index)
        return StageState.empty(stage.platform), ()

    def _step(self, instruction: Instruction, state: StageState, found: list[Finding]) -> None:
        expand = Expander(
            instruction, self.plan.lexer, state.variables(), frozenset(state.args), found
        )
        if is_config_only(instruction):
            apply(instruction, state, expand, self.arguments)
        elif isinstance(instruction, Workdir):
            set_workdir(instruction, state, expand)
        elif isinstance(instruction, Copy):
            words = (*instruction.sources, instruction.destination)
            sources = [expand(word) for word in words][: len(instruction.sources)]
            expanded(instruction, expand)
            found += self._ignored(instruction, sources)
            for document in instruction.inline:
                if document.expand:
                    expand.document(document.text)
        else:
            assert isinstance(instruction, Run)

    def _ignored(self, instruction: Copy, sources: list[str]) -> list[Finding]:
        """Return the sources that the ignore file excludes."""
        if instruction.from_:
            return []
        rules = self.context.tree.rules
        return [
            Finding(
                COPY_IGNORED,
                f'Attempting to {instruction.keyword.capitalize()} file "{source}" that is '
                "excluded by .dockerignore",
                instruction.location,
            )
            for source in sources
            if not (is_url(source) or is_git_address(source))
            and (path := source.strip("/").removeprefix("./"))
            and rules.ignores(path)
        ]
