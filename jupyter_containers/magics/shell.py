"""Interprets lines written for a shell, without a shell.

Users paste lines from tutorials.  A prompt, ``sudo`` and the word ``docker`` before a command are
removed, and so is a comment at its end.  ``$(COMMAND)`` outside quotes is replaced by the command's
output, as with ``!``, and ``docker`` in it is this engine; ``$PWD`` and ``$(pwd)`` at the beginning
of a path are the kernel's folder, also in double quotes, and ``$HOME/…`` the user's.  Outside
quotes, ``$NAME`` is the kernel's environment variable.  Every other ``$`` is passed to the
container: in double quotes too, where ``sh -c "echo $i"`` needs it.  ``< FILE`` of ``load`` and
``> FILE`` of ``save`` and ``export`` become their flags.  Syntax that needs a shell (pipes, ``&&``,
``;``, ``&``) is refused with a hint, and so is a placeholder (``<image-id>``); in quotes it is an
ordinary word.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable

from jupyter_containers.commands.grammar import spellings
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.settings import Settings, environment

# Whole words, quotes and comments: the remainder begins an unclosed quote.
_CLOSED = pattern(r"""(?>\\.|'[^']*'|"(?:\\.|[^"\\])*"|(?<!\S)\#[^\n]*|[^'"\\])*+\\?""", re.DOTALL)

# Returns the output of a shell command.
Answer = Callable[[str], str]

_BEFORE = pattern(
    r"\s*(\$\s+)?(sudo\s+)?((docker|podman|[%!]?jupyter[ -]container|%container)(?=\s|$))?\s*"
)
_OPERATOR = pattern(r"(&&|\|\|?|[012]?>>?(?:&[012])?|<|&)(?=\s|$)|([012]?>>?|<<?)(?=[^\s(])")
_HERE = re.compile(r"\$PWD\b|\$\{PWD\}|\$\(pwd\)|`pwd`")
_HOME = re.compile(r"\$HOME(?=[/:])|\$\{HOME\}(?=[/:])")
_VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})", re.ASCII)
_PLACEHOLDER = re.compile(r"<[A-Za-z][\w .-]*>")
_QUOTED = "in quotes it is passed to the container"
_INSTEAD = {
    "|": "a result is a Python value (x = %container …); in a shell: !jupyter container … | …",
    "&": "run -d runs in the background",
    ">": "x = %container … keeps a result; in a shell: !jupyter container … > FILE",
    "<": "%%container run -i … passes the lines below to the container",
    ";": "%%container takes several commands, one per line",
}


def without_shell(line: str, answer: Answer | None) -> str:
    """Return a line that :func:`shlex.split` can split into words.

    ``answer`` runs a command of ``$(…)``; without it, ``$(…)`` is refused.
    Raises :class:`InvalidArgumentError` for syntax that needs a shell.
    """
    return _Reader(line[_end(_BEFORE.match(line)) :], answer).read()


def is_open(text: str) -> bool:
    """Return whether a quote is open at the end, so that the next line belongs to it."""
    return _CLOSED.fullmatch(text) is None


