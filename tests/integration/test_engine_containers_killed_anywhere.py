"""SIGKILL at every step of run, start, stop, restart and rm: ``ps`` stays true, nothing is left.

Seen to fail with the engine before starts had owners: the three tests of starts, because no lookup
undid the start of a dead process (``created``, with addresses, monitor and ``runc init``; and from
``after change an entry of containers`` on, the record was ``running``); those with containers that
remove themselves, because the container stayed.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.engine.journal import JournalEvent
from jupyter_containers.oci.state import Status
from tests.integration.deaths import Deaths, Work
from tests.integration.engine_fixtures import BUSYBOX, Place, Traces, demolish, settled, traces
from tests.integration.forker import Forker
from tests.integration.remains import AT_ROOT, OF_CONTAINERS, remains, strange
from tests.integration.truth import untruth
from tests.integration.waiting import until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place.under(tmp_path)


@pytest.fixture
def own(place: Place) -> Iterator[Engine]:
    """Yield an engine that is there before, while and after others are killed: it never sweeps."""
    with place.engine() as engine:
        try:
            engine.images.bootstrap(BUSYBOX)
            engine.run(BUSYBOX, ["true"], rm=True)  # the bridge is there
            yield engine
        finally:
            demolish(engine)


@pytest.fixture
def deaths(forker: Forker) -> Deaths:
    return Deaths(forker)


def survives(
    deaths: Deaths,
    own: Engine,
    place: Place,
    prepare: Work,
    work: Work,
    *,
    where: Callable[[str], bool] = lambda _: True,
) -> int:
    """Kill ``work`` at each of its points that ``where`` accepts; return how many there were."""
    prepare(own)
    points = [point for point in deaths.points(place, work) if where(point)]
    empty(own)
    before = traces(own)
    for point in points:
        prepare(own)
        last = own._context.journal.last()
        if not deaths.die_at(place, work, point):
            empty(own)
            continue
        is_true(own, point, last)
        empty(own)
        nothing_is_left(own, place, before, point)
    return len(points)


def is_true(engine: Engine, point: str, last: int) -> None:
    """Fail if a container's state is not that of ``ps``, or events do not match its starts."""
    listed = engine.containers(all=True)  # the look
    deadline = time.monotonic() + 10  # containers may end by themselves during the check
    while wrong := [untruth(engine, one) for one in engine.containers(all=True)]:
        if not any(wrong):
            break
        assert time.monotonic() < deadline, f"{point}: {wrong}"
        time.sleep(0.02)
    known = {one.id for one in listed}
    assert set(engine._context.runtime.container_ids()) <= known, point
    for container in listed:
        started = [
            event
            for event in engine.system.events(
                after=last, follow=False, filters={"event": ["start"]}
            )
            if event.id == container.id
        ]
        assert len(started) <= 1, point


def empty(engine: Engine) -> None:
    """Remove every container, as a user would."""
    for container in engine.containers(all=True):
        engine.containers.remove(container.id, force=True, volumes=True)


def nothing_is_left(engine: Engine, place: Place, before: Traces, point: str) -> None:
    with place.engine():
        pass  # its sweep
    assert settled(engine, before, timeout=5) == {}, point
    assert engine._context.containers.all() == [], point
    assert engine.volumes() == [], point
    assert engine._context.endpoints.all() == [], point
    # The engine deletes discarded files in the background.
    deadline = time.monotonic() + 5
    while left := remains(place, *OF_CONTAINERS):
        assert time.monotonic() < deadline, f"{point}: {left}"
        time.sleep(0.05)


def nothing(engine: Engine) -> None:
    """Prepare nothing."""


def run(engine: Engine, **flags: object) -> None:
    engine.run(BUSYBOX, flags.pop("command", ["sleep", "60"]), name="one", **flags)


def create(engine: Engine, **flags: object) -> None:
    engine.containers.create(BUSYBOX, ["sleep", "60"], name="one", **flags)


def start(engine: Engine) -> None:
    engine.containers.start("one")


def pause(engine: Engine) -> None:
    engine.containers.pause("one")
    engine.containers.unpause("one")


def commit(engine: Engine) -> None:
    engine.containers.commit("one", "made:1")


def stop(engine: Engine) -> None:
    engine.containers.stop("one", timeout=0)


def restart(engine: Engine) -> None:
    engine.containers.restart("one", timeout=0)


def remove(engine: Engine) -> None:
    engine.containers.remove("one", force=True, volumes=True)


def test_a_detached_run(deaths: Deaths, own: Engine, place: Place) -> None:
    work = partial(
        run,
        detach=True,
        publish=["80"],
        volume="/data",
        health_cmd="true",
        log_opt=["max-size=4k", "max-file=2"],
    )
    assert survives(deaths, own, place, nothing, work) > 40


def test_a_run_in_the_foreground(deaths: Deaths, own: Engine, place: Place) -> None:
    work = partial(run, command=["sleep", "0.3"], rm=True, network="none", volume="/data")
    assert survives(deaths, own, place, nothing, work) > 40


def test_a_start_of_what_has_run(deaths: Deaths, own: Engine, place: Place) -> None:
    def prepare(engine: Engine) -> None:
        run(engine, command=["true"], network="none", restart="no")

    count = survives(deaths, own, place, prepare, start)
    assert count > 20


def test_a_pause_and_its_end(deaths: Deaths, own: Engine, place: Place) -> None:
    """Seen to fail: frozen, and shown as running."""
    prepare = partial(run, detach=True, network="none")
    assert survives(deaths, own, place, prepare, pause) > 8


