"""The static build checks: those that need only a Dockerfile's text and instructions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from jupyter_containers.build import checks
from jupyter_containers.build.checks import Finding
from jupyter_containers.build.copying import needs_slash
from jupyter_containers.build.instructions import (
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    HealthcheckSetting,
    Instruction,
    Label,
    Maintainer,
    Shell,
)
from jupyter_containers.build.parser import Node, ParsedFile
from jupyter_containers.errors import SourceLocation
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.lazy_patterns import pattern

_SECRET = pattern(
    r"(?i)(?:^|_)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)"
)
_NOT_SECRET = pattern(r"(?i)(?:^|_)public(?:_|$)")
_PREDEFINED = pattern(
    r"(?i:(https?|ftp|no|all)_proxy)|(TARGET|BUILD)(PLATFORM|OS|ARCH|VARIANT)"
    r"|BUILDKIT_\w+|SOURCE_DATE_EPOCH"
)
_REDUNDANT = pattern(r"\$TARGETPLATFORM|\$\{TARGETPLATFORM\}")


def static_findings(parsed: ParsedFile, instructions: Iterable[Instruction]) -> list[Finding]:
    """Return the findings in text and instructions, without any variable's value."""
    findings = [*_casing(parsed.nodes), *_continuations(parsed)]
    stages = _Stages()
    stage = _Stage()
    for node, instruction in zip(parsed.nodes, instructions, strict=True):
        if isinstance(instruction, From):
            before = stages.last.get(instruction.image.lower())
            stage = _Stage(shell=before is not None and before.shell)
            stages.last[instruction.name] = stage
            findings += _as_casing(node)
            findings += stages.look(instruction, node)
            findings += _platform(instruction)
        findings += _described(instruction, node)
        findings += _pairs(instruction)
        findings += stage.look(instruction)
    return findings


def unused_build_args(instructions: Iterable[Instruction], given: Iterable[str]) -> list[Finding]:
    """Return findings for the build arguments that no ARG declares."""
    declared = {name for one in instructions if isinstance(one, Arg) for name, _ in one.pairs}
    return [
        Finding(checks.UNUSED_BUILD_ARG, f"--build-arg {name} is declared by no ARG")
        for name in given
        if name not in declared and not _PREDEFINED.fullmatch(name)
    ]


def _casing(nodes: tuple[Node, ...]) -> Iterator[Finding]:
    lower = sum(node.spelling.islower() for node in nodes)
    upper = sum(node.spelling.isupper() for node in nodes)
    majority = "lowercase" if lower > upper else "uppercase"
    for node in nodes:
        if not (node.spelling.islower() if majority == "lowercase" else node.spelling.isupper()):
            yield Finding(
                checks.CASING,
                f"Command '{node.spelling}' should match the case of the command majority "
                f"({majority})",
                node.location,
            )


def _continuations(parsed: ParsedFile) -> Iterator[Finding]:
    for node in parsed.nodes:
        if node.empty_continuation:
            last = node.location.last_line
            where = SourceLocation(node.location.filename, last, last, node.location.excerpt[-1:])
            yield Finding(checks.EMPTY_CONTINUATION, "Empty continuation line", where)


def _as_casing(node: Node) -> Iterator[Finding]:
    parts = node.rest.split()
    if len(parts) == 3 and (
        (parts[1].islower() and node.spelling.isupper())
        or (parts[1].isupper() and node.spelling.islower())
    ):
        yield Finding(
            checks.AS_CASING,
            f"'{parts[1]}' and '{node.spelling}' keywords' casing do not match",
            node.location,
        )


def _platform(instruction: From) -> Iterator[Finding]:
    written, where = instruction.platform, instruction.location
    if _REDUNDANT.fullmatch(written):
        yield Finding(
            checks.REDUNDANT_PLATFORM,
            f"Setting platform to predefined {written} in FROM is redundant as this is the "
            "default behavior",
            where,
        )
    elif written and "$" not in written and not _names_platform(instruction.name, written):
        yield Finding(
            checks.CONST_PLATFORM,
            f'FROM --platform flag should not use constant value "{written}"',
            where,
        )


def _names_platform(stage: str, platform: str) -> bool:
    # build_amd64, chosen by FROM build_${TARGETARCH}, is for one platform on purpose.
    return any(part in stage for part in platform.split("/") if part)


def _described(instruction: Instruction, node: Node) -> Iterator[Finding]:
    if not node.comments:
        return
    names: tuple[str, ...] = ()
    if isinstance(instruction, From) and instruction.name:
        names = (instruction.name,)
    elif isinstance(instruction, Arg):
        names = tuple(name for name, _ in instruction.pairs)
    for name in names:
        if not any(comment.startswith(f"{name} ") for comment in node.comments):
            yield Finding(
                checks.DESCRIPTION,
                f"Comment for {instruction.keyword} should follow the format: "
                f"`# {name} <description>`",
                node.location,
            )


