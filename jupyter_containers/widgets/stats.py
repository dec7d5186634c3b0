"""Live charts of containers' usage; a thread samples while a view is visible."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from jupyter_containers.widgets.follow_loop import FollowLoop
from jupyter_containers.widgets.gallery import Gallery
from jupyter_containers.widgets.live import LiveWidget
from jupyter_containers.widgets.messages import Sample, SampledUsage, Samples, StatsHello

if TYPE_CHECKING:
    from jupyter_containers.commands.render.results import Table
    from jupyter_containers.engine.results import StatsSample

Take = Callable[[], "Table[StatsSample]"]

INTERVAL_SECONDS = 1.0
_KEPT = 300


class Sampler:
    """Converts readings of counters into changes since the previous reading."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._before: dict[str, tuple[float, StatsSample]] = {}

    def sample(self, readings: Sequence[StatsSample]) -> Sample:
        """Return one sample, in the charts' form."""
        now = self._clock()
        containers = [self._usage(now, reading) for reading in readings]
        self._before = {reading.container_id: (now, reading) for reading in readings}
        return Sample(now, containers)

    def _usage(self, now: float, reading: StatsSample) -> SampledUsage:
        then, before = self._before.get(reading.container_id, (now, reading))
        seconds = max(now - then, 1e-3)

        def rate(field: str) -> float:
            change = getattr(reading, field) - getattr(before, field)
            return float(max(change, 0) / seconds)

        return SampledUsage(
            id=reading.container_id,
            name=reading.name,
            cpu=reading.cpu_percent,
            memory=reading.memory_usage,
            limit=reading.memory_limit,
            received=rate("network_rx"),
            sent=rate("network_tx"),
            read=rate("block_read"),
            written=rate("block_write"),
            pids=reading.pids,
            oom=max(reading.oom_kills - before.oom_kills, 0),
        )


class StatsWidget(LiveWidget):
    """Charts of CPU, memory, network, block I/O and processes."""

    module = "stats"

    def __init__(
        self,
        take: Take,
        gallery: Gallery,
        cell: Callable[[], object] = lambda: None,
    ) -> None:
        self._take = take
        self._sampler = Sampler()
        self._samples: deque[Sample] = deque(maxlen=_KEPT)
        self._last: Table[StatsSample] = take()
        self._loop = FollowLoop(
            self._look,
            # A container that was named was removed; the charts keep its values.
            lambda _: self._keep([]),
            interval=lambda: INTERVAL_SECONDS,
            watched=lambda: self.watched,
        )
        super().__init__(gallery, cell)

    def start(self) -> None:
        """Start sampling."""
        self._keep(self._last)
        self._loop.start()

    def greet(self, view: str) -> None:
        """Send the last minutes to a new view."""
        self.tell(StatsHello(list(self._samples)), to=view)

    def finish(self) -> None:
        """Stop sampling."""
        self._loop.stop()

    def fallback(self) -> tuple[str, str]:
        """Return the last readings as a table."""
        return str(self._last), self._last._repr_html_()

    def _look(self) -> None:
        self._last = self._take()
        self._keep(self._last)

    def _keep(self, readings: Sequence[StatsSample]) -> None:
        with self._lock:
            sample = self._sampler.sample(readings)
            self._samples.append(sample)
            if self.watched:
                self.tell(Samples([sample]))
