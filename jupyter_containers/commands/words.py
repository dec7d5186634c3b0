"""The values that a command's declaration is made of.

A *flag* is ``--name`` with an optional letter; an *operand* is a word without dash.  ``rest`` is
the operand that swallows everything after it (``COMMAND [ARG…]``): a verb that has one ends its
flags at the first operand, so that ``run IMAGE ls -l`` gives ``-l`` to ``ls``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jupyter_containers.options.flag import Flag

__all__ = ["Flag", "Operand", "Parsed", "Verb"]

Arity = Literal["one", "optional", "some", "any", "rest"]


@dataclass(frozen=True, slots=True)
class Operand:
    """One word, or several (``some``: one or more, ``any``: none or more), or the ``rest``."""

    name: str
    metavar: str
    arity: Arity = "one"

    @property
    def spelling(self) -> str:
        """The operand as a usage line shows it."""
        return {
            "one": self.metavar,
            "optional": f"[{self.metavar}]",
            "some": f"{self.metavar} [{self.metavar}...]",
            "any": f"[{self.metavar}...]",
            "rest": f"[{self.metavar}] [ARG...]",
        }[self.arity]


@dataclass(frozen=True, slots=True)
class Verb:
    """One command: ``handler`` is ``module:function`` below :mod:`..commands.verbs`.

    ``aliases`` are further full spellings (``container ls`` for ``ps``).  ``reads_stdin`` is true
    where the body of a cell, or the terminal's input, has a meaning.
    """

    name: str
    help: str
    handler: str
    flags: tuple[Flag, ...] = ()
    operands: tuple[Operand, ...] = ()
    aliases: tuple[str, ...] = ()
    reads_stdin: bool = False

    @property
    def stops_at_operand(self) -> bool:
        """True when flags end at the first operand."""
        return any(operand.arity == "rest" for operand in self.operands)

    @property
    def usage(self) -> str:
        """The usage line, without the program's name."""
        words = [self.name, *(["[OPTIONS]"] if self.flags else [])]
        return " ".join([*words, *(operand.spelling for operand in self.operands)])


@dataclass(frozen=True, slots=True)
class Parsed:
    """One command as typed: ``flags`` holds only the flags given, ``operands`` all of them.

    ``help`` is set when the words asked for the help text of ``topic`` (a verb's or a group's
    name, or empty for the overview); then ``verb`` may be None.
    """

    verb: Verb | None
    flags: Mapping[str, Any] = field(default_factory=dict)
    operands: Mapping[str, Any] = field(default_factory=dict)
    help: bool = False
    topic: str = ""

    def flag(self, key: str, default: Any = None) -> Any:
        """Return the flag's value, or ``default`` when it was not given."""
        return self.flags.get(key, default)
