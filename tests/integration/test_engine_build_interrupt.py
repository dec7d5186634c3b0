"""Builds that are stopped: every process of the step is gone, and the cache is as it was."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.errors import OperationCancelledError
from jupyter_containers.events import CancelToken, TaskFinished, TaskOutput
from tests.integration.build_bench import Bench

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

# Forks, ignores all signals that it can, and leaves its session: only its cgroup contains it.
STUBBORN = (
    "trap '' INT TERM HUP QUIT; for n in 1 2 3; do"
    " (trap '' INT TERM HUP; setsid sh -c \"trap '' TERM; sleep 98765\") & done;"
    " echo {0}ready; sleep 98765; wait"
)


def sleepers() -> list[str]:
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                line = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if b"98765" in line and b"runc" not in line and b"pytest" not in line:
                found.append(line.decode(errors="replace"))
    return found


def stopped(bench: Bench, text: str, ready: int) -> float:
    """Cancel a build when ``ready`` steps have begun; return the seconds until it was over."""
    cancel, seen, moments = CancelToken(), set[str](), list[float]()

    def emit(event: Any) -> None:
        bench.events.append(event)
        if isinstance(event, TaskOutput) and b"ready" in event.data:
            seen.add(event.task)
            if len(seen) == ready and not moments:
                moments.append(time.monotonic())
                cancel.cancel()

    bench.events.clear()
    with pytest.raises(OperationCancelledError):
        bench.engine.build(bench.context, dockerfile=text, emit=emit, cancel=cancel, network="none")
    return time.monotonic() - moments[0]


def test_a_step_that_forks_and_ignores_signals_is_reaped(bench: Bench) -> None:
    steps = "FROM busybox\nRUN echo kept > /kept\n"
    bench.build(steps, network="none")
    # The figure (200 ms) is the bench's; here it only has to be at once, on a busy machine too.
    assert stopped(bench, f"{steps}RUN {STUBBORN.format('')}\n", 1) < 3
    assert sleepers() == []
    assert bench.engine.system.check().problems == ()
    image = bench.build(steps + "RUN echo more > /more\n", network="none")
    assert [outcome for outcome, _ in bench.steps] == ["cached", "cached", "done"]
    assert bench.run(image, "cat /kept /more") == "kept\nmore\n"


def test_all_stages_are_stopped(bench: Bench) -> None:
    text = (
        f"FROM busybox AS one\nRUN {STUBBORN.format('one')}\n"
        f"FROM busybox AS two\nRUN {STUBBORN.format('two')}\n"
        "FROM busybox\nCOPY --from=one /x /x\nCOPY --from=two /x /y\n"
    )
    assert stopped(bench, text, 2) < 3
    assert sleepers() == []
    ended = [one.outcome for one in bench.events if isinstance(one, TaskFinished)]
    assert ended.count("cancelled") == 2, "what waits for a stage has not begun"
    assert "failed" not in ended


def test_an_interrupt_of_the_main_thread_stops_all_stages(bench: Bench) -> None:
    seen: set[str] = set()

    def emit(event: Any) -> None:
        if isinstance(event, TaskOutput) and b"ready" in event.data:
            seen.add(event.task)
            if len(seen) == 2:
                main = threading.main_thread().ident
                assert main is not None
                signal.pthread_kill(main, signal.SIGINT)

    text = (
        f"FROM busybox AS one\nRUN {STUBBORN.format('three')}\n"
        f"FROM busybox AS two\nRUN {STUBBORN.format('four')}\n"
        "FROM busybox\nCOPY --from=one /x /x\nCOPY --from=two /x /y\n"
    )
    with pytest.raises(KeyboardInterrupt):
        bench.engine.build(bench.context, dockerfile=text, emit=emit, network="none")
    assert sleepers() == []
    assert not [one for one in threading.enumerate() if one.name.startswith("stage-")]
    assert bench.engine.system.check().problems == ()
