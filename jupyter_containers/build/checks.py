"""Build checks: constructs in a Dockerfile that work but are seldom intended.

A *rule* is data with a name (BuildKit's if it has the same rule), a one-line description and a page
in ``docs/checks``; a *finding* is one place where it applies.  A *policy* is the value of ``#
check=skip=RULE,…;error=true;experimental=RULE,…``: the rules to skip, the experimental ones to
include, and whether a finding fails the build.
"""

from __future__ import annotations

from collections.abc import Iterable

from jupyter_containers.errors import SourceLocation
from jupyter_containers.lazy_dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """A check, described in one line; an ``experimental`` one must be enabled."""

    name: str
    description: str
    experimental: bool = False

    @property
    def page(self) -> str:
        """The path of the rule's page in the documentation."""
        return f"docs/checks/{self.name}.md"


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that applies at a location; ``message`` names the cause."""

    rule: Rule
    message: str
    location: SourceLocation | None = None

    def __str__(self) -> str:
        where = f" ({self.location})" if self.location else ""
        return f"{self.rule.name}: {self.message}{where}"


STAGE_CASING = Rule("StageNameCasing", "Stage names should be lowercase")
AS_CASING = Rule("FromAsCasing", "The 'as' keyword should match the case of the 'from' keyword")
EMPTY_CONTINUATION = Rule("NoEmptyContinuation", "Empty lines should not continue an instruction")
CASING = Rule("ConsistentInstructionCasing", "All instructions should be written in the same case")
DUPLICATE_STAGE = Rule("DuplicateStageName", "Stage names should be unique")
RESERVED_STAGE = Rule("ReservedStageName", "'scratch' and 'context' should not name a stage")
JSON_ARGS = Rule("JSONArgsRecommended", "A program in shell form does not receive signals")
MAINTAINER = Rule("MaintainerDeprecated", "MAINTAINER is deprecated, a label says it")
UNDEFINED_ARG_IN_FROM = Rule("UndefinedArgInFrom", "FROM should use declared arguments")
RELATIVE_WORKDIR = Rule("WorkdirRelativePath", "A first WORKDIR should be absolute")
UNDEFINED_VAR = Rule("UndefinedVar", "Variables should be declared before they are used")
ONCE = Rule("MultipleInstructionsDisallowed", "Only the last one of a stage has an effect")
OLD_FORM = Rule("LegacyKeyValueFormat", "name=value is clearer than name value")
REDUNDANT_PLATFORM = Rule("RedundantTargetPlatform", "The target platform is the default")
SECRETS = Rule("SecretsUsedInArgOrEnv", "Secrets in ARG or ENV stay in the image")
DEFAULT_ARG_IN_FROM = Rule("InvalidDefaultArgInFrom", "FROM should work with default arguments")
CONST_PLATFORM = Rule("FromPlatformFlagConstDisallowed", "FROM --platform should not be constant")
COPY_IGNORED = Rule("CopyIgnoredFile", "Ignored files cannot be copied", experimental=True)
DESCRIPTION = Rule(
    "InvalidDefinitionDescription", "A comment should begin with what it describes", True
)
EXPOSE_CASING = Rule("ExposeProtoCasing", "Protocols in EXPOSE should be lowercase")
EXPOSE_FORMAT = Rule("ExposeInvalidFormat", "EXPOSE takes no address and no port of the host")
BASE_PLATFORM = Rule("InvalidBaseImagePlatform", "The base image should be for the platform")
# The engine's own rules.
UNKNOWN_OWNER = Rule("UnknownOwner", "An unknown name in --chown counts as 0")
UNUSED_BUILD_ARG = Rule("UnusedBuildArg", "A build argument that no ARG declares has no effect")
EMPTY_WILDCARD = Rule("EmptyWildcard", "A wildcard that matches nothing copies nothing")
SEVERAL_SOURCES = Rule(
    "CopySeveralSources", "Several sources need a destination that ends in a slash"
)

RULES = (
    STAGE_CASING, AS_CASING, EMPTY_CONTINUATION, CASING, DUPLICATE_STAGE, RESERVED_STAGE,
    JSON_ARGS, MAINTAINER, UNDEFINED_ARG_IN_FROM, RELATIVE_WORKDIR, UNDEFINED_VAR, ONCE, OLD_FORM,
    REDUNDANT_PLATFORM, SECRETS, DEFAULT_ARG_IN_FROM, CONST_PLATFORM, COPY_IGNORED, DESCRIPTION,
    EXPOSE_CASING, EXPOSE_FORMAT, BASE_PLATFORM, UNKNOWN_OWNER, UNUSED_BUILD_ARG, EMPTY_WILDCARD,
    SEVERAL_SOURCES,
)  # fmt: skip
OWN_RULES = (UNKNOWN_OWNER, UNUSED_BUILD_ARG, EMPTY_WILDCARD, SEVERAL_SOURCES)


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules that apply; names are in lower case, ``all`` stands for every rule."""

    skip: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    error: bool = False

    @classmethod
    def parse(cls, text: str) -> Policy:
        """Return the policy in a ``check`` directive (or ``BUILDKIT_DOCKERFILE_CHECK``)."""
        values: dict[str, str] = {}
        for part in text.split(";"):
            name, _, value = part.partition("=")
            values[name.strip().lower()] = value.strip()
        return cls(
            _names(values.get("skip", "")),
            _names(values.get("experimental", "")),
            values.get("error", "").lower() in ("true", "1"),
        )

    def applicable(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """Return the findings that apply, each once, in the order of their locations."""
        counted = dict.fromkeys(one for one in findings if self._counts(one.rule))
        return tuple(sorted(counted, key=_place))

    def _counts(self, rule: Rule) -> bool:
        name = rule.name.lower()
        if self.skip & {name, "all"}:
            return False
        return not rule.experimental or bool(self.experimental & {name, "all"})


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip().lower() for name in text.split(",") if name.strip())


def _place(finding: Finding) -> tuple[int, str]:
    return (finding.location.first_line if finding.location else 0, finding.rule.name)


def meant(name: str, known: Iterable[str], sigil: str = "") -> str:
    """Return `` (did you mean NAME?)`` for the nearest known name, or an empty text."""
    near = min(known, key=lambda one: _distance(name, one), default="")
    if not near or _distance(name, near) > _NEAR:
        return ""
    return f" (did you mean {sigil}{near}?)"


_NEAR = 2


def _distance(one: str, other: str) -> int:
    """Return the number of letters to insert, delete or replace (Levenshtein)."""
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        above, row[0] = row[0], at
        for index, wanted in enumerate(other, 1):
            above, row[index] = (
                row[index],
                min(row[index] + 1, row[index - 1] + 1, above + (letter != wanted)),
            )
    return row[-1]
