"""The languages of sessions: the commands that start an agent, and its program.

A new language is one program that uses the frames described in :mod:`.python_agent`, and one entry
here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass

# Reads one program, whose length is the first line; the frames follow on the same file.
_PYTHON = (
    "import os\nf=os.fdopen(os.dup(0),'rb')\n"
    "n,m=map(int,f.readline().split())\n"
    "p,v=f.read(n),f.read(m).decode()\n"
    "exec(compile(p,'<session agent>','exec'),"
    "{'__name__':'session_agent','source':f,'values_source':v})"
)


@dataclass(frozen=True, slots=True)
class Language:
    """A language: the first of ``commands`` that the image has runs the agent's ``program``."""

    name: str
    commands: tuple[tuple[str, ...], ...]
    program: Callable[[], bytes]


def _python_program() -> bytes:
    from jupyter_containers.engine.containers import inside_python
    from jupyter_containers.engine.sessions import python_agent

    agent = Path(python_agent.__file__).read_bytes()
    values = Path(inside_python.__file__).read_bytes()
    return b"%d %d\n" % (len(agent), len(values)) + agent + values


LANGUAGES: Mapping[str, Language] = {
    "python": Language(
        "python",
        (("python3", "-u", "-c", _PYTHON), ("python", "-u", "-c", _PYTHON)),
        _python_program,
    ),
}


def language(name: str) -> Language:
    """Return a language; raise :class:`InvalidArgumentError` for an unknown one."""
    found = LANGUAGES.get(name)
    if found is None:
        raise InvalidArgumentError(
            f"sessions do not know the language {name!r}", hint=f"one of {', '.join(LANGUAGES)}"
        )
    return found
