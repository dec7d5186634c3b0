"""The context of a command: the objects that the front end provides to the verbs.

A *session* belongs to one command (or one cell).  It creates the engine on first use, so that
``--help`` and ``version`` never start one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from jupyter_containers.errors import UnreadableRecordsError
from jupyter_containers.events import CancelToken, EventSink, discard
from jupyter_containers.lazy_dataclasses import dataclass

if TYPE_CHECKING:
    from jupyter_containers.commands.signals import CommandSignals
    from jupyter_containers.engine import Engine

OnOutput = Callable[[str, bytes], None]
# The lines of a log as bytes, until it ends or the token is cancelled.
LogSource = Callable[[CancelToken], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Terminal:
    """The user's terminal in raw mode: the source of keys and the destination of output.

    ``size`` returns its current rows and columns.
    """

    stdin: BinaryIO
    on_output: OnOutput
    size: Callable[[], tuple[int, int]] | None = None


@dataclass(frozen=True, slots=True)
class TerminalWork:
    """A process for a terminal that stays open after the command, such as a notebook's widget.

    ``run(on_output, keys, size)`` runs it and returns its exit code: ``keys`` is a descriptor for
    reading typed keys; ``size`` returns rows and columns, is called repeatedly, and ends the work
    by raising :class:`OperationCancelledError`.  ``again`` is a text for the user about another way
    to reach the process.
    """

    title: str
    run: Callable[[OnOutput, int, Callable[[], tuple[int, int]]], int]
    again: str = ""


@contextlib.contextmanager
def no_progress() -> Iterator[EventSink]:
    """Show no progress."""
    yield discard


def always(question: str) -> bool:  # noqa: ARG001  # the signature of a confirmation
    """Answer every question with yes, for front ends that cannot ask."""
    return True


@dataclass(frozen=True, slots=True)
class Session:
    """The resources that one command may use.

    ``context`` is the name of the context that a flag selects, empty for the current one.
    ``progress`` opens a display for one operation.  ``on_output`` receives live output as
    (``stdout`` or ``stderr``, bytes), possibly from another thread.  ``stdin`` is the input of
    ``-i``.  ``binary_output`` receives an archive, or is None if it must be written to a file.
    ``variables`` are the notebook's, None elsewhere.  ``whole`` is true if output of any length is
    passed on rather than returned; ``signals`` are the signals of this process, if they are
    forwarded to a container in the foreground.  ``terminal`` is the user's terminal for ``-it``;
    ``open_terminal`` opens one on the page and returns it immediately; if both are None, ``-it`` is
    not possible.  ``open_log`` shows a log on the page, waits for its end if its last argument is
    true, and returns False if it cannot show one.  ``shown`` returns whether live output is still
    on the page when a result is displayed.
    """

    provide_engine: Callable[[], Engine]
    context: str = ""
    program: str = "jupyter container"
    progress: Callable[[], AbstractContextManager[EventSink]] = no_progress
    on_output: OnOutput | None = None
    stdin: bytes | BinaryIO | None = None
    terminal: Callable[[], AbstractContextManager[Terminal]] | None = None
    open_terminal: Callable[[TerminalWork], Any] | None = None
    open_log: Callable[[str, LogSource, bool], bool] | None = None
    confirm: Callable[[str], bool] = always
    binary_output: BinaryIO | None = None
    shown: Callable[[], bool] = bool
    variables: Mapping[str, Any] | None = None
    whole: bool = False
    signals: CommandSignals | None = None

    @property
    def engine(self) -> Engine:
        """The engine, created on first use."""
        return self.provide_engine()

    @property
    def mendable_engine(self) -> Engine:
        """The engine; if its records cannot be read, they are moved aside."""
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