def printed(command: str, settings: Settings) -> str:
    """Return a shell's output for ``command``; ``docker`` in it is the engine of ``settings``.

    Raises :class:`InvalidArgumentError` if the command fails.
    """
    program = shlex.join([sys.executable, "-m", "jupyter_containers.cli"])
    done = subprocess.run(
        ["/bin/sh", "-c", f'docker() {{ {program} "$@"; }}\n{command}'],
        env={**os.environ, **environment(settings)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip() or f"exit code {done.returncode}"
        raise InvalidArgumentError(f"$({command}): {said}")
    return done.stdout


def _home() -> str:
    return os.path.expanduser("~")


def _value(name: str) -> str:
    """Return the kernel's environment variable ``name``."""
    if name not in os.environ:
        raise InvalidArgumentError(
            f"${name}: this kernel has no environment variable {name}",
            hint=f"'${name}' in single quotes is passed to the container; "
            f"{{{{{name}}}}} is the notebook's variable",
        )
    return os.environ[name]


def _end(match: re.Match[str] | None) -> int:
    return match.end() if match else 0


class _Reader:
    """Reads a line once; ``quote`` is the mark of the current quotation, or empty."""

    def __init__(self, line: str, answer: Answer | None) -> None:
        self._line, self._answer = line, answer
        self._verb = (line.split(maxsplit=1) or [""])[0]
        self._at, self._quote = 0, ""
        self._made: list[str] = []

    def read(self) -> str:
        while self._at < len(self._line):
            self._at += self._step()
        return "".join(self._made)

    def _step(self) -> int:
        """Process the text at the current position; return its length."""
        rest = self._line[self._at :]
        character = rest[0]
        if character == "\\" and self._quote != "'":
            return self._keep(rest[:2])
        if self._quote != "'" and self._begins_path():
            for pattern, folder in ((_HERE, os.getcwd), (_HOME, _home)):
                if found := pattern.match(rest):
                    self._made.append(self._quoted(folder()))
                    return found.end()
        if self._quote:
            self._quote = "" if character == self._quote else self._quote
            return self._keep(character)
        if character in "'\"":
            self._quote = character
            return self._keep(character)
        if rest.startswith("$(") or character == "`":
            return self._substitute(rest)
        if variable := _VARIABLE.match(rest):
            self._made.append(shlex.quote(_value(variable[1] or variable[2])))
            return variable.end()
        return self._sign(rest)

    def _sign(self, rest: str) -> int:
        """Process a character outside quotes that may have a meaning to a shell."""
        character = rest[0]
        if character == "#" and self._begins_word():
            return len(rest.partition("\n")[0])
        if character == ";" and (rest[1:2] or " ").isspace():
            if rest[1:].strip():
                raise _refusal(";")
            return len(rest)  # at the end it makes IPython hide the result
        if placeholder := _PLACEHOLDER.match(rest):
            raise InvalidArgumentError(
                f"{placeholder[0]} is a placeholder",
                hint="write a value in its place, without < and >",
            )
        operator = _OPERATOR.match(rest) if self._begins_word() else None
        return self._operate(rest, operator[0]) if operator else self._keep(character)

    def _keep(self, text: str) -> int:
        self._made.append(text)
        return len(text)

    def _begins_word(self) -> bool:
        return self._at == 0 or self._line[self._at - 1].isspace()

    def _begins_path(self) -> bool:
        before = self._line[self._at - 1] if self._at else " "
        if self._quote:  # in double quotes a space is part of the text: sh -c "cd $PWD"
            return before in '"='
        return before.isspace() or before == "="

    def _quoted(self, text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"') if self._quote else shlex.quote(text)

    def _substitute(self, rest: str) -> int:
        command, length = _command_in(rest)
        if self._answer is None:
            raise InvalidArgumentError(
                f"{rest[:length]} needs a shell, but no shell reads this line",
                hint="write a Python expression in double braces: {{name}}",
            )
        self._made.append(" ".join(map(shlex.quote, self._answer(command).split())))
        return length

    def _operate(self, rest: str, operator: str) -> int:
        sign = operator.lstrip("012")[:1]
        flag = _file_flag(self._verb, sign) if operator == sign else ""
        if not flag or not rest[len(operator) :].strip():
            raise _refusal(operator)
        self._made.append(f"{flag} ")
        return len(operator)


def _file_flag(word: str, sign: str) -> str:
    """Return the flag of a verb for the file of a redirection; empty if it has none."""
    verb = spellings().get(word)
    flags = verb.flags if verb else ()
    return next((f"-{flag.short}" for flag in flags if flag.redirect == sign), "")


def _refusal(operator: str) -> InvalidArgumentError:
    sign = ";" if operator in ("&&", "||") else operator.lstrip("012")[:1]
    return InvalidArgumentError(
        f"{operator!r} needs a shell, but this line is a single command without a shell",
        hint=f"{_INSTEAD[sign]}; {_QUOTED}",
    )


def _command_in(rest: str) -> tuple[str, int]:
    """Return the command of the substitution at the start of ``rest``, and the total length."""
    if rest[0] == "`":
        end = rest.find("`", 1)
    else:
        depth, end = 0, -1
        for index, character in enumerate(rest):
            depth += (character == "(") - (character == ")")
            if character == ")" and depth == 0:
                end = index
                break
    if end < 0:
        raise InvalidArgumentError(
            f"cannot split the command line: {rest[:20]!r} has no end", hint="close it"
        )
    return rest[1 if rest[0] == "`" else 2 : end], end + 1
