r"""Patterns of file names and of shells, matched in time that grows with pattern times text.

``glob`` is Go's ``filepath.Match``: ``*`` and ``?`` stay within one path component, ``[a-z]`` and
``[^a]`` are classes, ``\`` escapes.  ``tree_pattern`` adds ``**`` for any number of components, as
in ``.dockerignore`` and ``--exclude``.  ``shell_pattern`` is the one in ``${x#pattern}``: ``*`` and
``?`` match every character, and there are no classes.

A pattern is a sequence of *items*; an *open* item matches any number of characters.  Backtracking
costs the text's length to the power of the number of open items, so regular expressions are used
only for patterns with few of them, and an automaton for the others: one bit for each item, all of
them shifted at once by every character (Baeza-Yates and Gonnet's Shift-And).  Patterns come with a
context from any source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass

# A regular expression with two open items costs at most the square of a path's length.
_BACKTRACKED_ITEMS = 2
_LONGEST = 16 * 1024  # characters; a path of Linux has at most 4 KiB


@dataclass(frozen=True, slots=True)
class One:
    """One character: within one of the ``ranges`` or, if ``negated``, in none of them."""

    ranges: tuple[tuple[str, str], ...] = ()
    negated: bool = False

    def __contains__(self, character: str) -> bool:
        return any(low <= character <= high for low, high in self.ranges) is not self.negated

    @property
    def letter(self) -> str | None:
        """The only matching character, if there is one."""
        alone = not self.negated and len(self.ranges) == 1 and len(set(self.ranges[0])) == 1
        return self.ranges[0][0] if alone else None

    @property
    def regex(self) -> str:
        """The item as a regular expression."""
        if self.letter is not None:
            return re.escape(self.letter)
        body = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in self.ranges)
        if not body:
            return "." if self.negated else "(?!)"
        return f"[{'^' if self.negated else ''}{body}]"


@dataclass(frozen=True, slots=True)
class Many:
    """Any number of the characters of ``one``."""

    one: One

    @property
    def regex(self) -> str:
        """The item as a regular expression."""
        return f"{self.one.regex}*"


@dataclass(frozen=True, slots=True)
class Folders:
    """Nothing, or any number of characters up to and with a slash: ``**/``."""

    regex: str = "(?:.*/)?"


Item = One | Many | Folders

_ANY = One(negated=True)
_NAME = One((("/", "/"),), negated=True)
_SLASH = One((("/", "/"),))


class Automaton:
    """Items as bits: bit *n* of a state means that the text so far matches the items before *n*."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._steps = _Masks()  # the bits that a character shifts to the next bit
        self._loops = _Masks()  # the bits at which a character is consumed without a shift
        self._skips = self._jumps = (
            0  # bits that lead to the next, or the next but one, without a character
        )
        self._moves: dict[str, tuple[int, int]] = {}
        bit = 1
        for item in items:
            if isinstance(item, One):
                self._steps.add(item, bit)
            elif isinstance(item, Many):
                self._skips |= bit
                self._loops.add(item.one, bit)
            else:
                # Two bits, because within it only a slash leads out.
                self._skips |= bit
                self._jumps |= bit
                bit <<= 1
                self._steps.add(_SLASH, bit)
                self._loops.add(_ANY, bit)
            bit <<= 1
        self._accepting = bit
        self._start = self._closed(1)

    def _closed(self, state: int) -> int:
        """Return the state with the bits that are reached without a character."""
        while True:
            wider = state | (state & self._skips) << 1 | (state & self._jumps) << 2
            if wider == state:
                return state
            state = wider

    def _add_move(self, character: str) -> tuple[int, int]:
        move = self._moves[character] = (self._steps.of(character), self._loops.of(character))
        return move

    def ends(self, text: str, start: int = 0, *, anywhere: bool = False) -> Iterator[int]:
        """Yield the ends of matches in ``text``, ascending.

        Matches begin at ``start``, or with ``anywhere`` at any position from there on.
        """
        state, moves = self._start, self._moves
        if state & self._accepting:
            yield start
        for at in range(start, len(text)):
            character = text[at]
            steps, loops = moves.get(character) or self._add_move(character)
            state = self._closed((state & steps) << 1 | state & loops)
            if anywhere:
                state |= self._start
            if not state:
                return
            if state & self._accepting:
                yield at + 1

    def fullmatch(self, text: str) -> bool:
        """Return whether the whole text matches."""
        return _chosen(self.ends(text), last=True) == len(text)


class _Masks:
    """The bits of each character."""

    def __init__(self) -> None:
        self._letters: dict[str, int] = {}
        self._others: dict[One, int] = {}

    def add(self, one: One, bit: int) -> None:
        if (letter := one.letter) is not None:
            self._letters[letter] = self._letters.get(letter, 0) | bit
        else:
            self._others[one] = self._others.get(one, 0) | bit

    def of(self, character: str) -> int:
        mask = self._letters.get(character, 0)
        for one, bits in self._others.items():
            if character in one:
                mask |= bits
        return mask


