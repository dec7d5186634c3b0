"""Plans a build: the stages with their bases, platforms and arguments.

Vocabulary: a *stage* begins with FROM; the *target* is the stage whose image is wanted (the last
one unless named); a stage is *needed* if the target reaches it by FROM, ``COPY --from`` or ``RUN
--mount=from=``.  *Global* arguments precede the first FROM: FROM lines see them, a stage only those
that it declares again with ARG.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping

from jupyter_containers.build.checks import (
    DEFAULT_ARG_IN_FROM,
    UNDEFINED_ARG_IN_FROM,
    Finding,
    meant,
)
from jupyter_containers.build.expand import ExpansionError, Lexer
from jupyter_containers.build.instructions import Arg, Copy, From, Instruction, Run
from jupyter_containers.build.mounts import mount_source
from jupyter_containers.errors import (
    BuildError,
    DockerfileSyntaxError,
    InvalidReferenceError,
    SourceLocation,
)
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.descriptor import Platform
from jupyter_containers.oci.reference import Reference

SCRATCH = "scratch"
PROXY_ARGS = frozenset(
    variant
    for name in ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
    for variant in (name, name.upper())
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage; ``base`` is the stage it continues, or None if ``image`` is an image."""

    index: int
    name: str
    image: str
    base: int | None
    platform: Platform
    location: SourceLocation
    source: str
    instructions: tuple[Instruction, ...]

    @property
    def label(self) -> str:
        """The name for people: the stage's own, or its number."""
        return self.name or f"stage-{self.index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All stages; ``needed`` are those to build, in order; ``head`` is the part before FROM."""

    stages: tuple[Stage, ...]
    target: int
    needed: tuple[int, ...]
    global_args: Mapping[str, str]
    lexer: Lexer
    findings: tuple[Finding, ...]
    contexts: frozenset[str] = frozenset()
    head: tuple[Arg, ...] = ()

    def stage_named(self, reference: str, before: int) -> int | None:
        """Return the stage named by ``--from=reference`` in stage ``before``; None for an image."""
        return find_stage(self.stages, reference, before, self.contexts)


def make_plan(
    instructions: tuple[Instruction, ...],
    escape: str,
    *,
    build_args: Mapping[str, str],
    target: str = "",
    platform: Platform,
    name: str = "Dockerfile",
    contexts: Iterable[str] = (),
) -> Plan:
    """Return the plan of a Dockerfile; raise :class:`DockerfileSyntaxError` if it has none."""
    lexer = Lexer(escape)
    head, rest = _split_head(instructions)
    if not rest:
        where = instructions[0].location if instructions else SourceLocation(name, 1, 1)
        raise DockerfileSyntaxError("the Dockerfile has no FROM instruction", location=where)
    findings: list[Finding] = []
    defaults = _automatic_args(platform, target)
    known = defaults | {key: value for key, value in build_args.items() if key in defaults}
    for arg in head:
        known |= _declared(arg, known, build_args, lexer)
        defaults |= _declared(arg, defaults, {}, lexer)
    declared = [name for arg in head for name, _ in arg.pairs]
    stages: list[Stage] = []
    named = frozenset(contexts)
    for index, (opening, body) in enumerate(_cut(rest)):
        image = _base_name(opening, known, defaults, declared, lexer, findings)
        # A named context replaces images and stages.
        base = None if image.lower() in named else _by_name(stages, image)
        wished = _platform(opening, base, stages, known, lexer, platform)
        stages.append(
            Stage(
                index=index,
                name=opening.name,
                image=image,
                base=base,
                platform=wished,
                location=opening.location,
                source=opening.source,
                instructions=body,
            )
        )
    chosen = _target(stages, target)
    needed = sorted(_reachable(stages, chosen, named))
    found = tuple(findings)
    return Plan(
        stages=tuple(stages),
        target=chosen,
        needed=tuple(needed),
        global_args=known,
        lexer=lexer,
        findings=found,
        contexts=named,
        head=tuple(head),
    )


def _split_head(
    instructions: tuple[Instruction, ...],
) -> tuple[list[Arg], tuple[Instruction, ...]]:
    head: list[Arg] = []
    for index, instruction in enumerate(instructions):
        if isinstance(instruction, From):
            return head, instructions[index:]
        if not isinstance(instruction, Arg):
            raise DockerfileSyntaxError(
                f"no build stage in current context: {instruction.keyword} precedes FROM",
                location=instruction.location,
                hint="begin with FROM; only ARG may precede it",
            )
        head.append(instruction)
    return head, ()


def _cut(instructions: tuple[Instruction, ...]) -> Iterator[tuple[From, tuple[Instruction, ...]]]:
    starts = [at for at, one in enumerate(instructions) if isinstance(one, From)]
    for start, end in zip(starts, [*starts[1:], len(instructions)], strict=True):
        opening = instructions[start]
        assert isinstance(opening, From)
        yield opening, instructions[start + 1 : end]


