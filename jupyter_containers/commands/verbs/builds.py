"""The verbs of builds and of their cache."""

from __future__ import annotations

import contextlib
import os
import posixpath
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from jupyter_containers.commands.grammar.builds import DEBUG
from jupyter_containers.commands.grammar.containers import RUN
from jupyter_containers.commands.render.quantities import ago, human_size, timestamp
from jupyter_containers.commands.render.results import Facts, Lines, Text
from jupyter_containers.commands.render.table import Column, Row
from jupyter_containers.commands.session import Session, no_progress
from jupyter_containers.commands.verbs.containers import run
from jupyter_containers.commands.verbs.listing import accept_trust, listing, read_input
from jupyter_containers.commands.verbs.system import pruned_text
from jupyter_containers.commands.verbs.terminals import has_places, opens_terminal, run_in_terminal
from jupyter_containers.commands.words import Parsed
from jupyter_containers.errors import (
    ContainerFailedError,
    InvalidArgumentError,
    StepFailedError,
)
from jupyter_containers.events import EventSink
from jupyter_containers.options.output import STREAM, BuildOutput

# Flags of Docker's old builder whose effect is always in force here.
_WITHOUT_EFFECT = ("compress", "force_rm", "rm")
# Files of a notebook's folder that its builds leave out: every save would make COPY run again.
_NOTEBOOKS = ("**/*.ipynb", "**/.ipynb_checkpoints")
_STYLES = ("auto", "plain", "tty", "quiet", "rawjson")


def build(session: Session, parsed: Parsed) -> Any:
    """Return the built image, or the paths of the files if there is no image."""
    accept_trust(parsed)
    flags = dict(parsed.flags)
    for name in ("disable_content_trust", *_WITHOUT_EFFECT):
        flags.pop(name, None)
    display = _display(session, flags.pop("progress", "auto"), parsed.flag("quiet", False))
    flags |= _secrets(session, flags)
    outputs = [BuildOutput.parse(text) for text in flags.get("output", ())]
    if any(output.dest == STREAM for output in outputs):
        flags["stream"] = _stream(session)
    flags |= _files(session, flags.pop("context_var", ()))
    if session.variables is not None:
        flags["leave_out"] = _NOTEBOOKS
    context: Any = parsed.operands["context"] or "."
    if context == "-" or flags.get("file") == "-":
        context = _from_input(session, context, flags)
    debugging = flags.pop("debug", False)
    method = flags.pop("call", "check" if flags.pop("check", False) else "build")
    if method != "build":
        from jupyter_containers.commands.verbs.calling import call

        return call(session, method, context, flags)
    try:
        with display as emit:
            image = session.engine.build(context, emit=emit, **flags)
    except StepFailedError as error:
        if error.snapshot:
            someone = has_places(session) or _at_terminal(session)
            error.suggest_inspection(
                f"{session.program} builder debug {'-it' if someone else 'COMMAND'}"
            )
            if debugging:
                _look(session, error)
        raise
    if not outputs or flags.get("load") or any(output.in_store for output in outputs):
        return image
    written = [output.dest for output in outputs if output.dest != STREAM]
    return Lines(written) if written else None


def _from_input(session: Session, context: str, flags: dict[str, Any]) -> Any:
    """Read the input of ``build -`` or ``build -f - PATH`` and return the context.

    The input is a Dockerfile (``build -`` then has no context) or, for ``build -``, an archive
    with the context.
    """
    import io

    from jupyter_containers.build.archives import is_archive

    data = read_input(session, "the Dockerfile")
    if context == "-" and is_archive(io.BytesIO(data)):
        return data
    flags.pop("file", None)
    flags["dockerfile"] = data.decode("utf-8", "replace")
    flags["source_name"] = "-"
    return {} if context == "-" else context


def _files(session: Session, texts: Sequence[str]) -> dict[str, Any]:
    """Return the files that ``--context-var PATH=VARIABLE`` adds to the context."""
    files: dict[str, Any] = {}
    for text in texts:
        path, equals, name = text.rpartition("=")
        if session.variables is None:
            raise InvalidArgumentError(
                f"--context-var {text} names a notebook variable, but this is not a notebook",
                hint="in Python: build(…, files={'path': contents})",
            )
        if name not in session.variables:
            raise InvalidArgumentError(
                f"--context-var {text}: there is no variable {name!r}",
                hint="write --context-var PATH=VARIABLE",
            )
        value = session.variables[name]
        if isinstance(value, Mapping):
            # A dict of names and contents: files in the context, or in a folder in it.
            folder = path if equals else ""
            found = {posixpath.join(folder, str(file)): one for file, one in value.items()}
        else:
            found = {path if equals else name: value}
        for file, content in found.items():
            if not isinstance(content, (str, bytes, bytearray)):
                raise InvalidArgumentError(
                    f"--context-var {text}: {file} is a {type(content).__name__}, not text "
                    "or bytes",
                    hint="convert it to text first, such as table.to_csv() or json.dumps(value)",
                )
        files |= found
    return {"files": files} if files else {}


def _display(session: Session, style: str, quiet: bool) -> AbstractContextManager[EventSink]:
    if style not in _STYLES:
        raise InvalidArgumentError(
            f"invalid progress {style!r}", hint=f"one of {', '.join(_STYLES)}"
        )
    if quiet or style == "quiet":
        return no_progress()
    if style == "plain":
        from jupyter_containers.commands.render.progress import PlainProgress

        return PlainProgress(sys.stderr)
    if style == "rawjson":
        from jupyter_containers.commands.render.rawprogress import RawProgress

        return RawProgress(sys.stderr)
    return session.progress()


