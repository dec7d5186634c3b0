"""Files of variables: ``.env``, ``--env-file`` and a service's ``env_file``.

A line is ``NAME=value`` or ``NAME: value``, optionally after ``export``. Text in single quotes is
literal; in double quotes or none, variables are replaced, by the caller's values first, then by
the lines above; double quotes allow escapes. A value without quotes ends at `` #``.
A bare name takes the caller's value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from jupyter_containers.compose.problems import FileError
from jupyter_containers.compose.template import Template, TemplateError
from jupyter_containers.lazy_patterns import pattern

_NAME = pattern(r"[A-Za-z0-9_.\-\[\]]+")
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPE = pattern(r"\\(0\d{0,3}|.)", re.DOTALL)


def parse(text: str, outer: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a file; raise :class:`FileError` at the line of a mistake."""
    return _Reader(text.removeprefix("\ufeff").replace("\r\n", "\n"), outer, before).read()


def parse_raw(text: str, outer: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a file of the format ``raw``, in which values are literal."""
    values = dict(before)
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n")):
        line = line.lstrip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not name or any(character.isspace() for character in name.rstrip() + name[-1:]):
            raise FileError(f"variable {name!r} contains whitespace", mark=(number, 0))
        if equals:
            values[name] = value
        elif name in outer:
            values[name] = outer[name]
    return values


class _Reader:
    def __init__(self, text: str, outer: Mapping[str, str], before: Mapping[str, str]) -> None:
        self._text, self._outer = text, outer
        self._values = dict(before)
        self._at = 0

    def read(self) -> dict[str, str]:
        while self._skip_blank():
            self._statement()
        return self._values

    def _skip_blank(self) -> bool:
        while self._at < len(self._text):
            if self._text[self._at].isspace():
                self._at += 1
            elif self._text[self._at] == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            else:
                return True
        return False

    def _problem(self, message: str) -> FileError:
        before = self._text[: self._at]
        return FileError(message, mark=(before.count("\n"), len(before) - before.rfind("\n") - 1))

    def _statement(self) -> None:
        export = re.compile(r"export[ \t]+").match(self._text, self._at)
        if export:
            self._at = export.end()
        found = _NAME.match(self._text, self._at)
        if found is None:
            raise self._problem(
                f"unexpected character {self._text[self._at]!r} in a variable's name"
            )
        self._at = found.end()
        while self._peek() in (" ", "\t"):
            self._at += 1
        if self._peek() in ("=", ":"):
            self._at += 1
            self._values[found[0]] = self._value()
        elif self._peek() in ("", "\n", "#"):
            if found[0] in self._outer:
                self._values[found[0]] = self._outer[found[0]]
        else:
            raise self._problem(f"unexpected character {self._peek()!r} in a variable's name")

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _value(self) -> str:
        while self._peek() in (" ", "\t"):
            self._at += 1
        quote = self._peek()
        if quote not in ('"', "'"):
            end = self._text.find("\n", self._at)
            end = len(self._text) if end < 0 else end
            line = self._text[self._at : end]
            comment = re.search(r"(^|\s)#", line)
            value = (line[: comment.start()] if comment else line).strip()
            value = self._expanded(value)
            self._at = end
            return value
        end = self._closing(quote)
        inner = self._text[self._at + 1 : end]
        if quote == '"':
            inner = self._expanded(_ESCAPE.sub(_unescaped, inner))
        else:
            inner = inner.replace("\\'", "'")
        self._at = end + 1
        rest_end = self._text.find("\n", self._at)
        rest_end = len(self._text) if rest_end < 0 else rest_end
        self._at = rest_end
        return inner

    def _closing(self, quote: str) -> int:
        position = self._at + 1
        while position < len(self._text):
            if self._text[position] == "\\":
                position += 2
            elif self._text[position] == quote:
                return position
            else:
                position += 1
        raise self._problem("the closing quote is missing")

    def _expanded(self, value: str) -> str:
        merged = {**self._values, **self._outer}
        try:
            return Template(merged, lambda _: None).replaced(value)
        except TemplateError as error:
            raise self._problem(str(error)) from error


def _unescaped(found: re.Match[str]) -> str:
    code = found[1]
    if code[0] == "0" and len(code) > 1:
        return chr(int(code, 8)) if set(code) <= set("01234567") else found[0]
    if code == "$":
        return "$$"
    if code in ('"', "\\"):
        return code
    return _ESCAPES.get(code, found[0])