def _automatic_args(wanted: Platform, stage: str) -> dict[str, str]:
    """Return the predefined arguments (Dockerfile reference, "platform ARGs in global scope").

    ``stage`` is the target as given, empty for the last one.
    """
    values = {"TARGETSTAGE": stage or "default"}
    for prefix, platform in (("TARGET", wanted), ("BUILD", Platform.host())):
        values[f"{prefix}PLATFORM"] = str(platform)
        values[f"{prefix}OS"] = platform.os
        values[f"{prefix}ARCH"] = platform.architecture
        values[f"{prefix}VARIANT"] = platform.variant
    return values


def _declared(
    arg: Arg, known: Mapping[str, str], build_args: Mapping[str, str], lexer: Lexer
) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, default in arg.pairs:
        if name in build_args:
            values[name] = build_args[name]
        elif default is not None:
            values[name] = _expand(default, {**known, **values}, lexer, arg.location)[0]
    return values


def _expand(
    text: str, env: Mapping[str, str], lexer: Lexer, location: SourceLocation
) -> tuple[str, frozenset[str]]:
    try:
        expansion = lexer.expand(text, env)
    except ExpansionError as error:
        message = f"failed to process {text!r} at position {error.position}: {error.message}"
        where = location.at(text, error.position)
        raise DockerfileSyntaxError(message, location=where) from error
    return expansion.text, expansion.unset


def _base_name(
    opening: From,
    known: Mapping[str, str],
    defaults: Mapping[str, str],
    declared: list[str],
    lexer: Lexer,
    findings: list[Finding],
) -> str:
    where = opening.location
    image, unset = _expand(opening.image, known, lexer, where)
    findings.extend(
        Finding(
            UNDEFINED_ARG_IN_FROM,
            f"FROM argument '{name}' is not declared{meant(name, declared)}",
            where,
        )
        for name in sorted(unset - set(declared))
    )
    by_default, _ = _expand(opening.image, defaults, lexer, where)
    if not _names_image(by_default):
        message = f"Default value for ARG {opening.image} results in empty or invalid"
        findings.append(Finding(DEFAULT_ARG_IN_FROM, f"{message} base image name", where))
    if not image:
        raise DockerfileSyntaxError(
            f"base name ({opening.image}) should not be blank",
            location=where,
            hint="declare the variable before FROM: ARG NAME=default",
        )
    return image


def _names_image(text: str) -> bool:
    try:
        return bool(text) and (text == SCRATCH or bool(Reference.parse(text)))
    except InvalidReferenceError:
        return False


def _platform(
    opening: From,
    base: int | None,
    earlier: list[Stage],
    known: Mapping[str, str],
    lexer: Lexer,
    target: Platform,
) -> Platform:
    if opening.platform:
        return Platform.parse(_expand(opening.platform, known, lexer, opening.location)[0])
    return earlier[base].platform if base is not None else target


def _by_name(stages: list[Stage] | tuple[Stage, ...], name: str) -> int | None:
    matches = [stage.index for stage in stages if stage.name and stage.name == name.lower()]
    return matches[-1] if matches else None


def find_stage(
    stages: tuple[Stage, ...], reference: str, before: int, contexts: frozenset[str] = frozenset()
) -> int | None:
    """Return the earlier stage named by ``reference`` (a name or number).

    Returns None for an image, or one of the named ``contexts``.
    """
    if reference.lower() in contexts:
        return None
    if reference.isdecimal():
        if int(reference[:6]) >= before:
            raise BuildError(f"invalid stage index {reference}: it is not an earlier stage")
        return int(reference)
    found = _by_name(stages[:before], reference)
    if found is None and _by_name(stages[before:], reference) is not None:
        raise BuildError(f"stage {reference!r} must come before the stage that copies from it")
    return found


def _target(stages: list[Stage], target: str) -> int:
    if not target:
        return len(stages) - 1
    found = _by_name(stages, target)
    if found is None:
        names = [stage.name for stage in stages if stage.name]
        near = difflib.get_close_matches(target.lower(), names, 1, 0.5)
        listed = f"the stages are {', '.join(names)}" if names else "no stage has a name"
        raise BuildError(
            f"target stage {target!r} could not be found",
            hint=f"did you mean {near[0]}?" if near else listed,
        )
    return found


def _reachable(stages: list[Stage], start: int, contexts: frozenset[str]) -> set[int]:
    found: set[int] = set()
    todo = [start]
    while todo:
        index = todo.pop()
        if index in found:
            continue
        found.add(index)
        stage = stages[index]
        if stage.base is not None:
            todo.append(stage.base)
        for instruction in stage.instructions:
            for reference in stage_references(instruction):
                todo.extend(_referenced(tuple(stages), reference, stage, instruction, contexts))
    return found


def _referenced(
    stages: tuple[Stage, ...],
    reference: str,
    stage: Stage,
    instruction: Instruction,
    contexts: frozenset[str],
) -> list[int]:
    try:
        index = find_stage(stages, reference, stage.index, contexts)
    except BuildError as error:
        raise BuildError(
            error.message, location=instruction.location, instruction=instruction.source
        ) from error
    return [] if index is None else [index]


def stage_references(instruction: Instruction) -> tuple[str, ...]:
    """Return the stages or images that an instruction reads from."""
    if isinstance(instruction, Copy):
        return (instruction.from_,) if instruction.from_ else ()
    if isinstance(instruction, Run):
        sources = (mount_source(text) for text in instruction.mounts)
        return tuple(source for source in sources if source)
    return ()
