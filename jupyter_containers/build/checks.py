"""Build checks: things in a Dockerfile that work but are seldom meant.

A *rule* is data with a name (BuildKit's where it has the same rule); a *finding* is one place
where it applies.  Static rules look at the instructions alone; the others are reported by the
pass that notices them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jupyter_containers.build.copying import needs_slash
from jupyter_containers.build.instructions import (
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    From,
    HealthcheckSetting,
    Instruction,
    Label,
    Maintainer,
    Shell,
    Workdir,
)
from jupyter_containers.errors import SourceLocation


@dataclass(frozen=True, slots=True)
class Rule:
    """What a check is about, in one line."""

    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that applies at a place; ``message`` names the culprit."""

    rule: Rule
    message: str
    location: SourceLocation | None = None

    def __str__(self) -> str:
        where = f" ({self.location})" if self.location else ""
        return f"{self.rule.name}: {self.message}{where}"


UNDEFINED_VAR = Rule("UndefinedVar", "variables should be declared before they are used")
UNDEFINED_ARG_IN_FROM = Rule("UndefinedArgInFrom", "FROM must use declared arguments")
UNKNOWN_OWNER = Rule("UnknownOwner", "an unknown name in --chown counts as 0")
UNUSED_BUILD_ARG = Rule("UnusedBuildArg", "a build argument that no ARG declares has no effect")
EMPTY_WILDCARD = Rule("EmptyWildcard", "a wildcard that matches nothing copies nothing")
SEVERAL_SOURCES = Rule(
    "CopySeveralSources", "several sources need a destination that ends in a slash"
)
JSON_ARGS = Rule("JSONArgsRecommended", "the shell form hides signals from the program")
MAINTAINER = Rule("MaintainerDeprecated", "MAINTAINER is deprecated: use a label")
OLD_FORM = Rule("LegacyKeyValueFormat", "name=value is clearer than name value")
ONCE = Rule("MultipleInstructionsDisallowed", "only the last one of a stage has an effect")
SECRETS = Rule("SecretsUsedInArgOrEnv", "secrets in ARG or ENV stay in the image")
RELATIVE = Rule("WorkdirRelativePath", "a relative WORKDIR depends on the base image")
STAGE_NAMES = Rule("DuplicateStageName", "stage names should be unique")
RESERVED = Rule("ReservedStageName", "'scratch' and 'context' are reserved stage names")

RULES = (
    UNDEFINED_VAR, UNKNOWN_OWNER, UNUSED_BUILD_ARG, EMPTY_WILDCARD, SEVERAL_SOURCES, JSON_ARGS,
    MAINTAINER, OLD_FORM, ONCE, SECRETS, RELATIVE, STAGE_NAMES, RESERVED,
)  # fmt: skip

_SECRET = re.compile(
    r"(?i)(?:^|_)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)"
)
_NOT_SECRET = re.compile(r"(?i)(?:^|_)public(?:_|$)")


def static_findings(instructions: Iterable[Instruction]) -> list[Finding]:
    """Return what the instructions alone show, in the order of the file."""
    findings: list[Finding] = []
    state = _Stage()
    names: set[str] = set()
    for instruction in instructions:
        if isinstance(instruction, From):
            state = _Stage()
            findings.extend(_stage_name(instruction, names))
            names.add(instruction.name)
        findings.extend(_pairs(instruction))
        findings.extend(state.look(instruction))
    return findings


def unused_build_args(instructions: Iterable[Instruction], given: Iterable[str]) -> list[Finding]:
    """Return the build arguments that nothing in the file declares."""
    declared = {name for one in instructions if isinstance(one, Arg) for name, _ in one.pairs}
    predefined = re.compile(
        r"(?i:(https?|ftp|no|all)_proxy)|(TARGET|BUILD)(PLATFORM|OS|ARCH|VARIANT)"
        r"|BUILDKIT_\w+|SOURCE_DATE_EPOCH"
    )
    return [
        Finding(UNUSED_BUILD_ARG, f"--build-arg {name} is declared by no ARG")
        for name in given
        if name not in declared and not predefined.fullmatch(name)
    ]


def _stage_name(instruction: From, names: set[str]) -> Iterator[Finding]:
    name = instruction.name
    if name and name in names:
        yield Finding(STAGE_NAMES, f"{name!r} names several stages", instruction.location)
    if name in ("scratch", "context"):
        yield Finding(RESERVED, f"{name!r} should not name a stage", instruction.location)


def _pairs(instruction: Instruction) -> Iterator[Finding]:
    if isinstance(instruction, (Env, Label)) and instruction.old_form:
        name, _ = instruction.pairs[0]
        yield Finding(OLD_FORM, f"write {instruction.keyword} {name}=…", instruction.location)
    if isinstance(instruction, (Env, Arg)):
        for name, _ in instruction.pairs:
            if _SECRET.search(name) and not _NOT_SECRET.search(name):
                yield Finding(SECRETS, f"{name!r} may be a secret", instruction.location)
    if isinstance(instruction, Maintainer):
        yield Finding(
            MAINTAINER,
            "write LABEL org.opencontainers.image.authors=… instead",
            instruction.location,
        )


class _Stage:
    """What the instructions of one stage have shown so far."""

    def __init__(self) -> None:
        self.seen: set[type[Instruction]] = set()
        self.workdir = False
        self.shell = False

    def look(self, instruction: Instruction) -> Iterator[Finding]:
        kind = type(instruction)
        where = instruction.location
        if kind in (Cmd, Entrypoint, HealthcheckSetting):
            if kind in self.seen:
                yield Finding(ONCE, f"an earlier {instruction.keyword} has no effect", where)
            self.seen.add(kind)
        if isinstance(instruction, Shell):
            self.shell = True
        if (
            isinstance(instruction, (Cmd, Entrypoint))
            and instruction.command.shell
            and not self.shell
        ):
            yield Finding(JSON_ARGS, f"write {instruction.keyword} as a JSON array", where)
        if isinstance(instruction, Workdir):
            if not self.workdir and not instruction.text.startswith(("/", "$")):
                yield Finding(RELATIVE, f"{instruction.text!r} is relative", where)
            self.workdir = True
        if isinstance(instruction, (Add, Copy)):
            sources = (*instruction.sources, *instruction.inline)
            if needs_slash(sources, instruction.destination):
                yield Finding(
                    SEVERAL_SOURCES,
                    f"several sources, but {instruction.destination!r} does not end in a slash: "
                    "each one replaces the one before unless it is a folder",
                    where,
                )
