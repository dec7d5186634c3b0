from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from jupyter_containers.build.scheduling import StageRuns
from jupyter_containers.errors import OperationCancelledError, StepFailedError
from jupyter_containers.events import CancelToken, TaskFinished, TaskStarted
from jupyter_containers.options.build import BuildOptions

TWO = """\
FROM scratch AS a
RUN a
FROM scratch AS b
RUN b
FROM scratch
COPY --from=a /a /
COPY --from=b /b /
"""


def test_independent_stages_run_at_the_same_time(bench: Any) -> None:
    together = threading.Barrier(2, timeout=10)

    def meeting(request: Any, root: Any, on_output: Any) -> int:
        together.wait()  # breaks unless the other stage's step runs too
        (root / request.argv[-1]).write_text("x")
        return 0

    bench.layers.runner = meeting
    result = bench.build(TWO)
    assert sorted(path.name for path in bench.root(result).iterdir()) == ["a", "b"]
    assert [step.title for step in result.steps] == [
        "[a 1/2] FROM scratch AS a", "[a 2/2] RUN a",
        "[b 1/2] FROM scratch AS b", "[b 2/2] RUN b",
        "[stage-2 1/3] FROM scratch", "[stage-2 2/3] COPY --from=a /a /",
        "[stage-2 3/3] COPY --from=b /b /",
    ]  # fmt: skip


def test_only_stages_that_the_target_needs_are_built(bench: Any) -> None:
    bench.build("FROM scratch AS a\nRUN a\nFROM scratch AS b\nRUN b\n")
    assert [request.argv[-1] for request in bench.layers.requests] == ["b"]


def test_a_failure_stops_the_stages_beside_it(bench: Any) -> None:
    cancel = CancelToken()

    def run(request: Any, root: Any, on_output: Any) -> int:
        if request.argv[-1] == "b":
            return 3
        assert cancel.wait(10), "the other stage's failure did not arrive"
        raise OperationCancelledError("cancelled")

    bench.layers.runner = run
    options = BuildOptions.of(bench.context, dockerfile=TWO)
    with pytest.raises(StepFailedError, match="RUN b ended with exit code 3"):
        bench.builder.build(options, bench.events.append, cancel)
    outcomes = {one.task: one.outcome for one in bench.events if isinstance(one, TaskFinished)}
    assert (outcomes["build-0-2"], outcomes["build-1-2"]) == ("cancelled", "failed")
    assert not [one for one in threading.enumerate() if one.name.startswith("stage-")]


def test_a_stage_begins_before_the_one_it_copies_from_has_ended(bench: Any) -> None:
    begun = threading.Event()

    def run(request: Any, root: Any, on_output: Any) -> int:
        if request.argv[-1] == "early":
            begun.set()
        else:
            assert begun.wait(10)
            (root / "a").write_text("x")
        return 0

    bench.layers.runner = run
    bench.build("FROM scratch AS a\nRUN late\nFROM scratch\nRUN early\nCOPY --from=a /a /\n")


def test_the_same_step_in_two_builds_is_carried_out_once(bench: Any) -> None:
    entered, go = threading.Event(), threading.Event()

    def slow(request: Any, root: Any, on_output: Any) -> int:
        entered.set()
        assert go.wait(10)
        (root / "out").write_text("x")
        return 0

    bench.layers.runner = slow
    made: list[str] = []

    def build() -> None:
        made.append(bench.build("FROM scratch\nRUN x\n").manifest.digest)

    threads = [threading.Thread(target=build) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert entered.wait(10)
    time.sleep(0.05)
    go.set()
    for thread in threads:
        thread.join(10)
    assert len(bench.layers.requests) == 1
    assert len(made) == 3
    assert len(set(made)) == 1


def test_the_same_image_is_resolved_once_for_all_stages(bench: Any) -> None:
    bench.image("base")
    bench.build("FROM base AS a\nRUN a\nFROM base\nCOPY --from=a /etc /x\n")
    assert len(bench.images.asked) == 1


def test_an_interrupt_of_the_caller_ends_every_stage() -> None:
    cancel, running = CancelToken(), threading.Barrier(3, timeout=10)

    class Interrupted(StageRuns[int]):
        def _wait(self) -> None:
            if not cancel.cancelled:
                running.wait()
                raise KeyboardInterrupt
            super()._wait()

    def stage(index: int) -> int:
        running.wait()
        assert cancel.wait(10)
        raise OperationCancelledError("cancelled")

    with pytest.raises(KeyboardInterrupt):
        Interrupted(stage, cancel).run([0, 1])
    assert not [one for one in threading.enumerate() if one.name.startswith("stage-")]


def test_no_cache_filter_rebuilds_the_named_stages_only(bench: Any) -> None:
    bench.layers.runner = lambda request, root, _: (root / request.argv[-1]).write_text("x") and 0
    bench.build(TWO)
    bench.layers.requests.clear()
    result = bench.build(TWO, no_cache_filter="b")
    assert [request.argv[-1] for request in bench.layers.requests] == ["b"]
    reasons = {one.title: one.reason for one in result.steps}
    assert (reasons["[a 2/2] RUN a"], reasons["[b 2/2] RUN b"]) == ("", "the cache is off")
    started = [one.title for one in bench.events if isinstance(one, TaskStarted)]
    assert len(started) == 2 * len(result.steps)
