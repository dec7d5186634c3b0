"""The feed of events: in order, across processes, from any of them."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

from jupyter_containers.engine import Engine
from jupyter_containers.engine.journal import JournalEvent
from tests.integration.engine_fixtures import Place
from tests.integration.waiting import until


def seen(engine: Engine, after: int, container_id: str) -> list[str]:
    return [
        event.action
        for event in engine.system.events(
            after=after, follow=False, filters={"type": ["container"]}
        )
        if event.id == container_id
    ]


def last(engine: Engine) -> int:
    return max((event.sequence for event in engine.system.events(follow=False)), default=0)


def test_a_life_is_written_down_in_dockers_words(engine: Engine, busybox: str) -> None:
    start = last(engine)
    container = engine.run(
        busybox, ["sleep", "60"], detach=True, name="noted", network="none", label=["a=b"]
    )
    engine.containers.pause("noted")
    engine.containers.unpause("noted")
    engine.containers.exec("noted", ["sh", "-c", "exit 3"], check=False)
    engine.containers.rename("noted", "renamed")
    engine.containers.stop("renamed", timeout=0)
    engine.containers.start("renamed")
    engine.containers.kill("renamed", "KILL")
    engine.containers.wait("renamed")
    engine.containers.remove("renamed")
    assert seen(engine, start, container.id) == [
        "create",
        "start",
        "pause",
        "unpause",
        "exec_create: sh -c exit 3",
        "exec_start: sh -c exit 3",
        "exec_die",
        "rename",
        "kill",
        "kill",
        "die",
        "stop",
        "start",
        "kill",
        "die",
        "destroy",
    ]
    events = list(
        engine.system.events(after=start, follow=False, filters={"container": [container.id]})
    )
    first = events[0]
    assert first.attributes == {"image": busybox, "name": "noted", "a": "b"}
    assert [e.attributes["exitCode"] for e in events if e.action == "die"] == ["137", "137"]
    assert [e.attributes["exitCode"] for e in events if e.action == "exec_die"] == ["3"]
    assert [e.attributes["signal"] for e in events if e.action == "kill"] == ["15", "9", "9"]


def test_a_foreground_run_is_attached_to_before_it_starts(engine: Engine, busybox: str) -> None:
    start = last(engine)
    result = engine.run(busybox, ["true"], rm=True, network="none")
    assert seen(engine, start, result.container_id) == [
        "create",
        "attach",
        "start",
        "die",
        "destroy",
    ]


def test_every_exec_has_an_end(engine: Engine, place: Place, busybox: str) -> None:
    start = last(engine)
    box = engine.run(busybox, ["sleep", "60"], detach=True, name="busy", network="none")
    engine.containers.exec("busy", ["sh", "-c", "exit 4"], detach=True)
    typed = engine.containers.terminal("busy", ["sh", "-c", "exit 5"])
    assert typed.wait(10) == 5
    typed.close()
    engine.containers.terminal("busy", ["sleep", "60"]).close()
    program = (
        "import sys; from jupyter_containers.engine import Engine; "
        f"e = Engine(root={str(place.root)!r}, run_root={str(place.run_root)!r}); "
        "e.containers.exec('busy', ['sh', '-c', 'sleep 1; exit 6'], detach=True)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)  # it is gone before the exec ends
    wanted = {"container": [box.id], "event": ["exec_die", "exec_start"]}
    ends: dict[str, str] = {}
    soon = datetime.now(UTC) + timedelta(seconds=30)
    for event in engine.system.events(after=start, filters=wanted, until=soon):
        if event.action == "exec_die":
            ends[event.attributes["execID"]] = event.attributes["exitCode"]
        if len(ends) == 4:
            break
    assert sorted(ends.values()) == ["137", "4", "5", "6"]
    begun = list(engine.system.events(after=start, follow=False, filters=wanted))
    started = {event.attributes["execID"] for event in begun if event.action != "exec_die"}
    assert started == set(ends)
    folder = engine._lifecycle.bundle(box.id).folder
    until(lambda: not list(folder.glob("exec-*")))


def test_a_follower_is_told_what_another_process_does(
    engine: Engine, place: Place, busybox: str
) -> None:
    told: list[JournalEvent] = []
    arrived = threading.Event()

    def follow() -> None:
        for event in engine.system.events(filters={"container": ["elsewhere"], "event": ["die"]}):
            told.append(event)
            arrived.set()
            return

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    program = (
        "import sys; from jupyter_containers.engine import Engine; "
        f"e = Engine(root={str(place.root)!r}, run_root={str(place.run_root)!r}); "
        "e.run(sys.argv[1], ['sh', '-c', 'exit 5'], name='elsewhere', network='none', detach=True)"
    )
    # The process is gone before the container ends: conmon's exit command records the end.
    subprocess.run([sys.executable, "-c", program, busybox], check=True)
    assert arrived.wait(20)
    assert told[0].attributes["exitCode"] == "5"
    thread.join()
