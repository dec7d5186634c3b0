"""The output of a project's containers, line by line and in order of time."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jupyter_containers.engine.applications import labels
from jupyter_containers.errors import ContainerNotFoundError, ContainersError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import queue

if TYPE_CHECKING:
    from jupyter_containers.engine.applications.works import Nouns
    from jupyter_containers.engine.containers.container import Container

_LOOK_SECONDS = 0.1
_HELD_LINES = 10_000


@dataclass(frozen=True, slots=True)
class ProjectLine:
    """One line of a container's output; ``source`` is its name without the project's.

    ``stream`` is ``stdout`` or ``stderr``, or ``status`` for a remark of the engine.
    """

    source: str
    service: str
    time: datetime
    stream: str
    data: bytes
    timestamp: str = ""

    @property
    def text(self) -> str:
        """The line as text, without the line break."""
        return self.data.decode("utf-8", "replace").rstrip("\n")


def source_of(container: Container) -> str:
    """Return the prefix of a container's lines: ``web-1`` for ``demo-web-1``."""
    prefix = f"{container.labels.get(labels.PROJECT, '')}-"
    return container.name.removeprefix(prefix)


def written(
    containers: Sequence[Container],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    tail: int | None = None,
) -> Iterator[ProjectLine]:
    """Return the output of containers, in order of time."""
    sources = [
        lines_of(container, container.logs(since=since, until=until, tail=tail))
        for container in containers
    ]
    yield from heapq.merge(*sources, key=lambda line: line.time)


def lines_of(container: Container, lines: Iterator[Any]) -> Iterator[ProjectLine]:
    """Return a container's lines as :class:`ProjectLine` values."""
    source, service = source_of(container), container.labels.get(labels.SERVICE, "")
    for line in lines:
        yield ProjectLine(source, service, line.time, line.stream, line.data, line.timestamp)


class Followed:
    """The live output of containers; a thread reads each of them.

    Iterate over it; it ends when no followed container runs any more, or at :meth:`close`.
    """

    def __init__(self, nouns: Nouns, cancel: CancelToken) -> None:
        self._nouns, self._cancel = nouns, cancel
        self._lines: queue.Queue[ProjectLine] = queue.Queue(_HELD_LINES)
        self._threads: dict[str, threading.Thread] = {}

    def follow(self, container: Container, **flags: Any) -> None:
        """Start reading a container's lines, unless it is being read already."""
        thread = self._threads.get(container.id)
        if thread is None or not thread.is_alive():
            thread = threading.Thread(
                target=self._read, args=(container, flags), name="compose-logs", daemon=True
            )
            self._threads[container.id] = thread
            thread.start()

    def _read(self, container: Container, flags: dict[str, Any]) -> None:
        with suppress(ContainersError):  # a container without a log, or one that was removed
            lines = self._nouns.containers.logs(
                container.id, follow=True, cancel=self._cancel, **flags
            )
            for line in lines_of(container, lines):
                self.put(line)

    def put(self, line: ProjectLine) -> None:
        """Add a line."""
        while not self._cancel.cancelled:
            with suppress(queue.Full):
                self._lines.put(line, timeout=_LOOK_SECONDS)
                return

    @property
    def reading(self) -> bool:
        """True while a container that may still write is read."""
        return any(thread.is_alive() for thread in self._threads.values())

    def is_read(self, container_id: str) -> bool:
        """Return whether a container's lines are still read."""
        thread = self._threads.get(container_id)
        return thread is not None and thread.is_alive()

    def take(self, seconds: float = _LOOK_SECONDS) -> list[ProjectLine]:
        """Wait for a line; return all that are available."""
        found: list[ProjectLine] = []
        with suppress(queue.Empty):
            found.append(self._lines.get(timeout=seconds))
            while len(found) < _HELD_LINES:
                found.append(self._lines.get_nowait())
        return found

    def __iter__(self) -> Iterator[ProjectLine]:
        try:
            while self.reading:
                yield from self.take()
            yield from self.take(0)
        finally:
            self.close()

    def close(self) -> None:
        """Stop reading."""
        self._cancel.cancel()
        for thread in self._threads.values():
            thread.join()


def followed(
    nouns: Nouns,
    containers: Sequence[Container],
    cancel: CancelToken,
    fresh: Callable[[], Sequence[Container]],
    **flags: Any,
) -> Iterator[ProjectLine]:
    """Yield lines as they are written until no container runs; ``fresh`` returns new containers."""
    lines = Followed(nouns, cancel)
    known = {container.id for container in containers}
    for container in containers:
        lines.follow(container, **flags)
    try:
        while lines.reading:
            yield from lines.take()
            with suppress(ContainerNotFoundError):
                for container in fresh():
                    if container.id not in known:
                        known.add(container.id)
                        lines.follow(container)
        yield from lines.take(0)
    finally:
        lines.close()
