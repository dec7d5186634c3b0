"""Where a command runs: what the front end lends to the verbs.

A *session* belongs to one command (or one cell).  It provides the engine on first use only, so that
``--help`` and ``version`` never start one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from jupyter_containers.errors import UnreadableRecordsError
from jupyter_containers.events import CancelToken, EventSink, discard

if TYPE_CHECKING:
    from jupyter_containers.commands.signals import CommandSignals
    from jupyter_containers.engine import Engine

OnOutput = Callable[[str, bytes], None]
# Lines of a log as bytes, until it ends or the token is cancelled.
LogSource = Callable[[CancelToken], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Terminal:
    """A person's terminal in raw mode: where keys come from and where output goes.

    ``size`` returns its rows and columns at this moment.
    """

    stdin: BinaryIO
    on_output: OnOutput
    size: Callable[[], tuple[int, int]] | None = None


@dataclass(frozen=True, slots=True)
class TerminalWork:
    """A process for a terminal that stays open after the command, as a notebook's widget does.

    ``run(on_output, keys, size)`` carries it out and returns its exit code: ``keys`` is a
    descriptor to read what was typed from, ``size`` returns rows and columns, is asked for again
    and again, and ends the work by raising :class:`OperationCancelledError`.  ``again`` tells how
    else a person reaches the process.
    """

    title: str
    run: Callable[[OnOutput, int, Callable[[], tuple[int, int]]], int]
    again: str = ""


@contextlib.contextmanager
def no_progress() -> Iterator[EventSink]:
    """Show no progress."""
    yield discard


def always(question: str) -> bool:  # noqa: ARG001  # the signature of a confirmation
    """Answer every question with yes: for front ends in which nobody can be asked."""
    return True


@dataclass(frozen=True, slots=True)
class Session:
    """What one command may use.

    ``progress`` opens a display for one operation.  ``on_output`` receives live output as
    (``stdout`` or ``stderr``, bytes), possibly from another thread.  ``stdin`` is what ``-i``
    reads.  ``binary_output`` takes an archive, or is None where it must go to a file.
    ``variables`` are the notebook's, None elsewhere.  ``whole`` is true where an output of any
    length is to be passed on rather than returned; ``signals`` are the process's, where those of
    a container in the foreground go to it.
    ``terminal`` is the person's own terminal for ``-it``; ``open_terminal`` opens one on the page
    and returns it at once; where both are None ``-it`` cannot work.
    ``open_log`` shows a log as a place on the page until it ends, and returns False where it
    cannot.  ``shown`` tells
    whether live output is still on the page when a result is displayed.
    """

    provide_engine: Callable[[], Engine]
    program: str = "jupyter container"
    progress: Callable[[], AbstractContextManager[EventSink]] = no_progress
    on_output: OnOutput | None = None
    stdin: bytes | BinaryIO | None = None
    terminal: Callable[[], AbstractContextManager[Terminal]] | None = None
    open_terminal: Callable[[TerminalWork], Any] | None = None
    open_log: Callable[[str, LogSource], bool] | None = None
    confirm: Callable[[str], bool] = always
    binary_output: BinaryIO | None = None
    shown: Callable[[], bool] = bool
    variables: Mapping[str, Any] | None = None
    whole: bool = False
    signals: CommandSignals | None = None

    @property
    def engine(self) -> Engine:
        """The engine, made on first use."""
        return self.provide_engine()

    @property
    def mendable_engine(self) -> Engine:
        """The engine, also where its records cannot be read: they are put aside then."""
        try:
            engine = self.provide_engine()
            engine.system.names("volume")  # a user's engine starts with its first call
        except UnreadableRecordsError as error:
            if not error.path:
                raise
            from jupyter_containers.store.database import put_aside

            put_aside(Path(error.path))
            return self.provide_engine()
        return engine
