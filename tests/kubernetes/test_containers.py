"""Containers in a real cluster, as a user with rights in one namespace only."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from jupyter_containers.engine import Container
from jupyter_containers.errors import (
    AlreadyExistsError,
    ContainerFailedError,
    ContainerNotFoundError,
    ImageNotFoundError,
    InvalidStateError,
    OCIRuntimeError,
    OperationCancelledError,
    PodNotStartedError,
    UnsupportedError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.kubernetes.engine import ClusterEngine

BOX = "box:1"
# Ends with 5 at a TERM, after a last line.
SERVER = "trap 'echo bye; exit 5' TERM; echo one; while :; do sleep 0.1; done"


def test_a_run_has_streams_and_exit_code(engine: ClusterEngine) -> None:
    heard: list[tuple[str, bytes]] = []
    result = engine.run(
        BOX,
        ["sh", "-c", "cat; echo err >&2; id -u; exit 4"],
        stdin=b"typed\n",
        user="1000",
        rm=True,
        check=False,
        on_output=lambda stream, data: heard.append((stream, data)),
    )
    assert (result.exit_code, result.stdout, result.stderr) == (4, b"typed\n1000\n", b"err\n")
    assert ("stderr", b"err\n") in heard
    with pytest.raises(ContainerFailedError) as caught:
        engine.run(BOX, ["sh", "-c", "echo $0 '$(A)' $A; exit 3"], env=["A=$(B)"], rm=True)
    assert (caught.value.exit_code, caught.value.log_tail) == (3, ("sh $(A) $(B)",))
    assert engine.containers(all=True) == []


def test_a_large_input_passes_through(engine: ClusterEngine) -> None:
    data = bytes(range(256)) * 8192
    assert engine.run(BOX, ["cat"], stdin=data, rm=True).stdout == data


def test_the_life_of_a_container(engine: ClusterEngine) -> None:
    containers = engine.containers
    one = engine.run(BOX, ["sh", "-c", SERVER], detach=True, name="Web_1", env=["A=1"])
    assert isinstance(one, Container)
    try:
        assert containers() == [one]
        assert containers.get("Web_1") == containers.get(one.id[:12]) == one
        with pytest.raises(ContainerNotFoundError, match="no such container: Web"):
            containers.get("Web")
        with pytest.raises(AlreadyExistsError, match="Web_1 is already in use"):
            engine.run(BOX, ["true"], detach=True, name="Web_1")
        with pytest.raises(InvalidStateError):
            containers.remove("Web_1")
        document = containers.inspect("Web_1")
        assert (document["State"]["Status"], document["Config"]["Env"][0]) == ("running", "A=1")
        containers.rename("Web_1", "web")
        containers.stop("web")
        stopped = containers.get("web")
        assert (str(stopped.status), stopped.exit_code) == ("exited", 5)
        assert [line.data for line in containers.logs("web", tail=1)] == [b"bye\n"]
        assert containers.start("web") == one
        containers.kill("web")
        killed = containers.get("web")
        assert (killed.exit_code, killed.id) == (137, one.id)
        assert [line.data for line in containers.logs("web")] == [b"one\n"]
        assert str(containers.restart("web", timeout=1).status) == "running"
        assert containers.wait is not None
    finally:
        containers.remove("web", force=True)
    assert containers(all=True) == []


def test_a_created_container_is_started_later(engine: ClusterEngine) -> None:
    made = engine.containers.create(BOX, ["sh", "-c", "echo made; echo e >&2"], name="made")
    assert str(made.status) == "created"
    result = engine.containers.start("made", attach=True)
    assert (result.stdout, result.stderr) == (b"made\n", b"e\n")
    assert engine.containers.wait("made") == 0
    assert engine.containers.prune().removed == (made.id,)


def test_inside_a_container(engine: ClusterEngine) -> None:
    containers = engine.containers
    with engine.run(BOX, ["sh", "-c", SERVER], detach=True, name="inside") as one:
        assert isinstance(one, Container)
        done = one.exec(["sh", "-c", "echo out; echo err >&2; exit 7"], check=False)
        assert (done.exit_code, done.stdout, done.stderr) == (7, b"out\n", b"err\n")
        assert one.exec(["wc", "-c"], stdin=b"12345").stdout == b"5\n"
        assert one.exec("pwd", workdir="/tmp", env=["A=1"]).stdout == b"/tmp\n"
        with pytest.raises(OCIRuntimeError, match="not found") as caught:
            one.exec("nosuch")
        assert caught.value.exit_code == 127
        assert containers.top("inside")[0]["PID"] == "1"
        assert one.stats().pids > 0
        terminal = containers.terminal("inside", ["sh"], rows=33, columns=77)
        terminal.write(b"stty size; exit 3\n")
        assert terminal.wait(20) == 3
        terminal.close()


def test_a_log_is_followed_and_cancelled(engine: ClusterEngine) -> None:
    since = datetime.now(UTC)
    script = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.1; done"
    with engine.run(BOX, ["sh", "-c", script], detach=True, name="talker"):
        token = CancelToken()
        seen = []
        for line in engine.containers.logs("talker", follow=True, since=since, cancel=token):
            seen.append(line.data)
            if len(seen) == 5:
                began = time.monotonic()
                token.cancel()
        assert seen[:2] == [b"line 1\n", b"line 2\n"]
        assert time.monotonic() - began < 5


def test_a_run_is_cancelled_and_nothing_is_left(engine: ClusterEngine) -> None:
    token = CancelToken()
    with pytest.raises(OperationCancelledError):
        engine.run(
            BOX, ["sh", "-c", "echo go; sleep 60"], rm=True, cancel=token,
            on_output=lambda *_: token.cancel(),
        )  # fmt: skip
    assert engine.containers(all=True) == []


@pytest.mark.parametrize(
    ("image", "flags", "kind", "text"),
    [
        ("nobox:1", {}, ImageNotFoundError, "no image team/nobox:1"),
        (BOX, {"memory": "900g"}, PodNotStartedError, "no node has enough memory free"),
        (BOX, {"command": ["nosuch"]}, ContainerFailedError, "exit code 127"),
    ],
)
def test_what_does_not_start_is_explained(
    engine: ClusterEngine, image: str, flags: dict[str, Any], kind: type[Exception], text: str
) -> None:
    began = time.monotonic()
    with pytest.raises(kind, match=text):
        engine.run(image, flags.pop("command", ["true"]), rm=True, **flags)
    assert time.monotonic() - began < 30
    assert engine.containers(all=True) == []


def test_memory_that_runs_out_is_reported(engine: ClusterEngine) -> None:
    with pytest.raises(ContainerFailedError, match="out of memory") as caught:
        engine.run(BOX, ["sh", "-c", "x=a; while :; do x=$x$x; done"], memory="16m", rm=True)
    assert (caught.value.exit_code, caught.value.oom_killed) == (137, True)


def test_owners_do_not_see_each_other(
    engine: ClusterEngine, engine_for: Callable[..., ClusterEngine]
) -> None:
    other = engine_for("bob")
    with engine.run(BOX, ["sleep", "60"], detach=True, name="db"):
        assert other.containers(all=True) == []
        with pytest.raises(ContainerNotFoundError):
            other.containers.get("db")
        other.containers.create(BOX, ["true"], name="db").remove()


@pytest.mark.parametrize("verb", ["pause", "diff", "explain"])
def test_what_a_cluster_does_not_have_is_refused(engine: ClusterEngine, verb: str) -> None:
    with pytest.raises(UnsupportedError, match=f"{verb} is not possible in a cluster"):
        getattr(engine.containers, verb)("x")


def test_volumes_outlive_containers(engine: ClusterEngine) -> None:
    engine.run(BOX, ["sh", "-c", "echo kept >/d/f"], volume=["data:/d"], user="1000", rm=True)
    try:
        result = engine.run(BOX, ["cat", "/d/f"], volume=["data:/d:ro"], rm=True)
        assert result.stdout == b"kept\n"
        assert engine.volumes.names() == ["data"]
    finally:
        engine.volumes.remove("data")
    assert engine.volumes() == []
