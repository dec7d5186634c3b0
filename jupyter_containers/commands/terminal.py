"""The user's terminal, connected to a container (``-it``): raw keys in, raw bytes out.

Raw mode lasts from entering :func:`raw_terminal` to leaving it, even after an error; a terminal
left raw would need ``reset``.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Iterator

from jupyter_containers.commands.session import Terminal
from jupyter_containers.errors import UsageError


@contextlib.contextmanager
def raw_terminal(stdin: int = 0, stdout: int = 1) -> Iterator[Terminal]:
    """Yield the terminal in raw mode; raise :class:`UsageError` if there is none."""
    import termios
    import tty

    if not (os.isatty(stdin) and os.isatty(stdout)):
        raise UsageError("the input device is not a TTY", hint="omit -t")
    saved = termios.tcgetattr(stdin)

    def write(stream: str, data: bytes) -> None:  # noqa: ARG001  # a terminal has one output
        write_all(stdout, data)

    try:
        tty.setraw(stdin)
        with open(stdin, "rb", buffering=0, closefd=False) as keys:
            yield Terminal(keys, write, lambda: _size(stdout))
    finally:
        termios.tcsetattr(stdin, termios.TCSADRAIN, saved)


def _size(descriptor: int) -> tuple[int, int]:
    size = os.get_terminal_size(descriptor)
    return size.lines, size.columns


def write_all(descriptor: int, data: bytes) -> None:
    """Write all bytes; may raise OSError."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # another process has made it non-blocking
            select.select([], [descriptor], [])


def terminal_width() -> int:
    """Return the width of the terminal in characters, 80 if there is none."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        return 80
