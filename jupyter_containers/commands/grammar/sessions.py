"""The commands of sessions, and the lines of their cells."""

from __future__ import annotations

from jupyter_containers.commands.grammar.containers import CREATE_FLAGS
from jupyter_containers.commands.grammar.data import INPUT, RESULT
from jupyter_containers.commands.words import Call, Flag, Operand, Verb
from jupyter_containers.lazy_dataclasses import replace

# Reserved for the session itself: its first process, its pipe, its end.
_OWN = ("attach", "cidfile", "entrypoint", "init", "interactive", "restart", "rm", "tty")
_LANGUAGE = Flag("language", "Language of the cells (python)", values=("python",))
_TIMEOUT = Flag("timeout", "Interrupt a cell after so many seconds", metavar="seconds")
_START = (
    *(flag for flag in CREATE_FLAGS if flag.key not in _OWN),
    _LANGUAGE,
    _TIMEOUT,
)
_DATA = (
    replace(INPUT, help="Set this variable in the session first", short="i", metavar="NAME"),
    replace(RESULT, help="Take this variable from the session afterwards"),
)
_NAMES = Operand("names", "SESSION", "some")

VERBS: tuple[Verb, ...] = (
    Verb(
        "session start",
        "Start a container that %%session cells run in, one after the other",
        "sessions:start",
        _START,
        (Operand("image", "IMAGE"),),
        examples=(
            (
                "session start python:3.11-slim --name py311",
                "its cells: %%session py311",
            ),
            ("session start -m 2g -v data:/data app:1", "with any limit or volume of run"),
        ),
    ),
    Verb(
        "session ls",
        "List the sessions of this notebook",
        "sessions:ls",
        aliases=("session list",),
        examples=(("session ls", ""),),
    ),
    Verb(
        "session restart",
        "Replace the process of sessions: variables are lost, files stay",
        Call("sessions.restart", "names", each="names"),
        operands=(_NAMES,),
        examples=(("session restart py311", ""),),
    ),
    Verb(
        "session stop",
        "End sessions and remove their containers",
        Call("sessions.stop", "names", each="names"),
        operands=(_NAMES,),
        aliases=("session rm",),
        examples=(("session stop py311", ""),),
    ),
)

SESSION_CELL = Verb(
    "session",
    "Run the cell's text in a session",
    "sessions:start",
    (*_DATA, _TIMEOUT),
    (Operand("name", "SESSION", "optional"),),
)
SANDBOX_CELL = Verb(
    "sandbox",
    "Run the cell's text in a closed container that is removed afterwards",
    "sessions:start",
    (*_DATA, *_START),
    (Operand("image", "IMAGE", "optional"),),
)
