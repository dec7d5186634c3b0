"""Mends and explains cells that are written as for a shell or a file, before IPython reads them.

A comment above ``%%dockerfile`` hides the magic from IPython, ``%container run?`` shows the help of
IPython's own ``%run``, and ``docker ps`` is a SyntaxError that names no way out.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_CELL_MAGIC = re.compile(r"%%(?:container|docker|dockerfile|compose|session|sandbox)\b")
_BLANK = re.compile(r"\s*(?:#.*)?$")
_HELP = re.compile(r"\s*%{1,2}(?:container|docker)\b((?:[ \t]+[\w-]+)*)[ \t]*\?{1,2}\s*$")
_COMMAND = re.compile(
    r"\s*(?:\$\s+)?(?:sudo\s+)?(?:docker|podman)[ \t]+(([a-z][\w-]*)\b(?!\s*[=(]|\.).*)"
)
_ALIAS = re.compile(r"\s*%{1,2}docker(?=\s)")

Transform = Callable[[list[str]], list[str]]


def make_transform(is_verb: Callable[[str], bool], has_alias: Callable[[], bool]) -> Transform:
    """Return a transformation of a cell's lines for IPython's ``input_transformers_cleanup``.

    ``is_verb`` returns whether a word begins a command, ``has_alias`` whether ``%docker`` is a
    magic.  The transformation raises :class:`SyntaxError`, with the line to write instead, for a
    bare ``docker`` command and for ``%docker`` without that alias.
    """

    def read_pasted(lines: list[str]) -> list[str]:
        first = next((at for at, line in enumerate(lines) if not _BLANK.match(line)), None)
        if first is None:
            return lines
        line, above, below = lines[first], lines[:first], lines[first + 1 :]
        if asked := _HELP.match(line):
            return [*above, f"%container{asked[1]} --help\n", *below]
        if _ALIAS.match(line) and not has_alias():
            instead = line.strip().replace("docker", "container", 1)
            alias = "%config ContainersConfig.docker_magic = True makes %docker the same"
            raise _refusal(f"write {instead} ({alias})", line, first)
        command = _COMMAND.match(line)
        if command and is_verb(command[2]):
            several = any(not _BLANK.match(one) for one in below)
            instead = "%%container above these lines" if several else f"%container {command[1]}"
            raise _refusal(f"this is a command, not Python: write {instead}", line, first)
        if above and _CELL_MAGIC.match(line):
            # Dockerfiles, Compose files and scripts have the same comments, so they may stand
            # below the magic; the numbers of the lines after it do not change.
            return [line, *above, *below]
        return lines

    return read_pasted


def _refusal(text: str, line: str, above: int) -> SyntaxError:
    """Return the error of a line that has ``above`` lines above it."""
    return SyntaxError(text, ("<cell>", above + 1, 1, line))
