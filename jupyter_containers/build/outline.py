"""The outline of a Dockerfile: its targets, and the inputs of the chosen one.

An *outline* describes one stage with every stage that it continues or copies from: build arguments
with their values, secrets, SSH agents.  A comment right above FROM or ARG that begins with the name
is its description.  Follows BuildKit's ``--call=outline`` and ``--call=targets``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from jupyter_containers.build.instructions import Arg, Run
from jupyter_containers.build.mounts import parse_run_mount
from jupyter_containers.build.plan import Plan, Stage, stage_references
from jupyter_containers.build.state import StageState
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.lazy_patterns import pattern

_VARIABLE = pattern(r"\$\{?(\w+)")
_AUTOMATIC = {"TARGETSTAGE"} | {
    side + part for side in ("TARGET", "BUILD") for part in ("PLATFORM", "OS", "ARCH", "VARIANT")
}
Comments = Mapping[int, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class OutlinedArg:
    """A build argument: its value, and the line that declares it."""

    name: str
    value: str
    description: str
    line: int


@dataclass(frozen=True, slots=True)
class OutlinedNeed:
    """A secret or an SSH agent that a RUN requests."""

    name: str
    required: bool
    line: int


@dataclass(frozen=True, slots=True)
class OutlinedTarget:
    """A stage that can be built; ``name`` is empty if it has none."""

    name: str
    description: str
    base: str
    default: bool
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """The inputs of the chosen stage; ``targets`` are all stages, ``source`` is the Dockerfile."""

    name: str
    description: str
    args: tuple[OutlinedArg, ...]
    secrets: tuple[OutlinedNeed, ...]
    ssh: tuple[OutlinedNeed, ...]
    targets: tuple[OutlinedTarget, ...]
    source: str = ""


@dataclass(frozen=True, slots=True)
class Outliner:
    """Reads a plan; ``states`` are its stages after a rehearsal, ``comments`` by line."""

    plan: Plan
    states: Mapping[int, StageState]
    comments: Comments
    source: str
    _args: dict[str, OutlinedArg] = field(default_factory=dict)
    _needs: dict[tuple[str, str], OutlinedNeed] = field(default_factory=dict)

    def outline(self) -> Outline:
        """Return the outline of the chosen stage."""
        for stage in self._reachable(self.plan.target, set()):
            self._collect(stage)
        chosen = self.plan.stages[self.plan.target]
        return Outline(
            name=chosen.name,
            description=self._description(chosen.name, chosen.location.first_line),
            args=tuple(sorted(self._args.values(), key=lambda one: one.line)),
            secrets=self._of_kind("secret"),
            ssh=self._of_kind("ssh"),
            targets=tuple(self._target(stage) for stage in self.plan.stages),
            source=self.source,
        )

    def _reachable(self, index: int, seen: set[int]) -> Iterator[Stage]:
        """Walk through a stage, its base, and the stages it copies from."""
        if index in seen:
            return
        seen.add(index)
        stage = self.plan.stages[index]
        yield stage
        if stage.base is not None:
            yield from self._reachable(stage.base, seen)
        for instruction in stage.instructions:
            for reference in stage_references(instruction):
                other = self.plan.stage_named(reference, index)
                if other is not None:
                    yield from self._reachable(other, seen)

    def _collect(self, stage: Stage) -> None:
        values = self.states[stage.index].args
        own: dict[str, OutlinedArg] = {}
        used = set(_VARIABLE.findall(stage.source))
        for arg in self.plan.head:
            own |= self._declared(arg, {n: self.plan.global_args.get(n) for n in used})
        for instruction in stage.instructions:
            if isinstance(instruction, Arg):
                own |= self._declared(instruction, values)
            elif isinstance(instruction, Run):
                self._collect_needs(instruction, self.states[stage.index].variables())
        self._args.update({name: arg for name, arg in own.items() if name not in self._args})

    def _declared(self, arg: Arg, values: Mapping[str, str | None]) -> dict[str, OutlinedArg]:
        line = arg.location.first_line
        return {
            name: OutlinedArg(name, values[name] or "", self._description(name, line), line)
            for name, default in arg.pairs
            # Values that the builder itself sets (TARGETARCH) cannot be given.
            if name in values and not (default is None and name in _AUTOMATIC)
        }

    def _collect_needs(self, run: Run, variables: Mapping[str, str]) -> None:
        def expand(word: str) -> str:
            return self.plan.lexer.expand(word, variables).text

        for text in run.mounts:
            mount = parse_run_mount(text, expand, "/")
            if mount.type in ("secret", "ssh"):
                need = OutlinedNeed(mount.id, mount.required, run.location.first_line)
                self._needs.setdefault((mount.type, mount.id), need)

    def _of_kind(self, kind: str) -> tuple[OutlinedNeed, ...]:
        found = (need for (one, _), need in self._needs.items() if one == kind)
        return tuple(sorted(found, key=lambda need: need.line))

    def _target(self, stage: Stage) -> OutlinedTarget:
        line = stage.location.first_line
        words = [word for word in stage.source.split()[1:] if not word.startswith("--")]
        return OutlinedTarget(
            stage.name,
            self._description(stage.name, line),
            words[0],
            stage.index == len(self.plan.stages) - 1,
            line,
        )

    def _description(self, name: str, line: int) -> str:
        for comment in self.comments.get(line, ()):
            first, _, rest = comment.partition(" ")
            if name and first.lower() == name.lower():
                return rest.strip()
        return ""
