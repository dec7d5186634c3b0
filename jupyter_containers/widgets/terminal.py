"""A terminal in a cell's output: keys in, screen out, resized with its view.

The process runs in a thread here; its output goes to the views as fast as they draw it, and what a
terminal has shown is kept up to a limit for views that come later (a reloaded page).  When the
widget closes, its work is cancelled: a run or exec ends, an attachment detaches.
"""

from __future__ import annotations

import html
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

from jupyter_containers.commands.render.ansi import ansi_to_html, visible_lines
from jupyter_containers.commands.render.results import PRE
from jupyter_containers.commands.session import TerminalWork
from jupyter_containers.errors import ContainersError, OperationCancelledError
from jupyter_containers.printable import printable
from jupyter_containers.widgets.gallery import Gallery
from jupyter_containers.widgets.keyboard import Keyboard
from jupyter_containers.widgets.messages import (
    Close,
    End,
    Input,
    Resized,
    ScreenState,
    Size,
    TerminalFromView,
)
from jupyter_containers.widgets.screen import ScreenWidget

_VIEW_SECONDS = 2.0
_SIGN_OF_LIFE_SECONDS = 5.0


class TerminalWidget(ScreenWidget):
    """A terminal on one process; ``exit_code`` is None while it runs."""

    module = "terminal"
    from_view = TerminalFromView

    def __init__(
        self,
        work: TerminalWork,
        gallery: Gallery,
        cell: Callable[[], object] = lambda: None,
        on_close: Callable[[Any], None] | None = None,
    ) -> None:
        self.work = work
        self._on_close = on_close
        self.exit_code: int | None = None
        self._failure: ContainersError | None = None
        self._rows, self._columns = gallery.terminal_size
        self._nudges = self._looks = 0
        self._sized, self._alive = threading.Event(), threading.Event()
        self._keyboard = Keyboard()
        super().__init__(gallery, cell)

    def start(self) -> None:
        """Start the work; raises what keeps it from starting."""
        if self.live:
            # A program asks for its size when it begins: the view tells it, when there is one.
            self._sized.wait(_VIEW_SECONDS)
        reading, writing = os.pipe2(os.O_CLOEXEC)
        self.begin()
        os.set_blocking(writing, False)
        self._keyboard.open(writing)
        threading.Thread(target=self._run, args=(reading,), daemon=True).start()
        self._alive.wait(_SIGN_OF_LIFE_SECONDS)
        if self._failure is not None:
            raise self._failure

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait until the process has ended; return its exit code, None when it still runs."""
        self._ended.wait(timeout)
        return self.exit_code

    @property
    def text(self) -> str:
        """What the terminal has shown, as plain text."""
        return printable(visible_lines(self._scrollback.text))

    @property
    def state(self) -> str:
        """Where it is in its life, in a few words."""
        if self.running:
            return ""
        if self._failure is not None:
            return self._failure.message
        return "ended" if self.exit_code is None else f"ended with exit code {self.exit_code}"

    # The views.

    def greet(self, view: str) -> None:
        """Give a new view what the terminal has shown, and have a full-screen program draw anew."""
        super().greet(view)
        if self._scrollback.full_screen:
            self._nudges = 2

    def handle(self, message: Any, view: str, buffers: Sequence[Any]) -> None:
        """Take keys, sizes, acknowledgements and the wish to end."""
        match message:
            case Input():
                self._keyboard.type(b"".join(map(bytes, buffers)))
            case Size(rows, columns):
                self._resize(_bounded(rows), _bounded(columns), view)
            case End():
                self._cancel()
            case Close():
                self.close()
            case _:
                super().handle(message, view, buffers)

    def finish(self) -> None:
        """Cancel the work and wait a moment for its end."""
        self._cancel()
        super().finish()
        if threading.current_thread() is threading.main_thread():
            self._ended.wait(2.0)
        if self._on_close is not None:
            self._on_close(self)

    def fallback(self) -> tuple[str, str]:
        """Return the terminal's text, or what it is while it runs."""
        title = f"{self.work.title} · {self.state or 'a terminal, live while its kernel runs'}"
        text = self.text.strip("\n")
        lines = visible_lines(self._scrollback.text).strip("\n")
        markup = f'<div style="opacity:.8">{html.escape(title)}</div>'
        if text:
            markup += f'<pre style="{PRE}">{ansi_to_html(lines)}</pre>'
        if self.running and self.work.again:
            markup += f'<div style="opacity:.8">{html.escape(self.work.again)}</div>'
        return "\n".join(part for part in (title, text) if part), markup

    # The work.

    def _run(self, keys: int) -> None:
        try:
            self.exit_code = self.work.run(self._receive_output, keys, self._size)
        except OperationCancelledError:
            pass
        except ContainersError as error:
            self._failure = error
            self._receive_output("stderr", f"\r\n{error.message}\r\n".encode())
        finally:
            os.close(keys)
            self._keyboard.close()
            self.end()
            self.refresh()
            self._alive.set()

    def _size(self) -> tuple[int, int]:
        """Return rows and columns; called every 50 ms, so a cancel ends the work soon."""
        if self._cancelled:
            raise OperationCancelledError("the terminal was closed")
        # The first call may come before the process starts; with the second one it runs.
        self._looks += 1
        if self._looks > 1:
            self._alive.set()
        if self._nudges:
            # Another size and back: a full-screen program draws everything anew.
            self._nudges -= 1
            return max(self._rows - self._nudges, 1), self._columns
        return self._rows, self._columns

    _cancelled = False

    def _cancel(self) -> None:
        self._cancelled = True

    def _resize(self, rows: int, columns: int, view: str) -> None:
        with self._lock:
            known = (self._rows, self._columns)
            self._rows, self._columns = self._gallery.terminal_size = (rows, columns)
            if known != (rows, columns):
                self.tell(Resized(rows, columns, view))
        self._sized.set()

    def _receive_output(self, stream: str, data: bytes) -> None:  # noqa: ARG002  # one screen
        self.receive(data)
        self._alive.set()

    def screen_state(self) -> ScreenState:
        """Return title, state and whether it runs."""
        return ScreenState(self.work.title, self.state, self.running, self._on_close is not None)


def _bounded(value: int) -> int:
    return min(max(value, 1), 1000)