def _pairs(instruction: Instruction) -> Iterator[Finding]:
    where, keyword = instruction.location, instruction.keyword
    if isinstance(instruction, (Env, Label)) and instruction.old_form:
        yield Finding(
            checks.OLD_FORM,
            f'"{keyword} key=value" should be used instead of legacy "{keyword} key value" format',
            where,
        )
    if isinstance(instruction, (Env, Arg)):
        for name, _ in instruction.pairs:
            if _SECRET.search(name) and not _NOT_SECRET.search(name):
                yield Finding(
                    checks.SECRETS,
                    f'Do not use ARG or ENV instructions for sensitive data ({keyword} "{name}")',
                    where,
                )
    if isinstance(instruction, Maintainer):
        yield Finding(
            checks.MAINTAINER,
            "Maintainer instruction is deprecated in favor of using label",
            where,
        )


@dataclass(slots=True)
class _Stages:
    """The names of the stages so far."""

    names: frozenset[str] = frozenset()
    last: dict[str, _Stage] = field(default_factory=dict)

    def look(self, instruction: From, node: Node) -> Iterator[Finding]:
        name, where = instruction.name, instruction.location
        written = node.rest.split()[2] if name else ""
        if written != written.lower():
            yield Finding(checks.STAGE_CASING, f"Stage name '{written}' should be lowercase", where)
        if name and name in self.names:
            yield Finding(
                checks.DUPLICATE_STAGE,
                f'Duplicate stage name "{name}", stage names should be unique',
                where,
            )
        if name in ("scratch", "context"):
            yield Finding(
                checks.RESERVED_STAGE,
                f'Stage name should not use the same name as reserved stage "{name}"',
                where,
            )
        self.names |= {name}


class _Stage:
    """The facts about the instructions of one stage so far."""

    def __init__(self, *, shell: bool = False) -> None:
        self.seen: dict[type[Instruction], SourceLocation] = {}
        self.shell = shell

    def look(self, instruction: Instruction) -> Iterator[Finding]:
        kind, where = type(instruction), instruction.location
        if kind in (Cmd, Entrypoint, HealthcheckSetting):
            if kind in self.seen:
                yield Finding(
                    checks.ONCE,
                    f"Multiple {instruction.keyword} instructions should not be used in the same "
                    "stage because only the last one will be used",
                    self.seen[kind],
                )
            self.seen[kind] = where
        self.shell |= isinstance(instruction, Shell)
        if isinstance(instruction, (Cmd, Entrypoint)):
            yield from self._form(instruction)
        if isinstance(instruction, (Add, Copy)):
            yield from _destination(instruction)
        if isinstance(instruction, Expose):
            yield from _ports(instruction)

    def _form(self, instruction: Cmd | Entrypoint) -> Iterator[Finding]:
        if instruction.command.shell and not self.shell:
            yield Finding(
                checks.JSON_ARGS,
                f"JSON arguments recommended for {instruction.keyword} to prevent unintended "
                "behavior related to OS signals",
                instruction.location,
            )


def _destination(instruction: Copy) -> Iterator[Finding]:
    sources = (*instruction.sources, *instruction.inline)
    if needs_slash(sources, instruction.destination):
        yield Finding(
            checks.SEVERAL_SOURCES,
            f"several sources, but {instruction.destination!r} does not end in a slash: "
            "each one replaces the one before unless it is a folder",
            instruction.location,
        )


def _ports(instruction: Expose) -> Iterator[Finding]:
    for port in instruction.ports:
        protocol = port.partition("/")[2]
        if protocol != protocol.lower():
            yield Finding(
                checks.EXPOSE_CASING,
                f"Defined protocol '{port}' in EXPOSE instruction should be lowercase",
                instruction.location,
            )
        closed, brace, rest = port.rpartition("}")
        if ":" in re.sub(r"\$\{[^}]*\}", "", closed + brace) + rest:
            yield Finding(
                checks.EXPOSE_FORMAT,
                "EXPOSE instruction should not define an IP address or host-port mapping, "
                f"found '{port}'",
                instruction.location,
            )


def undefined(
    names: Iterable[str], known: Mapping[str, object] | Iterable[str], where: SourceLocation
) -> Iterator[Finding]:
    """Yield a finding for each variable without a value or a declaration."""
    candidates = list(known)
    for name in sorted(names):
        suggestion = checks.meant(name, candidates, "$")
        yield Finding(
            checks.UNDEFINED_VAR, f"Usage of undefined variable '${name}'{suggestion}", where
        )
