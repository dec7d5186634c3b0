"""The terminal command: ``jupyter container VERB …``, the same verbs as ``%container``.

Exit codes are Docker's: the container's own; 125 when ``run`` itself failed or a flag is wrong, 126
and 127 when its command cannot be executed or is not found; 1 for every other error; 128+n when a
signal ended it.
Results go to standard output, progress and errors to standard error.  Importing this module is
cheap; a verb's code and the engine are imported when they are used.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from jupyter_containers.commands.execute import perform
from jupyter_containers.commands.grammar.contexts import CONTEXT
from jupyter_containers.commands.parser import parse, split_context, take_context, verb_of
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.signals import CommandSignals, Signalled
from jupyter_containers.commands.words import Parsed, Verb
from jupyter_containers.errors import (
    ContainerFailedError,
    ContainersError,
    FlagError,
    InvalidArgumentError,
    OCIRuntimeError,
    StorageError,
    UnknownUserError,
    UsageError,
)
from jupyter_containers.lazy_modules import import_msgspec
from jupyter_containers.printable import printable

if TYPE_CHECKING:
    from jupyter_containers.engine import Engine
    from jupyter_containers.events import EventSink

PROGRAM = "jupyter container"
_OBJECTS = 50_000  # between two collections; the default of 700 is reached by each import
_BROKEN_PIPE = 128 + signal.SIGPIPE


def main(argv: Sequence[str] | None = None, make_engine: Callable[[], Engine] | None = None) -> int:
    """Run one command and return the process's exit code; ``make_engine`` replaces the engine."""
    if argv is not None:
        return _main(argv, make_engine)
    # Imports create no garbage, and collections would be a quarter of the command's time: none
    # until the engine is open, and none at the end.
    gc.disable()
    try:
        return _main(sys.argv[1:], make_engine)
    finally:
        gc.freeze()


def _main(argv: Sequence[str], make_engine: Callable[[], Engine] | None) -> int:
    words = list(argv)
    debug = words[:1] in (["--debug"], ["-D"])
    words = words[1:] if debug else words
    if words and words[0] in ("--version", "-v"):
        from jupyter_containers.commands.grammar.system import VERSION

        words = [VERSION.name, "--format", "{{.Version}}"]
    _open_streams()
    output = _Output()
    warnings.showwarning = _show_warning  # type: ignore[assignment]  # its arguments beside the text
    try:
        context, words = split_context(words)
        return _command(words, output, make_engine, context)
    except ContainersError as error:
        if debug:
            raise
        return _report(error, words, output)
    except Signalled as interrupt:
        return 128 + interrupt.number
    except KeyboardInterrupt:
        if output.failure is not None:
            return _report(output.failure, words, output)
        return _BROKEN_PIPE if output.broken else 128 + signal.SIGINT
    except BrokenPipeError:
        output.abandon()
        return _BROKEN_PIPE


def _open_streams() -> None:
    """Open replacements for closed standard streams.

    Otherwise the next opened file would become one of them, and printed text would be written into
    the store's records.  Writing to a closed output is an error, as in other programs.
    """
    for descriptor, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            # open() takes the lowest free number: those below are open by now.
            os.open(os.devnull, flags)
            os.set_inheritable(descriptor, True)
    # A stream that the interpreter found closed is None.
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115  # open as long as the process
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115  # likewise


def _command(
    words: list[str], output: _Output, make_engine: Callable[[], Engine] | None, context: str
) -> int:
    after, parsed = take_context(parse(words, (CONTEXT,)))
    context = after or context
    if parsed.verb is not None and parsed.verb.needs_engine and not parsed.help:
        import_msgspec()
    with contextlib.ExitStack() as stack:
        signals = CommandSignals(unread=lambda: output.broken)
        stack.enter_context(signals.handling())
        engines: list[Engine] = []

        def engine() -> Engine:
            if not engines:
                made = make_engine() if make_engine else _new_engine(context, parsed.verb)
                engines.append(stack.enter_context(made))
            return engines[0]

        session = Session(
            provide_engine=engine,
            context=context,
            program=PROGRAM,
            progress=_progress,
            on_output=output.write,
            stdin=_stdin(),
            terminal=_terminal,
            confirm=_confirm,
            binary_output=_binary_output(),
            whole=True,
            signals=signals,
        )
        if _is_watched(parsed):
            return _watch(session, parsed, output)
        result = perform(session, parsed)
        return _print(result, parsed, output)


def _new_engine(context: str, verb: Verb | None) -> Engine:
    from jupyter_containers.opening import in_cluster

    overrides: dict[str, Any] = {"context": context} if context else {}
    found = in_cluster(overrides)
    if found is not None:
        return found  # type: ignore[return-value]  # it has the same services
    from jupyter_containers.engine.engine import Engine, ReadingEngine

    if not gc.isenabled():
        gc.freeze()
        gc.set_threshold(_OBJECTS)
        gc.enable()
    if os.geteuid() != 0:
        from jupyter_containers.rootless.settling import enter_for

        enter_for()
    reads = verb is not None and verb.reads
    return ReadingEngine(**overrides) if reads else Engine(**overrides)


