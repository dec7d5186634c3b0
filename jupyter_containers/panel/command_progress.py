"""Progress of a command in one line, and its output."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from jupyter_containers.commands.render.ansi import visible_lines
from jupyter_containers.events import Event, EventSink, TaskFinished, TaskProgress, TaskStarted
from jupyter_containers.printable import printable

_PAUSE_SECONDS = 0.1
_KEPT_BYTES = 256 * 1024


class CommandProgress:
    """Receives progress and output from any thread; reports the latest line ten times a second."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._lock = threading.Lock()
        self._titles: dict[str, str] = {}
        self._said = 0.0
        self._kept = bytearray()

    @contextlib.contextmanager
    def progress(self) -> Iterator[EventSink]:
        """Receive the progress of one operation."""
        yield self._take

    def receive(self, stream: str, data: bytes) -> None:  # noqa: ARG002  # one text
        """Keep the output of a container or command, up to a limit."""
        with self._lock:
            self._kept += data
            del self._kept[:-_KEPT_BYTES]

    @property
    def text(self) -> str:
        """The output as left on a terminal, without colours."""
        return printable(visible_lines(self._kept.decode("utf-8", "replace")))

    def _take(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, TaskStarted):
                self._titles[event.task] = event.title
                self._tell(event.title, at_once=True)
            elif isinstance(event, TaskProgress):
                title = self._titles.get(event.task, event.task)
                share = f" {100 * event.current // event.total} %" if event.total else ""
                self._tell(f"{title} {event.status}{share}".strip())
            elif isinstance(event, TaskFinished):
                self._titles.pop(event.task, None)

    def _tell(self, text: str, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if at_once or now - self._said >= _PAUSE_SECONDS:
            self._said = now
            self._say(text)
