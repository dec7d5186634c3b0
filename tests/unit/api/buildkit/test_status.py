"""Events of the builder as news for clients, in bounded memory."""

from __future__ import annotations

import threading

import pytest

from jupyter_containers.api.buildkit.messages import StatusResponse, VertexLog
from jupyter_containers.api.buildkit.registry import Named
from jupyter_containers.api.buildkit.status import Progress, Vertices
from jupyter_containers.api.buildkit.wire import decode
from jupyter_containers.errors import NotFoundError, OperationCancelledError
from jupyter_containers.events import (
    CHECKS,
    CancelToken,
    TaskFinished,
    TaskOutput,
    TaskProgress,
    TaskStarted,
)


def _news(progress: Progress) -> StatusResponse:
    progress.end()
    whole = StatusResponse(vertexes=[], statuses=[], logs=[], warnings=[])
    for data in progress.read(CancelToken()):
        one = decode(StatusResponse, data)
        whole.vertexes += one.vertexes
        whole.statuses += one.statuses
        whole.logs += one.logs
        whole.warnings += one.warnings
    return whole


def test_steps_are_vertices_and_layers_their_parts() -> None:
    progress = Progress("ref", CancelToken())
    sink = Vertices(progress)
    sink(TaskStarted("build-0-1", "[1/2] FROM x"))
    sink(TaskStarted("0123456789ab", "0123456789ab", 100))
    sink(TaskProgress("0123456789ab", 50, 100, "Downloading"))
    sink(TaskFinished("0123456789ab"))
    sink(TaskFinished("build-0-1", "cached"))
    sink(TaskStarted("build-0-2", "[2/2] RUN y"))
    sink(TaskOutput("build-0-2", b"out"))
    sink(TaskOutput("build-0-2", b"err", "stderr"))
    sink(TaskFinished("build-0-2", "failed"))
    sink.fail("exit code: 3")
    found = _news(progress)
    assert [(one.name, one.cached, one.error, one.completed is None) for one in found.vertexes] == [
        ("[1/2] FROM x", False, "", True),
        ("[1/2] FROM x", True, "", False),
        ("[2/2] RUN y", False, "", True),
        ("[2/2] RUN y", False, "exit code: 3", False),
    ]
    first, second = found.vertexes[0].digest, found.vertexes[2].digest
    assert first != second
    assert [(one.vertex, one.name, one.current, one.total) for one in found.statuses] == [
        (first, "downloading 0123456789ab", 50, 100),
        (first, "downloading 0123456789ab", 0, 0),
    ]
    assert [(one.vertex, one.stream, one.msg) for one in found.logs] == [
        (second, 1, b"out"),
        (second, 2, b"err"),
    ]


def test_findings_are_warnings() -> None:
    progress = Progress("ref", CancelToken())
    sink = Vertices(progress)
    sink(TaskStarted(CHECKS, "1 warning of the build checks"))
    sink(TaskOutput(CHECKS, b"FromAsCasing: no\nDockerfile:1\n", "stderr"))
    sink(TaskFinished(CHECKS))
    [one] = _news(progress).warnings
    assert (one.level, one.short, one.detail) == (1, b"FromAsCasing: no", [b"Dockerfile:1"])


def _log(size: int) -> StatusResponse:
    return StatusResponse(logs=[VertexLog(vertex="v", msg=b"x" * size)])


def test_output_that_nobody_reads_is_not_kept() -> None:
    progress = Progress("ref", CancelToken())
    for _ in range(100):
        progress.tell(_log(1 << 20))
    assert len(_news(progress).logs) <= 6


def test_a_reader_that_is_slow_holds_the_build_up_until_it_is_cancelled() -> None:
    cancel = CancelToken()
    progress = Progress("ref", cancel)
    reader = progress.read(CancelToken())
    progress.tell(_log(1))
    next(reader)
    told = [0]

    def pour() -> None:
        for _ in range(100):
            progress.tell(_log(1 << 20))
            told[0] += 1

    thread = threading.Thread(target=pour, daemon=True)
    thread.start()
    thread.join(1)
    assert thread.is_alive()
    assert told[0] <= 6
    cancel.cancel()
    thread.join(20)
    assert not thread.is_alive()


def test_what_is_named_is_waited_for() -> None:
    named: Named[int] = Named("session")
    threading.Timer(0.1, named.add, ("a", 1)).start()
    assert named.wait("a", CancelToken()) == 1
    named.remove("a", 2)  # another of this name
    assert named.find("a") == 1
    named.remove("a", 1)
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(OperationCancelledError):
        named.wait("a", cancel)


def test_what_has_ended_can_be_asked_for_a_while() -> None:
    """A client that opened its stream of progress after a short build waited in vain."""
    named: Named[str] = Named("job")
    for number in range(20):
        named.add(f"j{number}", "progress")
        named.retire(f"j{number}", "progress")
    assert [number for number in range(20) if named.find(f"j{number}")] == list(range(12, 20))
    assert named.wait("j19", CancelToken()) == "progress"


def test_what_does_not_come_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jupyter_containers.api.buildkit.registry._WAIT_SECONDS", 0.0)
    with pytest.raises(NotFoundError, match="no such session: b"):
        Named[int]("session").wait("b", CancelToken())
