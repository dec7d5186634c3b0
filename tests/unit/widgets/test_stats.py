from __future__ import annotations

from typing import Any

import pytest

from jupyter_containers.commands.render.results import Table
from jupyter_containers.commands.render.table import Column
from jupyter_containers.engine.results import StatsSample
from jupyter_containers.errors import ContainerNotFoundError
from jupyter_containers.widgets import stats
from jupyter_containers.widgets.gallery import Gallery
from jupyter_containers.widgets.stats import Sampler, StatsWidget
from tests.unit.widgets.conftest import Page
from tests.unit.widgets.test_terminal import wait_for


def reading(**values: Any) -> StatsSample:
    usual: dict[str, Any] = {
        "container_id": "c1", "name": "web", "cpu_percent": 12.5, "memory_usage": 1000,
        "memory_limit": 4000, "network_rx": 0, "network_tx": 0, "block_read": 0,
        "block_write": 0, "pids": 3,
    }  # fmt: skip
    return StatsSample(**{**usual, **values})


def table(*samples: StatsSample) -> Table[StatsSample]:
    return Table(samples, [Column("Name", "NAME")], lambda item: [{"Name": item.name}], "none")


def test_counters_become_what_happened_in_between() -> None:
    times = iter([100.0, 102.0, 104.0])
    sampler = Sampler(lambda: next(times))
    first = sampler.sample([reading(network_rx=500, oom_kills=1)]).containers[0]
    assert (first.received, first.oom) == (0, 0)
    second = sampler.sample([reading(network_rx=2500, block_write=400, oom_kills=3)])
    usage = second.containers[0]
    assert second.time == 102.0
    assert (usage.received, usage.written, usage.oom) == (1000, 200, 2)
    # A restarted container counts from 0 again.
    assert sampler.sample([reading(network_rx=10)]).containers[0].received == 0


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "INTERVAL_SECONDS", 0.01)


def test_it_samples_only_while_somebody_looks(gallery: Gallery, quick: None) -> None:
    taken: list[int] = []

    def take() -> Table[StatsSample]:
        taken.append(1)
        return table(reading())

    widget = StatsWidget(take, gallery)
    widget.start()
    page = Page(widget)
    assert len(taken) == 1
    page.say("ready")
    wait_for(lambda: page.kinds().count("samples") > 2)
    assert page.last("hello")["samples"][0]["containers"][0]["name"] == "web"
    page.say("gone")
    wait_for(lambda: not widget.watched)
    widget.close()
    count = len(taken)
    widget._over.wait(0.05)
    assert len(taken) <= count + 1
    assert widget.fallback()[0].split() == ["NAME", "web"]


def test_a_container_that_goes_ends_its_lines(gallery: Gallery, quick: None) -> None:
    answers: list[Any] = [table(reading())]

    def take() -> Table[StatsSample]:
        if not answers:
            raise ContainerNotFoundError("gone")
        answer: Table[StatsSample] = answers.pop()
        return answer

    widget = StatsWidget(take, gallery)
    widget.start()
    page = Page(widget)
    page.say("ready")
    wait_for(lambda: "samples" in page.kinds())
    assert page.last("samples")["samples"][0]["containers"] == []
