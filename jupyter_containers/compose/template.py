"""Variables in text: ``$A``, ``${A}``, ``${A:-b}``, ``${A:?e}``, ``${A:+b}``, ``$$``.

Without the colon only an unset variable counts as missing, not an empty one.

The word after an operator may contain variables. A dollar sign that begins none of these forms
is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_patterns import pattern

_NAME = pattern(r"[_a-zA-Z][_a-zA-Z0-9]*")
_OPERATORS = (":-", ":?", ":+", "-", "?", "+")
MAX_NESTING = 50
MAX_LENGTH = 4 * 1024 * 1024


class TemplateError(Exception):
    """A variable in a text cannot be replaced."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One use of a variable in a text."""

    name: str
    required: bool = False
    default: str = ""
    alternative: str = ""


class Template:
    """Replaces variables by ``values``; calls ``unset(name)`` for each without a value."""

    def __init__(self, values: Mapping[str, str], unset: Callable[[str], None]) -> None:
        self._values, self._unset = values, unset
        self._length = 0

    def replaced(self, text: str) -> str:
        """Return ``text`` with its variables replaced; raise :class:`TemplateError`."""
        return self._expand(text, 0) if "$" in text else text

    def _expand(self, text: str, depth: int) -> str:
        if depth > MAX_NESTING:
            raise TemplateError(f"variables are nested more than {MAX_NESTING} deep")
        parts: list[str] = []
        position = 0
        while (dollar := text.find("$", position)) >= 0:
            parts.append(text[position:dollar])
            value, position = self._one(text, dollar, depth)
            parts.append(value)
        parts.append(text[position:])
        expanded = "".join(parts)
        if len(expanded) > MAX_LENGTH:
            raise TemplateError("the text becomes too long")
        return expanded

    def _one(self, text: str, dollar: int, depth: int) -> tuple[str, int]:
        following = text[dollar + 1 : dollar + 2]
        if following == "$":
            return "$", dollar + 2
        if following == "{":
            end = closing(text, dollar + 2)
            if end < 0:
                raise TemplateError(f"invalid interpolation format: {text[dollar:]!r} has no }}")
            return self._braced(text[dollar + 2 : end], depth), end + 1
        found = _NAME.match(text, dollar + 1)
        if found is None:
            return "$", dollar + 1
        return self._value(found[0]), found.end()

    def _value(self, name: str) -> str:
        value = self._values.get(name)
        if value is None:
            self._unset(name)
            return ""
        return value

    def _braced(self, body: str, depth: int) -> str:
        found = _NAME.match(body)
        if found is None or "\n" in body:
            raise TemplateError(f"invalid interpolation format: ${{{body}}}")
        name, rest = found[0], body[found.end() :]
        if not rest:
            return self._value(name)
        operator = next((one for one in _OPERATORS if rest.startswith(one)), "")
        if not operator:
            raise TemplateError(f"invalid interpolation format: ${{{body}}}")
        word = rest[len(operator) :]
        value = self._values.get(name)
        given = bool(value) if operator[0] == ":" else value is not None
        if operator[-1] == "-":
            return (value or "") if given else self._expand(word, depth + 1)
        if operator[-1] == "+":
            return self._expand(word, depth + 1) if given else ""
        if not given:
            reason = self._expand(word, depth + 1)
            said = f": {reason}" if reason else ""
            raise TemplateError(f"required variable {name} is missing a value{said}")
        return value or ""


def closing(text: str, start: int) -> int:
    """Return the index of the brace that closes the one before ``start``, or -1."""
    depth, position = 1, start
    while position < len(text):
        character = text[position]
        if character == "{":
            depth, position = depth + 1, position + 2
            continue
        if character == "}":
            depth -= 1
            if not depth:
                return position
        position += 1
    return -1


def variables(text: str) -> list[Variable]:
    """Return the variables in a text, including those nested in words."""
    found: list[Variable] = []
    position = 0
    while (dollar := text.find("$", position)) >= 0:
        position = dollar + 2
        if text[dollar + 1 : dollar + 2] == "{":
            end = closing(text, dollar + 2)
            body = text[dollar + 2 : end] if end >= 0 else ""
            match = _NAME.match(body)
            if match is None:
                continue
            position = end + 1
            rest = body[match.end() :]
            operator = next((one for one in _OPERATORS if rest.startswith(one)), "")
            word = rest[len(operator) :]
            found.append(
                Variable(
                    match[0],
                    operator.endswith("?"),
                    word if operator.endswith("-") else "",
                    word if operator.endswith("+") else "",
                )
            )
            found += variables(word)
        elif (match := _NAME.match(text, dollar + 1)) is not None:
            found.append(Variable(match[0]))
            position = match.end()
    return found
