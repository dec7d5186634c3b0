"""Placeholders for ``{{expression}}``, since a forecast of a cell evaluates nothing.

Each expression is replaced by a *token*, a word that is in no build, so that nothing is found in
the cache for it.  The displayed texts contain the expressions again.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jupyter_containers.lazy_dataclasses import replace
from jupyter_containers.magics.line import EXPRESSION, is_expression

if TYPE_CHECKING:
    from jupyter_containers.build.result import StepReport

UNKNOWN = "its value is known only when the cell runs"
_PLAIN = (str, bytes, bytearray)


class Unknowns:
    """The expressions of one cell and their tokens."""

    def __init__(self) -> None:
        self._stem = f"unknown{secrets.token_hex(8)}x"
        self._expressions: list[str] = []

    def replaced(self, text: str) -> str:
        """Return a text with a token for every expression in it."""

        def token(match: re.Match[str]) -> str:
            if not is_expression(match[1]):
                return match[0]
            self._expressions.append(match[0])
            return f"{self._stem}{len(self._expressions) - 1}x"

        return EXPRESSION.sub(token, text)

    def shown(self, text: str) -> str:
        """Return a text with the expressions in place of the tokens."""
        return re.sub(
            rf"{self._stem}([0-9]+)x",
            lambda match: self._expressions[int(match[1])],
            text,
            flags=re.I,
        )

    def first_in(self, text: str) -> str:
        """Return the first expression whose token is in a text, or an empty string."""
        found = re.search(rf"{self._stem}([0-9]+)x", text, flags=re.I)
        return self._expressions[int(found[1])] if found else ""

    def explained(self, steps: Sequence[StepReport]) -> list[StepReport]:
        """Return the steps of a forecast, with a reason for those that contain an expression.

        An expression in the command line (such as a build argument) appears in no step; then the
        first step that is not cached gets the reason.
        """
        found: list[StepReport] = []
        said = not self._expressions
        for step in steps:
            expression = self.first_in(step.title)
            if expression and not step.cached:
                step, said = replace(step, reason=f"{expression}: {UNKNOWN}"), True
            elif not said and not step.cached:
                told = f"{self._expressions[0]}: {UNKNOWN}"
                step, said = replace(step, reason=f"{step.reason}; {told}".lstrip("; ")), True
            found.append(
                replace(step, title=self.shown(step.title), reason=self.shown(step.reason))
            )
        return found


def plain_values(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables that can be read without running their code: text and bytes.

    A dict of such values is included.
    """
    return {name: value for name, value in namespace.items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if type(value) is dict:
        return all(type(key) is str and type(one) in _PLAIN for key, one in value.items())
    return type(value) in _PLAIN
