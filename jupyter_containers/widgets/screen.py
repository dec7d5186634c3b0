"""A screen on the page: bytes arrive at any speed and are shown as fast as the views draw.

Every byte is sent to all views, which acknowledge what they have drawn; a few hundred kilobytes may
be in flight.  Further output is queued here; beyond a limit the oldest is dropped: it would scroll
out of sight at once.  Past output is kept, up to a limit, for later views.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from jupyter_containers.widgets.gallery import Gallery
from jupyter_containers.widgets.live import LiveWidget
from jupyter_containers.widgets.messages import Ack, Gone, Output, ScreenHello, ScreenState
from jupyter_containers.widgets.scrollback import Scrollback

_CHUNK = 64 * 1024
_WINDOW = 256 * 1024
_PENDING = 4 * 1024 * 1024
_STALLED_SECONDS = 2.0
_PAUSE_SECONDS = 0.004


class ScreenWidget(LiveWidget):
    """A widget that shows a stream of bytes, and its ``screen_state``."""

    kept_bytes = 512 * 1024
    # The capacity of a view; None if lines do not limit it.
    kept_lines: int | None = None
    stalled_seconds = _STALLED_SECONDS

    def __init__(self, gallery: Gallery, cell: Callable[[], object] = lambda: None) -> None:
        self._scrollback = Scrollback(self.kept_bytes)
        self._pending = bytearray()
        self._sent, self._drawn = 0, {"": 0}
        self._moved = time.monotonic()
        self._ended, self._wakened = threading.Event(), threading.Event()
        super().__init__(gallery, cell)

    def screen_state(self) -> ScreenState:
        """Return title, state, whether more may come, and whether it has a button to close."""
        raise NotImplementedError

    @property
    def running(self) -> bool:
        """True until the last byte has arrived."""
        return not self._ended.is_set()

    def greet(self, view: str) -> None:
        """Send the output so far to a new view."""
        self._flush()
        self._drawn[view] = self._sent
        hello = ScreenHello(**msgspec.structs.asdict(self.screen_state()))
        self.tell(hello, [self._scrollback.replay(self.kept_lines)], to=view)

    def handle(self, message: Any, view: str, buffers: Sequence[Any]) -> None:
        """Handle acknowledgements."""
        del buffers
        if isinstance(message, Ack):
            with self._lock:
                self._drawn[view] = self._drawn.get(view, 0) + message.bytes
            self._wakened.set()
        elif isinstance(message, Gone):
            self._drawn.pop(view, None)

    def begin(self) -> None:
        """Start delivering output."""
        threading.Thread(target=self._deliver, daemon=True).start()

    def receive(self, data: bytes) -> None:
        """Add bytes, from any thread."""
        with self._lock:
            self._scrollback.add(data)
            # A key's echo is sent from here at once: another thread would take longer.
            calm = not self._pending and time.monotonic() - self._moved > _PAUSE_SECONDS
            self._pending += data
            if calm:
                self._flush(_CHUNK)
            if len(self._pending) > _PENDING:
                del self._pending[: -_PENDING // 2]
        if self._pending:
            self._wakened.set()

    def end(self) -> None:
        """Mark the end of the output."""
        self._ended.set()
        self._wakened.set()

    def finish(self) -> None:
        """Let the delivery end."""
        self._wakened.set()

    def _deliver(self) -> None:
        while not self.closed:
            self._wakened.wait()
            self._wakened.clear()
            while self._pending and not self.closed:
                if self._sent - max(self._drawn.values()) > _WINDOW and self._views:
                    if time.monotonic() - self._moved < self.stalled_seconds:
                        self._wakened.wait(_PAUSE_SECONDS * 5)
                        self._wakened.clear()
                        continue
                    # A page that vanished must not block later ones.
                    self._drawn = dict.fromkeys(self._drawn, self._sent)
                with self._lock:
                    self._flush(_CHUNK)
                time.sleep(_PAUSE_SECONDS)
            if self._ended.is_set() and not self._pending:
                self.tell(self.screen_state())
                return

    def _flush(self, limit: int = _PENDING) -> None:
        data = bytes(self._pending[:limit])
        del self._pending[: len(data)]
        self._moved = time.monotonic()
        if data and self._views:
            self._sent += len(data)
            self.tell(Output(), [data])
