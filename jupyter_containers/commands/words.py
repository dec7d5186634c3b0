"""The values that a command's declaration is made of.

A *flag* is ``--name`` with an optional letter; an *operand* is a word without dash.  ``rest`` is
the operand that swallows everything after it (``COMMAND [ARG…]``): a verb that has one ends its
flags at the first operand, so that ``run IMAGE ls -l`` gives ``-l`` to ``ls``.

A verb also declares how it is shown: its examples, what a terminal prints of its value, the live
view of a notebook, the remark after an interrupt.  No other module names a verb.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Literal

from jupyter_containers.options.flag import Flag

__all__ = [
    "Call",
    "Flag",
    "Interrupted",
    "Live",
    "Operand",
    "Parsed",
    "Verb",
    "View",
]

Arity = Literal["one", "optional", "some", "any", "rest"]
# A command line without the program's name, and what it does (may be empty).  All of them are
# about one small world: the images app:1 and app:2, made from the folder app; the containers web
# and db, which run, and job, which has ended; a network backend, a volume data and a registry on
# port 5000 of this machine.
Example = tuple[str, str]


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


class View(Enum):
    """The live views of a notebook's page."""

    STATS = auto()
    DASHBOARD = auto()
    LAYERS = auto()
    NETWORK = auto()
    EXPLANATION = auto()


@dataclass(frozen=True, slots=True)
class Live:
    """A result that goes on changing where it is shown.

    ``asked_by`` is the flag that asks for it, empty where the result is always live; a flag of
    ``unless`` asks for a still one.  ``in_terminal`` is true where a terminal draws the result
    every second, as a page has the view.
    """

    view: View
    asked_by: str = ""
    unless: tuple[str, ...] = ()
    in_terminal: bool = False

    def wanted(self, parsed: Parsed) -> bool:
        """Return whether the command as typed asks for it."""
        asked = not self.asked_by or bool(parsed.flag(self.asked_by))
        return asked and not any(parsed.flag(key) for key in self.unless)


@dataclass(frozen=True, slots=True)
class Interrupted:
    """What a notebook says when the command was interrupted.

    ``kept`` is what has become of its work, unless the engine noted something else; ``advice``
    follows when one of the flags ``advised_with`` was given.
    """

    kept: str = ""
    advice: str = ""
    advised_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A handler that passes the command on to one method, and nothing else.

    ``method`` is its path from the engine.  Operands are its arguments in their order, flags its
    keywords.  With ``each`` it is called once for every word of that operand; ``progress`` shows
    its events, unless ``--quiet`` is given.  ``gives`` is the command's value: what the method
    returns (``value``), the ``id`` of that, its items or the results of all calls (``lines``),
    the ``names`` that were given, or ``nothing``.
    """

    method: str
    gives: Literal["value", "id", "lines", "names", "nothing"] = "value"
    each: str = ""
    progress: bool = False


@dataclass(frozen=True, slots=True)
class Verb:
    """One command: ``handler`` is ``module:function`` below :mod:`..commands.verbs`, or a call.

    ``aliases`` are further full spellings (``container ls`` for ``ps``).  ``reads_stdin`` is true
    where the body of a cell, or the terminal's input, has a meaning; ``takes_paths`` where words
    are paths of this machine, which need not be UTF-8.  ``notebook_flags`` exist in cells only.

    ``starts`` is what the verb starts and waits for: the program of a new container, or a command
    in a running one.  A cell's text can be that program, and exit codes can be its own.

    ``prints`` is what a terminal prints of the value: its text, its ``id``, or the image's name as
    it was typed (``familiar``; ``reference`` in full).  ``surplus`` is a hint for too many words.
    """

    name: str
    help: str
    handler: str | Call
    flags: tuple[Flag, ...] = ()
    operands: tuple[Operand, ...] = ()
    aliases: tuple[str, ...] = ()
    reads_stdin: bool = False
    takes_paths: bool = False
    notebook_flags: tuple[Flag, ...] = ()
    starts: Literal["", "container", "command"] = ""
    prints: Literal["text", "id", "familiar", "reference"] = "text"
    live: Live | None = None
    interrupted: Interrupted = field(default_factory=Interrupted)
    examples: tuple[Example, ...] = ()
    surplus: str = ""

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
