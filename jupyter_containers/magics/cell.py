"""Additions of a cell to a command: its own flags, and the text below its first line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from jupyter_containers.commands.grammar.builds import BUILD
from jupyter_containers.commands.grammar.data import DATA_FLAGS
from jupyter_containers.commands.words import Flag, Parsed, Verb
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import replace

if TYPE_CHECKING:
    from jupyter_containers.engine import Engine

OUT = Flag("out", "Bind the result to a variable of this name", metavar="NAME")
_INTERPRETER = Flag(
    "interpreter",
    "Run the cell's text with this program",
    metavar="PROGRAM",
    values=("python", "python3", "bash", "sh", "node", "perl", "Rscript"),
)
INTERPOLATE = Flag("interpolate", "Replace {{expression}} in the cell's text", "bool")
_CONTINUE = Flag("continue", "Extend the image of the previous cell", "bool")
MAGIC_FLAGS = (OUT, _INTERPRETER)
_OWN = (OUT, _INTERPRETER, INTERPOLATE, _CONTINUE, *DATA_FLAGS)
# One argument of a program can have 128 KiB (execve(2), "Limits on size of arguments").
_ARGUMENT_BYTES = 100_000


def split_flags(parsed: Parsed) -> tuple[Parsed, Mapping[str, Any]]:
    """Return the command without the magic's flags, and those flags."""
    # Another verb may have a flag of the same name: load --input FILE.
    declared = parsed.verb.flags if parsed.verb else ()
    keys = {flag.key for flag in _OWN} - {flag.key for flag in declared if flag not in _OWN}
    own = {key: value for key, value in parsed.flags.items() if key in keys}
    rest = {key: value for key, value in parsed.flags.items() if key not in keys}
    return replace(parsed, flags=rest), own


def variable_named(own: Mapping[str, Any]) -> str | None:
    """Return the variable of ``--out``; raise if it is not a valid name."""
    variable: str | None = own.get("out")
    if variable is not None and not variable.isidentifier():
        raise InvalidArgumentError(
            f"--out {variable!r} is not a variable's name", hint="write --out result"
        )
    return variable


def dockerfile_verb() -> Verb:
    """Return ``%%dockerfile`` as a verb: ``build`` without a file, with the cell's flags."""
    flags = tuple(flag for flag in BUILD.flags if flag.key != "file")
    return replace(
        BUILD,
        name="dockerfile",
        flags=(*flags, OUT, INTERPOLATE, _CONTINUE),
        aliases=(),
        examples=(),
        surplus="",
    )


def with_body(
    parsed: Parsed, cell: str, own: Mapping[str, Any], engine: Callable[[], Engine]
) -> tuple[Parsed, bytes | None]:
    """Return the command and its standard input, using the text below the line.

    A verb that starts a program (``run``, ``exec``) without a command runs the text with the
    image's shell (like RUN in a Dockerfile), or with ``--interpreter``.  Other verbs that read
    input get the text as input.
    """
    verb = parsed.verb
    if verb is None or parsed.help:
        return parsed, b""
    interpreter = own.get("interpreter")
    is_script = bool(verb.starts) and not parsed.operands.get("command")
    if interpreter and not is_script:
        raise InvalidArgumentError(
            "--interpreter replaces the command, but a command is given",
            hint=f"omit the command, or --interpreter ({verb.usage})",
        )
    if is_script and not parsed.flag("interactive"):
        return _script(parsed, cell, interpreter, engine)
    if not verb.reads_stdin or parsed.flag("detach"):
        raise InvalidArgumentError(
            f"{verb.name} reads no input, but the cell has text below the first line",
            hint="write %container for one command, or %%container alone for several",
        )
    takes_flag = any(flag.key == "interactive" for flag in verb.flags)
    # Text below the line is input, with or without -i.
    flags = {**parsed.flags, "interactive": True} if takes_flag else parsed.flags
    return replace(parsed, flags=flags), cell.encode()