class _Output:
    """Standard output and error as raw bytes; the first failed write ends the output.

    ``broken`` is true once the output has ended, ``failure`` its error unless the reader closed it.
    """

    def __init__(self) -> None:
        self.broken = False
        self.failure: StorageError | None = None

    def write(self, stream: str, data: bytes) -> None:
        """Write a container's output (called from any thread)."""
        from jupyter_containers.commands.terminal import write_all

        if self.broken:
            return
        try:
            write_all(2 if stream == "stderr" else 1, data)
        except OSError as error:
            self.abandon()
            broken = isinstance(error, BrokenPipeError)
            if not broken:
                self.failure = StorageError(f"cannot write to standard output: {error.strerror}")
            main_thread = threading.main_thread()
            if threading.current_thread() is main_thread or main_thread.ident is None:
                if self.failure is not None:
                    raise self.failure from error
                # As with "yes | head": the reader has closed the pipe, so the command ends.
                raise
            # Sent to the main thread: a signal to another one would not interrupt its wait.
            signal.pthread_kill(main_thread.ident, signal.SIGINT)

    def line(self, text: str) -> None:
        """Print a result."""
        self.write("stdout", f"{printable(text)}\n".encode())

    def abandon(self) -> None:
        """Give up standard output, so that the interpreter's last flush has nothing to do."""
        self.broken = True
        with contextlib.suppress(OSError):
            null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            os.dup2(null, 1)
            os.close(null)


def _print(result: Any, parsed: Parsed, output: _Output) -> int:
    from jupyter_containers.commands.render.results import Log, Outcome, log_bytes

    if result is None:
        return 0
    if isinstance(result, Outcome):
        return result.exit_code  # its output was written while it ran
    if isinstance(result, Log):
        for line in result:
            output.write(line.stream, log_bytes(line, result.timestamps, result.details))
        return 0
    text = _text(result, parsed)
    if text:
        output.line(text)
    return int(getattr(result, "exit_status", 0))


def _text(result: Any, parsed: Parsed) -> str:
    prints = parsed.verb.prints if parsed.verb and not parsed.help else "text"
    if prints == "id" and hasattr(result, "id"):
        return str(result.id)
    if prints in ("familiar", "reference") and hasattr(result, "names"):
        from jupyter_containers.oci.reference import Reference

        # As the user wrote it, whatever other names the image has.
        reference = Reference.parse(parsed.operands["reference"])
        return str(reference) if prints == "reference" else reference.familiar
    return str(result)


def _report(error: ContainersError, words: Sequence[str], output: _Output) -> int:
    verb, _ = verb_of(words)
    starts = verb.starts if verb else ""
    if isinstance(error, ContainerFailedError) and not error.oom_killed:
        return error.exit_code  # the container has printed its own error
    for line in [error.printed] if error.printed else error.done:
        output.line(line)
    lines = [f"{PROGRAM}: {error.message}", *error.details()]
    if error.hint:
        lines.append(f"hint: {error.hint}")
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write("\n".join(map(printable, lines)) + "\n")
        sys.stderr.flush()
    if isinstance(error, ContainerFailedError):
        return error.exit_code
    if isinstance(error, OCIRuntimeError) and starts:
        return error.exit_code if error.exit_code in (125, 126, 127) else 125
    if isinstance(error, UnknownUserError) and starts == "command":
        return 126
    if isinstance(error, FlagError):
        return 125
    return 125 if starts == "container" and not isinstance(error, UsageError) else 1


def _show_warning(message: Warning | str, *_: object) -> None:
    """Print a warning of the engine in one line, without its place in the source."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"WARNING: {message}\n")


@contextlib.contextmanager
def _progress() -> Iterator[EventSink]:
    from jupyter_containers.commands.render.progress import PlainProgress, TerminalProgress
    from jupyter_containers.commands.terminal import terminal_width

    display = (
        TerminalProgress(sys.stderr, terminal_width())
        if sys.stderr.isatty()
        else PlainProgress(sys.stderr)
    )
    with display as progress:
        yield progress


def _terminal() -> Any:
    from jupyter_containers.commands.terminal import raw_terminal

    return raw_terminal()


def _stdin() -> BinaryIO | None:
    try:
        # Unbuffered: a read returns what has been typed, not only a full block.
        return open(0, "rb", buffering=0, closefd=False)
    except OSError:
        return None


def _binary_output() -> BinaryIO | None:
    """Return standard output for bytes; None for a terminal, which raw bytes would garble."""
    try:
        return None if os.isatty(1) else open(1, "wb", buffering=0, closefd=False)
    except OSError:
        return None


def _confirm(question: str) -> bool:
    sys.stderr.write(f"WARNING! {printable(question)}\nAre you sure you want to continue? [y/N] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()  # may come from a pipe: yes | jupyter container system prune
    if not answer:
        raise InvalidArgumentError("cannot ask for confirmation: no input", hint="use --force")
    return answer.strip().lower() in ("y", "yes")


def _is_watched(parsed: Parsed) -> bool:
    if parsed.verb is None or parsed.help or parsed.flag("format") or not sys.stdout.isatty():
        return False
    live = parsed.verb.live
    return live is not None and live.in_terminal and live.wanted(parsed)


def _watch(session: Session, parsed: Parsed, output: _Output) -> int:
    import time

    while True:
        table = printable(str(perform(session, parsed)))
        output.write("stdout", f"\x1b[H\x1b[2J{table}\n".encode())
        time.sleep(1.0)


if __name__ == "__main__":
    raise SystemExit(main())
