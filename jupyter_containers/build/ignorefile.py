"""The files that a context excludes: the patterns of ``.dockerignore``.

The last pattern that matches a path, or one of its parent folders, decides; ``!pattern`` includes
it again.  Patterns are relative to the context's root whether or not they begin with ``/``. Follows
the Docker documentation, "Build context", ".dockerignore files".
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from jupyter_containers.build.patterns import Pattern, literal, tree_pattern
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern; ``negated`` includes its matches again."""

    pattern: str
    negated: bool
    expression: Pattern


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """Patterns in the order of the file."""

    rules: tuple[Rule, ...] = ()

    @classmethod
    def parse(cls, text: str, name: str = ".dockerignore") -> IgnoreRules:
        """Return the rules of an ignore file; raise :class:`InvalidArgumentError` for a bad one."""
        lines = text.removeprefix("\ufeff").splitlines()
        return cls.of([one.strip() for one in lines if one.strip() and one[0] != "#"], name)

    @classmethod
    def of(cls, patterns: Iterable[str], name: str = "") -> IgnoreRules:
        """Return the rules of patterns (``--exclude``, or the lines of a file)."""
        rules: list[Rule] = []
        for line in patterns:
            negated = line.startswith("!")
            pattern = line[1:].strip() if negated else line
            if not pattern:
                raise InvalidArgumentError(f"{name}: a pattern is missing after '!'".lstrip(": "))
            pattern = posixpath.normpath(pattern)
            pattern = "/" + pattern.lstrip("/") if pattern.startswith("/") else pattern
            if len(pattern) > 1:
                pattern = pattern.removeprefix("/")
            try:
                rules.append(Rule(pattern, negated, tree_pattern(pattern)))
            except InvalidArgumentError as error:
                raise InvalidArgumentError(f"{name}: {error.message}".lstrip(": ")) from error
        return cls(tuple(rules))

    def without(self, folder: str) -> IgnoreRules:
        """Return the rules that also exclude ``folder`` (relative, taken literally)."""
        return IgnoreRules((*self.rules, Rule(folder, False, literal(folder))))

    def __bool__(self) -> bool:
        return bool(self.rules)

    def ignores(self, path: str) -> bool:
        """Return whether the file or folder ``path`` (relative, with ``/``) is excluded."""
        verdict = self.start()
        parts = path.split("/")
        for count in range(1, len(parts) + 1):
            verdict = self.step(verdict, "/".join(parts[:count]))
        return self.verdict(verdict)

    # A walk carries, for each folder, the rules that matched it or a folder above it, so that every
    # path is matched once and not once for each of its parents.

    def start(self) -> int:
        """Return the state of a walk at the context's root."""
        return 0

    def step(self, above: int, path: str) -> int:
        """Return the state at ``path``, whose folder has the state ``above``."""
        state = above
        for index, rule in enumerate(self.rules):
            if not state >> index & 1 and rule.expression.fullmatch(path):
                state |= 1 << index
        return state

    def verdict(self, state: int) -> bool:
        """Return whether a path with this state is excluded."""
        return state != 0 and not self.rules[state.bit_length() - 1].negated

    def may_return(self, path: str, state: int) -> bool:
        """Return whether a rule could include something below the excluded ``path`` again."""
        last = state.bit_length() - 1
        return any(
            rule.negated and _could_match_below(rule.pattern, path)
            for rule in self.rules[last + 1 :]
        )


def _could_match_below(pattern: str, folder: str) -> bool:
    wanted, given = pattern.split("/"), folder.split("/")
    for index, name in enumerate(given):
        if index >= len(wanted):
            # The pattern names a folder above: a match would already have included it again.
            return False
        if "**" in wanted[index]:
            return True
        try:
            if not tree_pattern(wanted[index]).fullmatch(name):
                return False
        except InvalidArgumentError:  # a slash within brackets: not a separate name
            return True
    return len(wanted) > len(given)