def _script(
    parsed: Parsed, cell: str, interpreter: str | None, engine: Callable[[], Engine]
) -> tuple[Parsed, bytes | None]:
    """Return the command that runs the text, and its input."""
    flags, body = dict(parsed.flags), cell.encode()
    data: bytes | None = None
    if interpreter and exchanges(parsed) and _is_python(interpreter):
        command = shlex.split(interpreter)
        flags["script"] = f"\n{cell}"  # line numbers in a traceback include the magic's line
    elif interpreter:
        command, data = [*shlex.split(interpreter), "-"], body
    elif len(body) > _ARGUMENT_BYTES:
        command, data = ["/bin/sh", "-s"], body
    else:
        command = [*_shell_of(parsed, engine()), cell]
    if data is not None:
        if flags.get("detach"):
            raise InvalidArgumentError(
                "a detached container reads no input, but the cell has text below the line",
                hint="omit --detach",
            )
        flags["interactive"] = True
    in_new = parsed.verb is not None and parsed.verb.starts == "container"
    if in_new and "entrypoint" not in flags:
        # The text is a program, not an argument of the image's entrypoint.
        flags["entrypoint"], command = command[0], command[1:]
    operands = {**parsed.operands, "command": command}
    return replace(parsed, flags=flags, operands=operands), data


def _is_python(interpreter: str) -> bool:
    program = shlex.split(interpreter)[0].rpartition("/")[2]
    return re.fullmatch(r"(python|pypy)[0-9.]*t?", program) is not None


def exchanges(parsed: Parsed) -> bool:
    """Return whether variables are passed or results are read."""
    return bool(parsed.flag("inputs") or parsed.flag("results"))


def with_values(parsed: Parsed, own: Mapping[str, Any], namespace: Mapping[str, Any]) -> Parsed:
    """Return the command with the variables of ``--input``, and the names of the results."""
    names, results = own.get("input", ()), own.get("result", ())
    if parsed.help or not (names or results):
        return parsed
    inputs: dict[str, Any] = {}
    for spelling in names:
        name = spelling.partition("=")[0]
        if name not in namespace:
            raise InvalidArgumentError(
                f"there is no variable {name} to pass",
                hint="set it in a cell, or load it from a file with pathlib.Path",
            )
        inputs[spelling] = namespace[name]
    if parsed.flag("tty") and parsed.flag("interactive"):
        raise InvalidArgumentError(
            "values can only be passed to a container in the foreground without a terminal",
            hint="omit -t, or mount a folder with -v",
        )
    return replace(parsed, flags={**parsed.flags, "inputs": inputs, "results": results})


def is_data(word: str, namespace: Mapping[str, Any], is_image: Callable[[str], bool]) -> bool:
    """Return whether the word after ``run -i`` is a variable to pass.

    It is if a variable of that name has a supported value and no image has the name; a word with
    ``=FILE`` is always a variable.
    """
    from jupyter_containers.engine.containers.value_files import kind_of

    name, equals, _ = word.partition("=")
    if not name.isidentifier() or name not in namespace:
        return False
    return bool(equals) or (kind_of(namespace[name]) is not None and not is_image(name))


def _shell_of(parsed: Parsed, engine: Engine) -> list[str]:
    """Return the image's SHELL, or the default if the image has not been pulled."""
    from jupyter_containers.errors import NotFoundError

    try:
        name = parsed.operands.get("image")
        if name is None:
            name = engine.containers.get(parsed.operands["name"]).image
        shell = engine.system.inspect(name, "image")["Config"].get("Shell")
    except NotFoundError:
        shell = None
    return list(shell or ("/bin/sh", "-c"))


def begins_with_from(text: str) -> bool:
    """Return whether the first instruction of a Dockerfile's text is FROM."""
    lines = (line.strip() for line in text.splitlines())
    first = next((line for line in lines if line and not line.startswith("#")), "")
    return first[:5].upper().split() == ["FROM"]
