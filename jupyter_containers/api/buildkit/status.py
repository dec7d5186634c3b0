"""A build's progress as vertices, statuses, logs and warnings.

Tasks of the builder are vertices; a *transfer* (a layer that is pulled or pushed) is a status of
the vertex that was started last.  A :class:`Progress` buffers unread messages, up to a limit above
which the build waits for the client.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jupyter_containers.api.buildkit.messages import (
    StatusResponse,
    Timestamp,
    Vertex,
    VertexLog,
    VertexStatus,
    VertexWarning,
)
from jupyter_containers.api.buildkit.wire import encode
from jupyter_containers.errors import ContainersError, OperationCancelledError
from jupyter_containers.events import (
    CHECKS,
    WARNING,
    CancelToken,
    Event,
    TaskFinished,
    TaskOutput,
    TaskProgress,
    TaskStarted,
)
from jupyter_containers.lazy_patterns import pattern

_LAYER = pattern(r"[0-9a-f]{12}")
_MOST_UNREAD = 4 << 20
_UPDATE_SECONDS = 0.1
_CANCELED = "context canceled"
_STREAMS = {"stdout": 1, "stderr": 2}


def now() -> Timestamp:
    """Return the current time."""
    return Timestamp.of(time.time_ns())


class Progress:
    """The progress messages of one build, added by any thread and read by one client."""

    def __init__(self, ref: str, cancel: CancelToken) -> None:
        self.ref, self.cancel = ref, cancel
        self._news: deque[bytes] = deque()
        self._held = 0
        self._watched = self._ended = False
        self._changed = threading.Condition()

    def tell(self, news: StatusResponse) -> None:
        """Add a message; wait while a client reads too slowly."""
        data = encode(news)
        with self._changed:
            while self._held > _MOST_UNREAD and not self.cancel.cancelled:
                if not self._watched and news.logs:
                    return  # no client reads them
                self._changed.wait(0.1)
            self._news.append(data)
            self._held += len(data)
            self._changed.notify_all()

    def end(self) -> None:
        """Mark the build as ended."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def read(self, cancel: CancelToken) -> Iterator[bytes]:
        """Yield the encoded messages until the build has ended."""
        with self._changed:
            self._watched = True
        while True:
            with self._changed:
                while not self._news and not self._ended:
                    cancel.check()
                    self._changed.wait(0.2)
                if not self._news:
                    return
                data = self._news.popleft()
                self._held -= len(data)
                self._changed.notify_all()
            yield data


class Step:
    """A running vertex."""

    def __init__(self, progress: Progress, name: str, started: Timestamp) -> None:
        text = f"{progress.ref}\0{name}\0{started.seconds}.{started.nanos}"
        self.digest = "sha256:" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        self._progress, self.name, self.started = progress, name, started
        self._parts: dict[str, tuple[Timestamp, float]] = {}

    def vertex(self, *, cached: bool = False, error: str = "", ended: bool = False) -> None:
        """Send the current state of the vertex."""
        one = Vertex(
            digest=self.digest,
            name=self.name,
            started=self.started,
            cached=cached,
            error=error,
            completed=now() if ended else None,
        )
        self._progress.tell(StatusResponse(vertexes=[one]))

    def part(self, name: str, current: int = 0, total: int = 0, *, done: bool = False) -> None:
        """Send the status of a part of the step, at most ten times a second."""
        moment = now()
        started, last = self._parts.get(name, (moment, 0.0))
        clock = time.monotonic()
        if not done and clock - last < _UPDATE_SECONDS:
            return
        self._parts[name] = started, clock
        one = VertexStatus(
            id=name,
            vertex=self.digest,
            name=name,
            current=current,
            total=total,
            timestamp=moment,
            started=started,
            completed=moment if done else None,
        )
        self._progress.tell(StatusResponse(statuses=[one]))

    def log(self, data: bytes, stream: int = 1) -> None:
        """Send output."""
        one = VertexLog(vertex=self.digest, timestamp=now(), stream=stream, msg=data)
        self._progress.tell(StatusResponse(logs=[one]))


