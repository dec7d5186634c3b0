r"""File name patterns in two dialects, compiled to regular expressions.

``glob`` is Go's ``filepath.Match``: ``*`` and ``?`` stay within one path component, ``[a-z]`` and
``[^a]`` are classes, ``\`` escapes.  ``tree_pattern`` adds ``**`` for any number of components, as
``.dockerignore`` and ``--exclude`` have it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from jupyter_containers.errors import InvalidArgumentError


def has_wildcard(text: str) -> bool:
    """True when ``text`` holds an unescaped ``*``, ``?`` or ``[``."""
    return re.search(r"[*?\[]", re.sub(r"\\.", "", text)) is not None


def unescape(text: str) -> str:
    """Return the literal name that a pattern without wildcards means."""
    return re.sub(r"\\(.)", r"\1", text)


@lru_cache(maxsize=512)
def glob(pattern: str) -> re.Pattern[str]:
    """Return the expression that matches what Go's ``filepath.Match`` matches."""
    return _compiled(pattern, tree=False)


@lru_cache(maxsize=512)
def tree_pattern(pattern: str) -> re.Pattern[str]:
    """Return the expression of a ``.dockerignore`` pattern, ``**`` included."""
    return _compiled(pattern, tree=True)


def _compiled(pattern: str, *, tree: bool) -> re.Pattern[str]:
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if tree and pattern.startswith("**", at):
            at += 2
            while pattern.startswith("*", at):
                at += 1
            if pattern.startswith("/", at):
                at += 1
                parts.append("(?:.*/)?")
            else:
                parts.append(".*")
            continue
        at += 1
        if character == "*":
            if parts[-1:] != ["[^/]*"]:
                parts.append("[^/]*")
        elif character == "?":
            parts.append("[^/]")
        elif character == "[":
            text, at = _class(pattern, at)
            parts.append(text)
        elif character == "\\":
            if at == len(pattern):
                raise InvalidArgumentError(f"invalid pattern {pattern!r}: ends in a backslash")
            parts.append(re.escape(pattern[at]))
            at += 1
        else:
            parts.append(re.escape(character))
    return re.compile("".join(parts), re.DOTALL)


def _class(pattern: str, at: int) -> tuple[str, int]:
    """Return the expression of the class whose ``[`` stands before ``at``, and its end."""
    negated = pattern.startswith("^", at)
    at += negated
    ranges: list[str] = []
    while True:
        if pattern.startswith("]", at) and ranges:
            break
        low, at = _class_member(pattern, at)
        high = low
        if pattern.startswith("-", at):
            high, at = _class_member(pattern, at + 1)
        if low <= high:
            ranges.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            # Go accepts a reversed range, which matches nothing.
            ranges.append("")
    body = "".join(ranges)
    if not body:
        return ("[^/]" if negated else "(?!)"), at + 1
    return (f"[^/{body}]" if negated else f"(?!/)[{body}]"), at + 1


def _class_member(pattern: str, at: int) -> tuple[str, int]:
    character = pattern[at : at + 1]
    if character == "\\":
        at += 1
        character = pattern[at : at + 1]
    elif character in ("-", "]"):
        character = ""
    if not character:
        raise InvalidArgumentError(f"invalid pattern {pattern!r}: bad character class")
    return character, at + 1