class Pattern:
    """A compiled pattern of file names."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = tuple(items)
        opened = sum(not isinstance(item, One) for item in self.items)
        self._fullmatch = (
            re.compile("".join(item.regex for item in self.items), re.DOTALL).fullmatch
            if opened <= _BACKTRACKED_ITEMS
            else Automaton(self.items).fullmatch
        )

    def fullmatch(self, text: str) -> bool:
        """Return whether the whole text matches."""
        return bool(self._fullmatch(text))


class ShellPattern:
    """A pattern of a shell's substitution, which also finds the positions of its matches."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._forward = Automaton(items)
        self._backward = Automaton(tuple(reversed(items)))

    def prefix(self, text: str, *, longest: bool) -> int | None:
        """Return the length of the shortest (or longest) match at the text's beginning."""
        return _chosen(self._forward.ends(text), last=longest)

    def suffix(self, text: str, *, longest: bool) -> int | None:
        """Return the length of the shortest (or longest) match at the text's end."""
        return _chosen(self._backward.ends(text[::-1]), last=longest)

    def replaced(self, text: str, replacement: str, *, every: bool) -> str:
        """Return the text with the first (or every) longest match replaced.

        An empty match next to the match before it does not count, as in Go's ``regexp``.
        """
        size = len(text)
        begins = [size - end for end in self._backward.ends(text[::-1], anywhere=True)]
        parts: list[str] = []
        done, after = 0, -1
        for begin in reversed(begins):
            if begin < done:
                continue
            end = _chosen(self._forward.ends(text, begin), last=True)
            if end is None or begin == end == after:
                continue
            parts += [text[done:begin], replacement]
            done = after = end
            if not every:
                break
        return "".join([*parts, text[done:]])


def _chosen(found: Iterator[int], *, last: bool) -> int | None:
    chosen = None
    for chosen in found:
        if not last:
            return chosen
    return chosen


def has_wildcard(text: str) -> bool:
    """Return whether ``text`` contains an unescaped ``*``, ``?`` or ``[``."""
    return re.search(r"[*?\[]", re.sub(r"\\.", "", text)) is not None


def unescape(text: str) -> str:
    """Return the literal name of a pattern without wildcards."""
    return re.sub(r"\\(.)", r"\1", text)


def literal(text: str) -> Pattern:
    """Return the pattern that matches ``text`` alone."""
    return Pattern([_letter(character) for character in text])


@lru_cache(maxsize=512)
def glob(pattern: str) -> Pattern:
    """Return a pattern with the syntax of Go's ``filepath.Match``."""
    return Pattern(file_items(pattern, tree=False))


@lru_cache(maxsize=512)
def tree_pattern(pattern: str) -> Pattern:
    """Return a pattern of ``.dockerignore``, ``**`` included."""
    return Pattern(file_items(pattern, tree=True))


def shell_pattern(pattern: str) -> ShellPattern:
    """Return the pattern of a substitution; raise :class:`InvalidArgumentError` for an escape."""
    items: list[Item] = []
    characters = iter(pattern)
    for character in characters:
        if character == "*":
            _append(items, Many(_ANY))
        elif character == "?":
            items.append(_ANY)
        elif character == "\\":
            escaped = next(characters, "")
            if not escaped or escaped not in "*?\\}/":
                raise InvalidArgumentError(f"invalid escape '\\{escaped}'")
            items.append(_letter(escaped))
        else:
            items.append(_letter(character))
    return ShellPattern(items)


def file_items(pattern: str, *, tree: bool) -> list[Item]:
    """Return the items of a pattern of file names."""
    if len(pattern) > _LONGEST:
        raise InvalidArgumentError("invalid pattern: longer than any path")
    items: list[Item] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if tree and pattern.startswith("**", at):
            while pattern.startswith("*", at):
                at += 1
            folders = pattern.startswith("/", at)
            at += folders
            _append(items, Folders() if folders else Many(_ANY))
            continue
        at += 1
        if character == "*":
            _append(items, Many(_NAME))
        elif character == "?":
            items.append(_NAME)
        elif character == "[":
            one, at = _class(pattern, at)
            items.append(one)
        elif character == "\\":
            if at == len(pattern):
                raise InvalidArgumentError(f"invalid pattern {pattern!r}: ends in a backslash")
            items.append(_letter(pattern[at]))
            at += 1
        else:
            items.append(_letter(character))
    return items


def _append(items: list[Item], item: Item) -> None:
    """Append an open item; an item included in the previous open item is dropped."""
    if items[-1:] != [item]:
        items.append(item)


@lru_cache(maxsize=512)
def _letter(character: str) -> One:
    return One(((character, character),))


def _class(pattern: str, at: int) -> tuple[One, int]:
    """Return the class whose ``[`` precedes ``at``, and its end; no class has a slash."""
    negated = pattern.startswith("^", at)
    at += negated
    ranges: list[tuple[str, str]] = []
    empty = True
    while empty or not pattern.startswith("]", at):
        low, at = _class_member(pattern, at)
        high = low
        if pattern.startswith("-", at):
            high, at = _class_member(pattern, at + 1)
        empty = False
        # Go accepts a reversed range, which matches nothing.
        ranges += [
            part for part in ((low, min(high, ".")), (max(low, "0"), high)) if part[0] <= part[1]
        ]
    if negated:
        ranges.append(("/", "/"))
    return One(tuple(ranges), negated), at + 1


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
