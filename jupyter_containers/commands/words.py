"""The values of which a command's declaration consists.

A *flag* is ``--name`` with an optional letter; an *operand* is a word without a dash.  ``rest`` is
an operand that takes all remaining words (``COMMAND [ARG…]``): the flags of a verb that has one end
at the first operand, so that ``run IMAGE ls -l`` passes ``-l`` to ``ls``.

A verb also declares its presentation: examples, the text that a terminal prints, the live view in a
notebook, the remark after an interrupt.  No other module names a verb.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Literal

from jupyter_containers.lazy_dataclasses import dataclass, field
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
# A command line without the program's name, and its explanation (may be empty).  All examples use
# the same objects: the images app:1 and app:2, built from the folder app; the running containers
# web and db, and the ended container job; the network backend, the volume data, and a registry on
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
        """The operand as in a usage line."""
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
    """A result that is updated while it is shown.

    ``asked_by`` is the flag that requests it, empty if the result is always live; a flag in
    ``unless`` requests a static one.  ``in_terminal`` is true if a terminal redraws the result
    every second, like the view on a page.
    """

    view: View
    asked_by: str = ""
    unless: tuple[str, ...] = ()
    in_terminal: bool = False

    def wanted(self, parsed: Parsed) -> bool:
        """Return whether the command requests a live result."""
        asked = not self.asked_by or bool(parsed.flag(self.asked_by))
        return asked and not any(parsed.flag(key) for key in self.unless)


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The remark of a notebook after an interrupt.

    ``kept`` describes what remains of the work, unless the engine noted something else; ``advice``
    is added if one of the flags ``advised_with`` was given.
    """

    kept: str = ""
    advice: str = ""
    advised_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A handler that only calls one method.

    ``method`` is its path from the engine.  Operands are passed as arguments in order, flags as
    keywords.  With ``each`` the method is called once for every word of that operand; ``progress``
    shows its events, unless ``--quiet`` is given.  ``gives`` is the command's value: the method's
    result (``value``), the ``id`` of the result, its items or the results of all calls
    (``lines``), the ``names`` that were given, or ``nothing``.
    """

    method: str
    gives: Literal["value", "id", "lines", "names", "nothing"] = "value"
    each: str = ""
    progress: bool = False


@dataclass(frozen=True, slots=True)
class Verb:
    """One command: ``handler`` is ``module:function`` below :mod:`..commands.verbs`, or a call.

    ``aliases`` are other full spellings (``container ls`` for ``ps``).  ``reads_stdin`` is true if
    the verb uses the body of a cell, or the terminal's input; ``takes_paths`` if words are paths on
    this machine, which need not be UTF-8.  ``notebook_flags`` exist only in cells.

    ``reads`` is true if the verb only reads, or works in a container that runs: in a terminal, its
    engine does not look for what dead processes left behind.  ``needs_engine`` is false if the verb
    always works without one.

    ``starts`` is what the verb starts and waits for: a new container's program, or a command in a
    running one.  A cell's text can be this program, and its exit code becomes the command's.

    ``prints`` is the part of the value that a terminal prints: its text, its ``id``, or the image's
    name as typed (``familiar``; in full: ``reference``).  ``surplus`` is a hint for too many words.
    """

    name: str
    help: str
    handler: str | Call
    flags: tuple[Flag, ...] = ()
    operands: tuple[Operand, ...] = ()
    aliases: tuple[str, ...] = ()
    reads_stdin: bool = False
    takes_paths: bool = False
    needs_engine: bool = True
    reads: bool = False
    notebook_flags: tuple[Flag, ...] = ()
    starts: Literal["", "container", "command"] = ""
    prints: Literal["text", "id", "familiar", "reference"] = "text"
    live: Live | None = None
    interrupted: Interrupted = field(default_factory=Interrupted)
    examples: tuple[Example, ...] = ()
    surplus: str = ""

    @property
    def stops_at_operand(self) -> bool:
        """True if flags end at the first operand."""
        return any(operand.arity == "rest" for operand in self.operands)

    @property
    def usage(self) -> str:
        """The usage line, without the program's name."""
        words = [self.name, *(["[OPTIONS]"] if self.flags else [])]
        return " ".join([*words, *(operand.spelling for operand in self.operands)])


@dataclass(frozen=True, slots=True)
class Parsed:
    """A parsed command: ``flags`` has only the given flags, ``operands`` all operands.

    ``help`` is true if the words request the help text of ``topic`` (a verb's or a group's name,
    or empty for the overview); then ``verb`` may be None.
    """

    verb: Verb | None
    flags: Mapping[str, Any] = field(default_factory=dict)
    operands: Mapping[str, Any] = field(default_factory=dict)
    help: bool = False
    topic: str = ""

    def flag(self, key: str, default: Any = None) -> Any:
        """Return the flag's value, or ``default`` if it was not given."""
        return self.flags.get(key, default)
