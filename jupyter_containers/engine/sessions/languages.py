"""The languages of sessions: the commands that start an agent, and its program.

A new language is one program that uses the protocol of ``docs/extensions/session-protocol.md``, and
one entry here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from jupyter_containers.engine.sessions import r, shell
from jupyter_containers.engine.sessions.dialects import Dialect, Framed, Marked
from jupyter_containers.engine.sessions.frames import encoded
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass

# Reads one program, whose length is the first line; the frames follow on the same file.
_PYTHON = (
    "import os\nf=os.fdopen(os.dup(0),'rb')\n"
    "p,v,d=[f.read(int(n)) for n in f.readline().split()]\n"
    "exec(compile(p,'<session agent>','exec'),"
    "{'__name__':'session_agent','source':f,'values_source':v,'displays_source':d})"
)
_NODE = (
    "{const f=require('fs');const b=n=>{const d=Buffer.alloc(n);let i=0;while(i<n)try{"
    "i+=f.readSync(0,d,i,n-i,null)}catch(e){if(e.code!='EAGAIN')throw e}return d};"
    "const p=b(b(4).readUInt32BE(0)).toString();"
    "require('vm').runInThisContext('(function(require){'+p+'\\n})',{filename:'session:agent'})"
    "(require)}"
)
_R = (
    "input<-file('stdin','rb',raw=TRUE);n<-as.integer(readLines(input,1));p<-rawToChar(readBin(input,'raw',n));"
    "Encoding(p)<-'UTF-8';eval(parse(text=p,keep.source=FALSE),list2env(list(input=input)))"
)
# R does not start without a place for temporary files.
_R_SHELL = f'[ -w "${{TMPDIR:-/tmp}}" ] || export TMPDIR=/dev/shm; exec Rscript --vanilla -e "{_R}"'


@dataclass(frozen=True, slots=True)
class Language:
    """A language: the first of ``commands`` that the image has runs the agent's ``program``.

    ``program`` returns the bytes to send for a dialect that ``dialect`` made with the largest size
    of a value.
    """

    name: str
    commands: tuple[tuple[str, ...], ...]
    dialect: Callable[[int], Dialect]
    program: Callable[[Dialect], bytes]
    extension: str = ".txt"

    @property
    def tried(self) -> str:
        """The programs that an image may have."""
        return " or ".join(dict.fromkeys(_program_of(command) for command in self.commands))


def _program_of(command: tuple[str, ...]) -> str:
    return "Rscript" if command[:2] == ("/bin/sh", "-c") else command[0]


def _python_program(dialect: Dialect) -> bytes:
    from jupyter_containers.engine.containers import inside_python
    from jupyter_containers.engine.sessions import python_agent, python_displays

    del dialect
    files = [Path(str(one.__file__)) for one in (python_agent, inside_python, python_displays)]
    texts = [file.read_bytes() for file in files]
    return b" ".join(b"%d" % len(text) for text in texts) + b"\n" + b"".join(texts)


def _marked(file: str, dialect: Dialect) -> bytes:
    """Return an agent's file with the mark in its place."""
    assert isinstance(dialect, Marked)  # that of its entry below
    text = Path(__file__).with_name(file).read_bytes()
    return text.replace(b"@MARK@", dialect.mark.encode())


def _write_frame(kind: str, body: bytes, fields: Mapping[str, Any]) -> bytes:
    """Return a frame; an interrupt is a signal only."""
    return b"" if kind == "interrupt" else encoded(kind, body, fields)


def _r_program(dialect: Dialect) -> bytes:
    agent = _marked("r_agent.R", dialect)
    return b"%d\n" % len(agent) + agent


def _node_program(dialect: Dialect) -> bytes:
    agent = _marked("node_agent.js", dialect)
    return len(agent).to_bytes(4, "big") + agent


LANGUAGES: Mapping[str, Language] = {
    one.name: one
    for one in (
        Language(
            "python",
            (("python3", "-u", "-c", _PYTHON), ("python", "-u", "-c", _PYTHON)),
            Framed,
            _python_program,
            ".py",
        ),
        Language(
            "r",
            (("/bin/sh", "-c", _R_SHELL),),
            lambda limit: Marked(limit, r.write),
            _r_program,
            ".r",
        ),
        Language(
            "node",
            (("node", "-e", _NODE), ("nodejs", "-e", _NODE)),
            lambda limit: Marked(limit, _write_frame),
            _node_program,
            ".js",
        ),
        Language(
            "shell",
            (("bash", "--norc", "--noprofile", "--noediting", "-i"), ("sh", "-i")),
            lambda limit: Marked(limit, shell.write),
            lambda dialect: _marked("shell_agent.sh", dialect),
            ".sh",
        ),
    )
}
_PROGRAMS = {
    "python": "python",
    "python3": "python",
    "R": "r",
    "Rscript": "r",
    "node": "node",
    "nodejs": "node",
}


def language(name: str) -> Language:
    """Return a language; raise :class:`InvalidArgumentError` for an unknown one."""
    found = LANGUAGES.get(name.lower())
    if found is None:
        raise InvalidArgumentError(
            f"sessions do not know the language {name!r}", hint=f"one of {', '.join(LANGUAGES)}"
        )
    return found


def language_of(words: Sequence[str]) -> Language | None:
    """Return the language of an image by its command; None if it names none."""
    name = _PROGRAMS.get(PurePath(words[0]).name.split(".")[0]) if words else None
    return None if name is None else LANGUAGES[name]
