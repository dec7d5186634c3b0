"""File modes in ``--chmod``: octal (``0644``) or symbolic (``u=rwX,go=rX``)."""

from __future__ import annotations

import re

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_patterns import pattern

_CLAUSE = pattern(r"([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)")
_ACTION = pattern(r"([-+=])([ugo]|[rwxXst]*)")
_SHIFT = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 4, "w": 2, "x": 1}


@dataclass(frozen=True, slots=True)
class ModeChange:
    """A change of mode; ``octal`` is None for a symbolic one."""

    text: str
    octal: int | None

    @classmethod
    def parse(cls, text: str) -> ModeChange:
        """Return the change in ``text``; raise :class:`InvalidArgumentError`."""
        if re.fullmatch(r"[0-7]{1,5}", text) and int(text, 8) <= 0o7777:
            return cls(text, int(text, 8))
        if all(_CLAUSE.fullmatch(clause) for clause in text.split(",")):
            return cls(text, None)
        raise InvalidArgumentError(
            f"invalid chmod value {text!r}", hint="write 0644, 755 or u=rwX,go=rX"
        )

    def apply(self, mode: int, *, folder: bool) -> int:
        """Return the permission bits of a file of ``mode`` after the change."""
        mode &= 0o7777
        if self.octal is not None:
            return self.octal
        for clause in self.text.split(","):
            match = _CLAUSE.fullmatch(clause)
            assert match is not None
            who = match[1].replace("a", "ugo") or "ugo"
            for action, letters in _ACTION.findall(match[2]):
                mode = _changed(mode, who, action, letters, folder)
        return mode


def _changed(mode: int, who: str, action: str, letters: str, folder: bool) -> int:
    wanted = affected = 0
    for target in who:
        shift = _SHIFT[target]
        affected |= 7 << shift
        if letters and letters in "ugo":
            wanted |= (mode >> _SHIFT[letters] & 7) << shift
            continue
        bits = sum(bit for letter, bit in _BITS.items() if letter in letters)
        if "X" in letters and (folder or mode & 0o111):
            bits |= 1
        wanted |= bits << shift
        special = {"u": 0o4000, "g": 0o2000}.get(target, 0)
        affected |= special
        if "s" in letters:
            wanted |= special
    if "t" in letters:
        wanted |= 0o1000
    if action == "+":
        return mode | wanted
    if action == "-":
        return mode & ~wanted
    return (mode & ~affected) | wanted
