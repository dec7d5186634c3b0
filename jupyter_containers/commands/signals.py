"""The signals of a command in a terminal: they end it, or are forwarded to its container.

Lifecycle: :meth:`CommandSignals.handling` during a command, so that TERM and HUP end it like
Ctrl-C.  Within it, :meth:`CommandSignals.proxied` during a ``run``, ``start -a`` or ``attach``
(``--sig-proxy``, as in Docker): signals are held until the engine names the program that receives
them (:meth:`CommandSignals.passed_to`), then forwarded, and the command lives until the program
ends.

Two signals still end the command: an interrupt for a program without a handler, which the kernel
would drop, and the third INT or TERM.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_containers.engine.containers.streams import SendSignal

_ENDING = (signal.SIGTERM, signal.SIGHUP)
# Signals from the kernel about this process, its children, pipes and terminal.
_OWN = (
    signal.SIGKILL,
    signal.SIGSTOP,
    signal.SIGCHLD,
    signal.SIGPIPE,
    signal.SIGURG,
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGTTIN,
    signal.SIGTTOU,
)
_PATIENCE = 3  # as in Docker's client since version 28


class Signalled(KeyboardInterrupt):
    """A signal that ends the command like Ctrl-C; ``number`` is the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class CommandSignals:
    """The signals of this process, for one command; ``unread`` is true if its output has no reader.

    Only the main thread can set handlers; in other threads nothing is handled.
    """

    def __init__(self, unread: Callable[[], bool] = bool) -> None:
        self._unread = unread
        self._send: SendSignal | None = None
        self._held: list[int] = []
        self._sending = False
        self._ending = 0

    @contextmanager
    def handling(self) -> Iterator[None]:
        """End the command on TERM and HUP like on Ctrl-C, so that the engine cleans up."""
        with _handled(_ENDING, self._end):
            yield

    @contextmanager
    def proxied(self, *, resized: bool) -> Iterator[CommandSignals]:
        """Hold all signals for a container, except WINCH if its terminal is ``resized``."""
        apart = (*_OWN, signal.SIGWINCH) if resized else _OWN
        with _handled(tuple(signal.valid_signals() - set(apart)), self._receive):
            yield self

    @contextmanager
    def passed_to(self, send: SendSignal) -> Iterator[None]:
        """Forward held and later signals to a program; see :class:`.SignalSource`."""
        self._send = send
        try:
            self._pass_on()
            yield
        finally:
            self._send = None

    def _end(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  # the signature
        raise Signalled(number)

    def _receive(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  # likewise
        if number in (signal.SIGINT, signal.SIGTERM):
            self._ending += 1
        tired = self._ending >= _PATIENCE
        if number == signal.SIGINT and (self._send is None or tired or self._unread()):
            raise KeyboardInterrupt
        if number in _ENDING and (self._send is None or (tired and number == signal.SIGTERM)):
            raise Signalled(number)
        self._held.append(number)
        self._pass_on()

    def _pass_on(self) -> None:
        # Not reentrant: a signal that arrives during a send is sent by the running loop.
        if self._send is None or self._sending:
            return
        self._sending = True
        try:
            while self._held:
                number = self._held.pop(0)
                if not self._send(number, number == signal.SIGINT):
                    raise KeyboardInterrupt
        finally:
            self._sending = False


@contextmanager
def _handled(
    numbers: tuple[int, ...], handler: Callable[[int, FrameType | None], None]
) -> Iterator[None]:
    """Set a handler for signals; those that the caller ignores (nohup) stay ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    known = {number: signal.getsignal(number) for number in numbers}
    # None is a handler that was not set from Python and cannot be restored.
    before = {n: found for n, found in known.items() if found not in (signal.SIG_IGN, None)}
    try:
        for number in before:
            signal.signal(number, handler)
        yield
    finally:
        for number, found in before.items():
            signal.signal(number, found)
