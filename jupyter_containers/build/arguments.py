"""Parses the arguments after a keyword: JSON arrays, words, name=value pairs, flags.

Quotes and escapes stay in the words: they are removed when variables are expanded.  Every function
raises :class:`ValueError` with a clear message; the caller adds the lines.  A
:class:`MisplacedError` also names the word.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from jupyter_containers.lazy_modules import json


class MisplacedError(ValueError):
    """A word is not acceptable; ``word`` is as written."""

    def __init__(self, message: str, word: str) -> None:
        super().__init__(message)
        self.word = word


def json_array(text: str) -> tuple[str, ...] | None:
    """Return the strings of a JSON array, or None if ``text`` is not a JSON array.

    Raises :class:`ValueError` for a valid array with anything but strings.
    """
    if not text.startswith("["):
        return None
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(item, str) for item in value):
        raise ValueError("only strings are allowed in the JSON array of an exec form")
    # Half of a surrogate pair is valid JSON but not text; it becomes U+FFFD, as in Go.
    return tuple(
        item.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for item in value
    )


def _refuse(name: str) -> object:
    raise ValueError(name)


def words(text: str, escape: str) -> tuple[str, ...]:
    """Return the words of ``text``, split at white space outside quotes and escapes."""
    result: list[str] = []
    word: list[str] = []
    quote = ""
    at = 0
    while at < len(text):
        character = text[at]
        at += 1
        if not quote and character.isspace():
            if word:
                result.append("".join(word))
                word = []
            continue
        if character == escape and quote != "'":
            if at == len(text):
                break
            word += (character, text[at])
            at += 1
            continue
        if quote and character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote = character
        word.append(character)
    if word:
        result.append("".join(word))
    return tuple(result)


def pairs(text: str, escape: str) -> tuple[tuple[tuple[str, str], ...], bool]:
    """Return the pairs of ENV or LABEL, and whether they had the old form ``name value``."""
    cut = words(text, escape)
    if not cut:
        raise ValueError("at least one name=value is required")
    if "=" not in cut[0]:
        parts = text.split(None, 1)
        if len(parts) < 2:
            raise ValueError(f"no value for {cut[0]!r}: write {cut[0]}=value")
        return ((parts[0], parts[1]),), True
    result: list[tuple[str, str]] = []
    for word in cut:
        name, equals, value = word.partition("=")
        if not equals:
            raise MisplacedError(
                f"can't find = in {word!r}: write name=value, and quote white space", word
            )
        if not name:
            raise ValueError("names can not be blank")
        result.append((name, value))
    return tuple(result), False


class Flags:
    """The ``--name[=value]`` words of one instruction, checked against its known flags."""

    def __init__(self, given: Iterable[str], known: Mapping[str, str]) -> None:
        """``known`` maps a flag to its kind: ``one`` value, ``many`` or ``switch``."""
        self.values: dict[str, list[str]] = {}
        for flag in given:
            name, equals, value = flag[2:].partition("=")
            kind = known.get(name)
            if kind is None:
                raise MisplacedError(f"unknown flag: --{name}" + _nearest(name, known), f"--{name}")
            if kind != "many" and name in self.values:
                raise MisplacedError(f"duplicate flag specified: --{name}", flag)
            if kind == "switch":
                value = value.lower() if equals else "true"
                if value not in ("true", "false"):
                    raise MisplacedError(
                        f"expecting a boolean value for --{name}, not {value!r}", flag
                    )
            elif not equals:
                raise MisplacedError(f"missing a value on flag: --{name}", flag)
            self.values.setdefault(name, []).append(value)

    def one(self, name: str) -> str:
        """Return the flag's value, or empty text."""
        return self.values.get(name, [""])[0]

    def many(self, name: str) -> tuple[str, ...]:
        """Return every value of the flag."""
        return tuple(self.values.get(name, ()))

    def switch(self, name: str) -> bool:
        """Return whether the flag is on."""
        return self.one(name) == "true"


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1, 0.6)
    return f" (did you mean --{near[0]}?)" if near else ""