def test_a_commit_leaves_nothing_paused(deaths: Deaths, own: Engine, place: Place) -> None:
    """Seen to fail: the container stayed paused for good."""
    run(own, detach=True, network="none")
    committed = "after change the records and write down why #1"
    for point in ("start runc #1", "started runc #1", committed):
        assert deaths.die_at(place, commit, point), point
        container = own.containers.get("one")
        assert container.status is Status.RUNNING, point
        assert untruth(own, container) == "", point
        assert container.exec(["echo", "alive"]).output == "alive\n"


def test_a_stop(deaths: Deaths, own: Engine, place: Place) -> None:
    prepare = partial(
        run, detach=True, publish=["80"], health_cmd="true", log_opt=["max-size=4k", "max-file=2"]
    )
    assert survives(deaths, own, place, prepare, stop) > 8


def test_a_stop_of_what_removes_itself(deaths: Deaths, own: Engine, place: Place) -> None:
    prepare = partial(run, detach=True, network="none", rm=True)
    assert survives(deaths, own, place, prepare, stop) > 8


def test_a_restart_of_what_removes_itself(deaths: Deaths, own: Engine, place: Place) -> None:
    prepare = partial(run, detach=True, network="none", rm=True)
    assert survives(deaths, own, place, prepare, restart) > 20


def due(engine: Engine) -> None:
    """Have a container that waits for its restart."""
    container = engine.containers.create(
        BUSYBOX, ["sleep", "60"], name="one", network="none", restart="always"
    )
    with engine._lifecycle.locked(container.id):
        engine._lifecycle._due(container.id, 3600.0)


def be_restarted(engine: Engine) -> None:
    engine._lifecycle.restart(engine._containers.find("one").id)


def test_a_restart_by_its_policy(deaths: Deaths, own: Engine, place: Place) -> None:
    assert survives(deaths, own, place, due, be_restarted) > 20


# Points at which the program runs but is not recorded yet, and at which it was not started.
_STARTED = ("wrote exec.fifo #1", "read exec.fifo #1", "removed exec.fifo #1")
_UNSTARTED = ("started conmon #1", "after change an entry of containers #3")


@pytest.mark.parametrize("point", _STARTED)
def test_a_program_that_was_started_goes_on(
    deaths: Deaths, own: Engine, place: Place, point: str
) -> None:
    """Fails where such a start is undone, or its health check and log rotation never begin."""
    check = {"health_cmd": "true", "health_interval": "1s"}
    work = partial(run, detach=True, log_opt=["max-size=4k", "max-file=2"], **check)
    assert deaths.die_at(place, work, point)
    container = own.containers.get("one")
    assert container.status is Status.RUNNING
    until(lambda: not untruth(own, container), 10)  # a companion takes a moment to be a script
    assert time.time() - container.record.state.started < 60
    until(lambda: own.containers.get("one").health == "healthy")
    assert [event.action for event in started_events(own)] == ["start"]
    assert container.exec(["echo", "alive"]).output == "alive\n"
    container.stop(timeout=0)


@pytest.mark.parametrize("point", _STARTED)
@pytest.mark.parametrize("rm", [False, True])
def test_a_program_that_was_started_and_has_ended_is_recorded(
    deaths: Deaths, own: Engine, place: Place, point: str, rm: bool
) -> None:
    work = partial(run, command=["sh", "-c", "exit 7"], network="none", rm=rm, check=False)
    assert deaths.die_at(place, work, point)
    until(lambda: rm or own.containers.get("one").status is Status.EXITED)
    until(lambda: len(own.containers(all=True)) == (0 if rm else 1))
    assert rm or own.containers.get("one").exit_code == 7
    actions = ["start", "die", "destroy"] if rm else ["start", "die"]
    assert [event.action for event in started_events(own)] == actions


@pytest.mark.parametrize("point", _UNSTARTED)
@pytest.mark.parametrize("rm", [False, True])
def test_a_start_that_was_broken_off_is_as_if_it_had_not_been(
    deaths: Deaths, own: Engine, place: Place, point: str, rm: bool
) -> None:
    assert deaths.die_at(place, partial(run, detach=True, publish=["80"], rm=rm), point)
    assert [one.status for one in own.containers(all=True)] == ([] if rm else [Status.CREATED])
    assert [event.action for event in started_events(own)] == (["destroy"] if rm else [])
    assert own._context.firewall.current() == {}
    if not rm:
        assert own.containers.start("one").status is Status.RUNNING


def test_what_a_dead_process_tried_goes(deaths: Deaths, place: Place) -> None:
    """Seen to fail: a folder `driver-…` stayed in the store for each."""
    found = deaths.points(place, choose_driver)
    points = [point for point in found if point.startswith(("mkdir", "after"))]
    for point in points:
        shutil.rmtree(place.run_root)  # where the answer is noted
        assert deaths.die_at(place, choose_driver, point)
        with place.engine():
            assert remains(place, "staging") == {}, point
        assert strange(place, *AT_ROOT) == [], point
    assert points


def choose_driver(engine: Engine) -> None:
    assert engine._context.driver.name


def test_a_dead_creator_frees_its_name(deaths: Deaths, own: Engine, place: Place) -> None:
    """Seen to fail: `the container name one is already in use`, which `ps -a` did not show."""
    assert deaths.die_at(place, create, "after record a new entry of containers #1")
    create(own)
    assert own.containers.start("one").status is Status.RUNNING


def started_events(engine: Engine) -> list[JournalEvent]:
    """Return the container's events from its start on."""
    wanted = ["start", "die", "destroy"]
    return list(engine.system.events(follow=False, filters={"event": wanted, "container": ["one"]}))


def test_a_removal(deaths: Deaths, own: Engine, place: Place) -> None:
    prepare = partial(run, detach=True, publish=["80"], volume="/data")
    assert survives(deaths, own, place, prepare, remove) > 10
