"""Progress for programs: one JSON object per line, as in ``docker build --progress=rawjson``.

A step is a ``vertex``; its output are ``logs`` (base64), its progress are ``statuses``.
"""

from __future__ import annotations

import base64
import contextlib
import threading
from datetime import UTC, datetime
from typing import Any, TextIO

from jupyter_containers.events import Event, TaskFinished, TaskOutput, TaskProgress, TaskStarted
from jupyter_containers.lazy_modules import hashlib, json

_STREAMS = {"stdout": 1, "stderr": 2}


class RawProgress:
    """Writes each event as a line; use it as a context manager around the work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._started: dict[str, dict[str, Any]] = {}

    def __call__(self, event: Event) -> None:
        """Receive one event (from any thread)."""
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        digest = "sha256:" + hashlib.sha256(event.task.encode()).hexdigest()
        with self._lock, contextlib.suppress(OSError, ValueError):
            line = json.dumps(self._line(event, digest, now), separators=(",", ":"))
            self._stream.write(line + "\n")
            self._stream.flush()

    def _line(self, event: Event, digest: str, now: str) -> dict[str, Any]:
        match event:
            case TaskStarted():
                begun = {"digest": digest, "name": event.title, "started": now}
                self._started[event.task] = begun
                return {"vertexes": [begun]}
            case TaskFinished():
                begun = self._started.get(event.task, {"digest": digest})
                vertex: dict[str, Any] = {**begun, "completed": now}
                if event.outcome == "cached":
                    vertex["cached"] = True
                if event.outcome in ("failed", "cancelled"):
                    vertex["error"] = event.detail or event.outcome
                return {"vertexes": [vertex]}
            case TaskOutput():
                data = base64.b64encode(event.data).decode()
                stream = _STREAMS[event.stream]
                log = {"vertex": digest, "stream": stream, "data": data, "timestamp": now}
                return {"logs": [log]}
            case TaskProgress():
                status = {"id": event.status or event.task, "vertex": digest, "timestamp": now}
                return {"statuses": [{**status, "current": event.current, "total": event.total}]}

    def __enter__(self) -> RawProgress:
        return self

    def __exit__(self, *_: object) -> None:
        """End the display; all lines have been written already."""