class Vertices:
    """Translates the builder's events into messages of a :class:`Progress`; a sink."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._steps: dict[str, Step] = {}
        self._titles: dict[str, str] = {}
        self._failed: list[Step] = []
        self._last: Step | None = None
        self._export: Step | None = None
        self._lock = threading.RLock()
        self.export_title = "exporting to image"

    def _exporting(self) -> Step:
        if self._export is None:
            self._export = self._last = Step(self._progress, self.export_title, now())
            self._export.vertex()
        return self._export

    @contextmanager
    def export(self) -> Iterator[Step]:
        """Complete the export's vertex, which transfers may have started."""
        with self._lock:
            one = self._exporting()
        with _lasting(one):
            yield one

    def export_reporter(self, name: str) -> Callable[[int], None]:
        """Return a function that reports the bytes of a part of the export."""

        def report(count: int) -> None:
            with self._lock:
                step = self._exporting()
            step.part(name, count)

        return report

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Send a vertex that lasts for the block."""
        one = Step(self._progress, name, now())
        self._last = one
        one.vertex()
        with _lasting(one):
            yield one

    def __call__(self, event: Event) -> None:
        """Receive an event (from any thread)."""
        with self._lock:
            match event:
                case TaskStarted():
                    self._started(event)
                case TaskProgress():
                    self._moved(event)
                case TaskOutput() if event.task == CHECKS:
                    self._warn(event.data)
                case TaskOutput() if event.task in self._steps:
                    self._steps[event.task].log(event.data, _STREAMS[event.stream])
                case TaskFinished():
                    self._finished(event)

    def _started(self, event: TaskStarted) -> None:
        if event.task == CHECKS or event.task == "save" or event.task.startswith("export-"):
            return  # shown as warnings, and as the export's vertex
        if event.task.startswith(WARNING):
            self._warn(event.title.removeprefix("WARNING: ").encode())
            return
        if _LAYER.fullmatch(event.task):
            self._titles[event.task] = event.task
            return
        step = self._last = Step(self._progress, event.title, now())
        self._steps[event.task] = step
        step.vertex()

    def _moved(self, event: TaskProgress) -> None:
        if event.task in self._titles and self._last is not None:
            name = f"{event.status.lower() or 'transferring'} {event.task}"
            self._titles[event.task] = name
            self._last.part(name, event.current, event.total or 0)

    def _finished(self, event: TaskFinished) -> None:
        name = self._titles.pop(event.task, "")
        if name and self._last is not None:
            self._last.part(name, done=True)
        step = self._steps.pop(event.task, None)
        if step is None:
            return
        if event.outcome == "failed":
            self._failed.append(step)  # its error is known once the build ends
        elif event.outcome == "cancelled":
            step.vertex(error=_CANCELED, ended=True)
        else:
            step.vertex(cached=event.outcome == "cached", ended=True)

    def fail(self, text: str) -> None:
        """End the failed step with the error of the build."""
        with self._lock:
            while self._failed:
                self._failed.pop().vertex(error=text, ended=True)

    def _warn(self, text: bytes) -> None:
        short, _, detail = text.strip().partition(b"\n")
        one = VertexWarning(
            vertex=self._last.digest if self._last is not None else "",
            level=1,
            short=short,
            detail=[detail] if detail else [],
        )
        self._progress.tell(StatusResponse(warnings=[one]))


@contextmanager
def _lasting(step: Step) -> Iterator[None]:
    """Complete a vertex at the end of the block, with its error if there is one."""
    try:
        yield
    except BaseException as error:
        step.vertex(error=_text(error), ended=True)
        raise
    step.vertex(ended=True)


def _text(error: BaseException) -> str:
    if isinstance(error, OperationCancelledError):
        return _CANCELED
    return error.message if isinstance(error, ContainersError) else str(error)
