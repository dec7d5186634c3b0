"""A container's log in a cell's output: follow, search, pause, copy.

A thread in the kernel reads the log; memory is limited in the kernel and in the page, however much
a container writes.  When the container ends, or the widget is stopped, its contents stay.
"""

from __future__ import annotations

import html
import threading
from collections.abc import Callable, Sequence
from typing import Any

from jupyter_containers.commands.render.ansi import ansi_to_html, visible_lines
from jupyter_containers.commands.render.results import PRE
from jupyter_containers.commands.session import LogSource
from jupyter_containers.errors import ContainersError, OperationCancelledError
from jupyter_containers.events import CancelToken
from jupyter_containers.printable import printable
from jupyter_containers.widgets.gallery import Gallery
from jupyter_containers.widgets.messages import Close, LogsFromView, ScreenState
from jupyter_containers.widgets.screen import ScreenWidget

_BATCH_BYTES = 64 * 1024
_FALLBACK_LINES = 200


class LogsWidget(ScreenWidget):
    """The output of one container."""

    module = "logs"
    from_view = LogsFromView
    kept_bytes = 2 * 1024 * 1024
    kept_lines = 20_000
    # A paused view is still there.
    stalled_seconds = float("inf")

    def __init__(
        self,
        title: str,
        source: LogSource,
        gallery: Gallery,
        cell: Callable[[], object] = lambda: None,
        on_close: Callable[[Any], None] | None = None,
    ) -> None:
        self._title, self._source = title, source
        self._cancel = CancelToken()
        self._failure: ContainersError | None = None
        self._on_close = on_close
        super().__init__(gallery, cell)

    def start(self) -> None:
        """Start following."""
        self.begin()
        threading.Thread(target=self._follow, daemon=True).start()

    def wait(self) -> None:
        """Wait until the log has ended; raise the error that prevented reading it."""
        while not self._ended.wait(0.5):
            pass
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Stop following; keep the contents."""
        self._cancel.cancel()

    def screen_state(self) -> ScreenState:
        """Return title, state, whether it still follows and whether it has a button to close."""
        return ScreenState(self._title, self.state, self.running, self._on_close is not None)

    @property
    def state(self) -> str:
        """The state in its life, in a few words."""
        if self.running:
            return "following"
        if self._failure is not None:
            return self._failure.message
        return "no longer followed" if self._cancel.cancelled else "the container has ended"

    def handle(self, message: Any, view: str, buffers: Sequence[Any]) -> None:
        """Handle acknowledgements and the request to close."""
        if isinstance(message, Close):
            self.close()
        else:
            super().handle(message, view, buffers)

    def finish(self) -> None:
        """Stop following; the page removes the view."""
        self.stop()
        super().finish()
        if self._on_close is not None:
            self._on_close(self)

    def fallback(self) -> tuple[str, str]:
        """Return the last lines."""
        lines = visible_lines(self._scrollback.text).rstrip("\n").split("\n")
        note = f"… the last {_FALLBACK_LINES} lines\n" if len(lines) > _FALLBACK_LINES else ""
        text = note + "\n".join(lines[-_FALLBACK_LINES:])
        return printable(text), (
            f'<div style="opacity:.8">{html.escape(self._title)}</div>'
            f'<pre style="{PRE}">{ansi_to_html(text)}</pre>'
        )

    def _follow(self) -> None:
        batch = bytearray()
        try:
            for line in self._source(self._cancel):
                batch += line
                # The lines of a fast writer arrive in blocks anyway; those of a slow one must not
                # wait.
                if len(batch) >= _BATCH_BYTES or not self._pending:
                    self.receive(bytes(batch))
                    batch.clear()
        except OperationCancelledError:
            pass
        except ContainersError as error:
            self._failure = error
        finally:
            self.receive(bytes(batch))
            self.end()
            self.refresh()