def _secrets(session: Session, flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the secrets, and separately the values of notebook variables (``var=NAME``)."""
    texts, values = [], dict(flags.get("secret_values", {}))
    for text in flags.get("secret", ()):
        pairs = dict(item.partition("=")[::2] for item in text.split(","))
        if "var" not in pairs or session.variables is None:
            texts.append(text)
            continue
        name = pairs["var"]
        if set(pairs) - {"type", "id", "var"} or not name.isidentifier():
            raise InvalidArgumentError(
                f"invalid secret {text!r}", hint="write id=NAME,var=VARIABLE"
            )
        if name not in session.variables:
            raise InvalidArgumentError(
                f"secret {text!r}: there is no variable {name}", hint=f"set {name} in a cell first"
            )
        value = session.variables[name]
        if not isinstance(value, (str, bytes)):
            raise InvalidArgumentError(
                f"secret {text!r}: {name} is a {type(value).__name__}, not text or bytes"
            )
        values[pairs.get("id") or name] = value
    found = {"secret": texts, "secret_values": values}
    return {name: value for name, value in found.items() if value or name in flags}


def _stream(session: Session) -> Any:
    if session.binary_output is None:
        raise InvalidArgumentError(
            "dest=- writes an archive to standard output, which can only show text here",
            hint="name a file: -o type=tar,dest=PATH",
        )
    return session.binary_output


_USAGE = (
    Column("ID", "ID"),
    Column("Reclaimable", "RECLAIMABLE"),
    Column("Shared", "SHARED"),
    Column("Size", "SIZE"),
    Column("LastUsed", "LAST ACCESSED"),
    Column("Description", "DESCRIPTION"),
)


def usage(session: Session, parsed: Parsed) -> Any:
    """Return the records of the build cache, the least recently used first."""
    return listing(
        session.engine.builds.records(),
        _USAGE,
        lambda record: [_usage_row(record, parsed.flag("verbose", False))],
        parsed,
        more=(
            Column("Type", "TYPE"),
            Column("CreatedAt", "CREATED AT"),
            Column("Parent", "PARENT"),
        ),
        empty="the build cache is empty",
    )


def _usage_row(record: Any, full: bool) -> Row:
    text = record.description.replace("\t", " ").replace("\n", " ")
    return {
        "ID": record.id,
        "Type": record.type,
        "Parent": record.parent,
        "Reclaimable": str(record.reclaimable).lower(),
        "Shared": str(record.shared).lower(),
        "Size": human_size(record.size),
        "CreatedAt": timestamp(record.created),
        "LastUsed": ago(record.last_used),
        "Description": text if full or len(text) <= 60 else text[:59] + "…",
    }


def prune(session: Session, parsed: Parsed) -> Text:
    """Remove records of the build cache."""
    everything = parsed.flag("all", False)
    which = "all of the build cache" if everything else "all build cache that no image uses"
    if not parsed.flag("force") and not session.confirm(f"This will remove {which}."):
        return Text("Nothing was removed")
    names = ("filters", "max_used_space", "min_free_space")
    limits = {name: parsed.flag(name) for name in names if parsed.flag(name) is not None}
    return pruned_text(session.engine.builds.prune(all=everything, **limits))


def debug(session: Session, parsed: Parsed) -> Any:
    """Run a command in the file system of a failed step; without a command, describe the step."""
    step, command = parsed.flag("step", ""), parsed.operands["command"]
    flags = {name: value for name, value in parsed.flags.items() if name != "step"}
    if not command and _at_terminal(session):
        flags |= {"interactive": True, "tty": True}
    if not command and not flags.get("interactive"):
        return _failure(session, step)
    image = session.engine.builds.failed_image(step)
    flags["rm"] = True
    if opens_terminal(session, parsed):
        about = f"after {session.engine.builds.failed_step(step).title}"
        return run_in_terminal(session, image.id, command or None, flags, about)
    operands = {"image": image.id, "command": command}
    return run(session, Parsed(RUN, flags, operands))


def _failure(session: Session, name: str) -> Facts:
    step = session.engine.builds.failed_step(name)
    return Facts(
        {
            "ID": step.id,
            "Step": step.title,
            "Place": step.place,
            "Exit code": step.exit_code,
            "Failed": ago(step.time),
            "Working directory": step.config.working_dir or "/",
            "User": step.config.user or "root",
            "Changed files": session.engine.builds.failed_changes(step.id),
            "Look around": f"{session.program} builder debug --step {step.id} COMMAND",
        }
    )


def _look(session: Session, error: StepFailedError) -> None:
    """Open a shell in a failed step's file system; describe the step if there is no terminal."""
    if has_places(session) or _at_terminal(session):
        flags = {"step": error.snapshot, "interactive": True, "tty": True}
        with contextlib.suppress(ContainerFailedError):
            debug(session, Parsed(DEBUG, flags, {"command": []}))
    elif session.on_output is not None:
        text = f"{_failure(session, error.snapshot)}\n"
        session.on_output("stdout", text.encode())


def _at_terminal(session: Session) -> bool:
    return session.terminal is not None and os.isatty(0)
