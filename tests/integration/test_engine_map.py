"""A command over many items: results in order, retries, typed failures, nothing left."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.engine.interrupts import notes_of
from jupyter_containers.engine.workloads.map import available_memory, default_workers
from jupyter_containers.errors import (
    ContainerFailedError,
    InvalidArgumentError,
    ItemFailedError,
    OperationCancelledError,
)
from jupyter_containers.events import CancelToken, TaskFinished, TaskProgress, TaskStarted
from jupyter_containers.options import RunOptions

NONE = {"network": "none"}


def test_results_are_in_the_order_of_the_items(engine: Engine, busybox: str) -> None:
    events: list[Any] = []
    script = 'sleep 0.$1; echo "$1 of $2"'
    found = engine.workloads.map(
        busybox, ["sh", "-c", script, "sh", "{}", "{}{}"], [3, 1, 2], emit=events.append, **NONE
    )
    assert [result.output for result in found] == ["3 of 33\n", "1 of 11\n", "2 of 22\n"]
    [started, *going, finished] = events
    assert isinstance(started, TaskStarted)
    assert (started.total, started.unit) == (3, "items")
    assert all(isinstance(event, TaskProgress) for event in going)
    assert going[-1].current == 3
    assert finished == TaskFinished("map")
    assert engine.containers(all=True) == []
    assert engine.workloads.map(busybox, ["true"], []) == []


def test_an_item_is_an_argument_an_input_or_a_variable(
    engine: Engine, busybox: str, tmp_path: Path
) -> None:
    (tmp_path / "f").write_text("of a file")
    ways: list[tuple[list[str], list[Any], dict[str, Any], list[str]]] = [
        (["echo", "last"], ["a b", ("c", 1)], {}, ["last a b\n", "last c 1\n"]),
        (["cat"], [b"raw", "text", {"a": 1}, tmp_path / "f"], {"stdin": True}, []),
        (["sh", "-c", "cat $v"], ["x", {"a": 1}], {"into": "v"}, ["x", '{"a": 1}']),
    ]
    for command, items, how, wanted in ways:
        found = engine.workloads.map(busybox, command, items, **how, **NONE)
        assert [result.output for result in found] == (
            wanted or ["raw", "text", '{"a": 1}', "of a file"]
        )
    script = ["sh", "-c", "echo $(($(cat $n) * 2)) > $twice.json"]
    found = engine.workloads.map(busybox, script, range(3), into="n", results=["twice"], **NONE)
    assert [result.results["twice"] for result in found] == [0, 2, 4]


def test_so_many_run_at_once(engine: Engine, busybox: str, tmp_path: Path) -> None:
    running: list[int] = []
    stop = threading.Event()
    until_three = "n=0; until [ -e /d/go ] || [ $n = 300 ]; do sleep 0.1; n=$((n+1)); done"

    def watch() -> None:
        while not stop.wait(0.02):
            running.append(len(engine.containers()))
            if running[-1] == 3:
                (tmp_path / "go").touch()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        items = [() for _ in range(5)]
        words = ["sh", "-c", until_three]
        engine.workloads.map(busybox, words, items, workers=3, volume=[f"{tmp_path}:/d"], **NONE)
    finally:
        stop.set()
        watcher.join()
    assert max(running) == 3


def test_an_item_has_a_time_limit(engine: Engine, busybox: str) -> None:
    words = ["sh", "-c", "[ {} = quick ] || exec sleep 60"]
    run = engine.workloads.map
    found = run(busybox, words, ["quick", "slow"], timeout=3, check=False, **NONE)
    assert [one.exit_code for one in found] == [0, 124]
    with pytest.raises(ItemFailedError, match=r"item 0 \('slow'\) failed: it took more than 0.5"):
        run(busybox, words, ["slow"], timeout=0.5, **NONE)
    assert engine.containers(all=True) == []


def test_the_default_respects_the_machine() -> None:
    cpus = len(os.sched_getaffinity(0))
    assert default_workers(RunOptions.of("i")) == cpus
    assert default_workers(RunOptions.of("i", cpus=cpus)) == 1
    assert default_workers(RunOptions.of("i", cpus=0.5)) == 2 * cpus
    assert default_workers(RunOptions.of("i", memory=available_memory() * 3 // 4)) == 1
    assert default_workers(RunOptions.of("i", memory=available_memory() * 4)) == 1


def test_the_first_failure_ends_all(engine: Engine, busybox: str) -> None:
    began = time.monotonic()
    with pytest.raises(ItemFailedError, match=r"item 1 \('bad'\) failed: .* exit code 3") as caught:
        engine.workloads.map(
            busybox,
            ["sh", "-c", "test {} = bad || exec sleep 60; echo why; exit 3"],
            ["one", "bad", "two", "three"],
            workers=2,
            **NONE,
        )
    assert time.monotonic() - began < 20
    error = caught.value
    assert (error.index, error.item, error.results) == (1, "bad", (None,) * 4)
    assert isinstance(error.error, ContainerFailedError)
    assert list(error.details()) == ["  | why"]
    assert engine.containers(all=True) == []


def test_without_check_an_exit_code_is_told(engine: Engine, busybox: str) -> None:
    found = engine.workloads.map(busybox, ["sh", "-c", "exit {}"], [0, 3, 1], check=False, **NONE)
    assert [result.exit_code for result in found] == [0, 3, 1]


def test_what_fails_is_tried_again(engine: Engine, busybox: str, tmp_path: Path) -> None:
    # The second attempt finds the files of the first.
    script = "test -e /work/{} && echo again || { touch /work/{}; exit 1; }"
    found = engine.workloads.map(
        busybox, ["sh", "-c", script], ["a", "b"], retries=1, here=tmp_path, **NONE
    )
    assert [result.output for result in found] == ["again\n", "again\n"]
    with pytest.raises(ItemFailedError):
        engine.workloads.map(busybox, ["false"], [()], retries=1, **NONE)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"detach": True}, "omit detach"),
        ({"name": "one"}, "omit detach"),
        ({"workers": 0}, "workers must be at least 1"),
        ({"retries": -1}, "retries at least 0"),
        ({"stdin": True, "into": "x"}, "not both"),
        ({"memroy": 1}, "unknown option"),
    ],
)
def test_a_bad_request_runs_nothing(
    engine: Engine, busybox: str, flags: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        engine.workloads.map(busybox, ["true"], [1], **flags)


def test_a_cancelled_map_leaves_nothing(engine: Engine, busybox: str) -> None:
    cancel = CancelToken()
    threading.Timer(0.5, cancel.cancel).start()
    with pytest.raises(OperationCancelledError):
        engine.workloads.map(busybox, ["sleep", "60"], [(), (), ()], workers=2, cancel=cancel)
    assert engine.containers(all=True) == []


def test_an_interrupt_ends_all_and_says_what_was_done(engine: Engine, busybox: str) -> None:
    pressed: list[float] = []

    def press() -> None:
        while not engine.containers():
            time.sleep(0.02)
        time.sleep(0.3)
        for _ in range(2):  # an impatient person
            pressed.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.02)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt) as caught:
        engine.workloads.map(busybox, ["sleep"], [0, 60, 60, 60], workers=3, **NONE)
    ended = time.monotonic()
    presser.join()
    assert notes_of(caught.value) == ["1 of 4 items were done, no container is left"]
    assert engine.containers(all=True) == []
    assert ended - pressed[0] < 3  # the figure is the bench's
