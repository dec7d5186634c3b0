"""Containers in a real cluster, as a user with rights in one namespace only."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from jupyter_containers.engine import Container
from jupyter_containers.errors import (
    AlreadyExistsError,
    ClusterForbiddenError,
    ContainerFailedError,
    ContainerNotFoundError,
    ImageNotFoundError,
    InvalidStateError,
    NotFoundError,
    OCIRuntimeError,
    OperationCancelledError,
    PodNotStartedError,
    QuotaError,
    UnsupportedError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.kubernetes import client, foreground
from jupyter_containers.kubernetes.engine import ClusterEngine
from jupyter_containers.kubernetes.streams import Channel, Lines
from tests.kubernetes.conftest import NAMESPACE, Cluster

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


def test_a_terminal_has_its_size_and_loses_nothing(engine: ClusterEngine) -> None:
    result = engine.run(
        BOX, ["sh", "-c", "stty size; tty"], tty=True, interactive=True, rm=True,
        terminal_size=lambda: (33, 77),
    )  # fmt: skip
    assert result.stdout == b"33 77\r\n/dev/pts/0\r\n"


def test_names_resolve_on_a_network(engine: ClusterEngine) -> None:
    engine.networks.create("shop")
    try:
        with engine.run(BOX, ["sleep", "60"], detach=True, name="db", network="shop"):
            found = engine.run(BOX, ["nslookup", "db"], network="shop", rm=True, check=False)
            address = engine.containers.get("db").ip_address
            assert address in found.output, found
            [member] = engine.networks.inspect("shop")["Containers"].values()
            assert (member["Name"], member["IPv4Address"]) == ("db", address)
    finally:
        engine.networks.remove("shop")


def test_files_are_copied_in_and_out(engine: ClusterEngine, tmp_path: Path) -> None:
    (tmp_path / "in/sub").mkdir(parents=True)
    (tmp_path / "in/sub/file").write_bytes(bytes(range(256)) * 1000)
    copy = engine.containers.copy
    with engine.run(BOX, ["sh", "-c", SERVER], detach=True, name="files") as one:
        assert isinstance(one, Container)
        copy(str(tmp_path / "in"), "files:/tmp")
        copy(str(tmp_path / "in/sub/file"), "files:/tmp/renamed")
        copy(str(tmp_path / "in"), "files:/tmp/new")
        listed = one.exec(["find", "/tmp", "-type", "f"]).output.split()
        assert sorted(listed) == ["/tmp/in/sub/file", "/tmp/new/sub/file", "/tmp/renamed"]
        copy("files:/tmp/in", str(tmp_path / "out"))
        copy("files:/tmp/renamed", str(tmp_path))
        data = (tmp_path / "in/sub/file").read_bytes()
        assert (tmp_path / "out/sub/file").read_bytes() == data
        assert (tmp_path / "renamed").read_bytes() == data
        one.exec(["ln", "-s", str(tmp_path), "/tmp/link"])
        one.exec(["sh", "-c", "chmod 4755 /tmp/renamed; echo new >/tmp/new/sub/file"])
        copy("files:/tmp/renamed", str(tmp_path / "plain"))
        assert (tmp_path / "plain").stat().st_mode & 0o7777 == 0o755
        with pytest.raises(NotFoundError, match="could not find the file /nosuch"):
            copy("files:/nosuch", str(tmp_path))


def test_events_are_dockers(engine: ClusterEngine) -> None:
    since = datetime.now(UTC)
    token = CancelToken()
    seen: list[str] = []

    def listen() -> None:
        for event in engine.system.events(since=since, cancel=token):
            seen.append(event.action)
            if event.action == "destroy":
                return

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        time.sleep(0.3)  # the list of what is there
        engine.run(BOX, ["sh", "-c", "exit 3"], detach=True, name="eventful")
        assert engine.containers.wait("eventful") == 3
        engine.containers.remove("eventful")
        listener.join(20)
    finally:
        token.cancel()
        listener.join()
    assert seen == ["create", "start", "die", "destroy"]


def test_doctor_names_what_is_missing(engine: ClusterEngine, cluster: Cluster) -> None:
    report = engine.system.doctor()
    assert report.healthy
    assert report.remark == ""
    names = [item.name for item in report.capabilities if not item.found]
    assert names == []


def test_the_documented_role_is_enough_and_doctor_names_what_another_lacks(
    cluster: Cluster, engine_for: Callable[..., ClusterEngine], tmp_path: Path
) -> None:
    role = Path(__file__).parents[2] / "docs/install/kubernetes-role.yaml"
    kubectl = cluster.kubectl_as_admin
    kubectl("apply", "-f", str(role))
    kubectl("create", "serviceaccount", "documented")
    try:
        token = _token_of(cluster, "documented")
        own = _kubeconfig_with(cluster, token, tmp_path / "kubeconfig")
        engine = engine_for("carl", kubeconfig=str(own))
        with pytest.raises(ClusterForbiddenError, match="cannot"):
            engine.run(BOX, ["true"], rm=True)
        report = engine.system.doctor()
        assert not report.healthy
        assert "resources: [pods], verbs: [get, list, watch, create, patch, delete]" in (
            report.remark
        )
        kubectl(
            "create", "rolebinding", "documented", "--role", "jupyter-containers",
            f"--serviceaccount={NAMESPACE}:documented",
        )  # fmt: skip
        assert engine.system.doctor().remark == ""
        assert engine.run(BOX, ["echo", "hi"], rm=True).output == "hi\n"
        with engine.run(BOX, ["sleep", "60"], detach=True, name="one") as one:
            assert isinstance(one, Container)
            assert one.exec(["echo", "in"]).output == "in\n"
            one.kill()
            assert [line.data for line in one.logs()] == []
    finally:
        kubectl("delete", "rolebinding,serviceaccount", "documented", "--ignore-not-found")


def test_a_full_quota_is_explained(engine: ClusterEngine, cluster: Cluster) -> None:
    cluster.kubectl_as_admin("create", "quota", "full", "--hard=pods=0")
    try:
        with pytest.raises(QuotaError, match="the namespace's quota is full: full, requested"):
            engine.run(BOX, ["true"], rm=True)
        report = engine.system.doctor()
        assert any(item.name.startswith("quota") for item in report.capabilities)
    finally:
        cluster.kubectl_as_admin("delete", "quota", "full")


def _token_of(cluster: Cluster, account: str) -> str:
    for _ in range(100):
        name = cluster.kubectl_as_admin(
            "get", "serviceaccount", account, "-o", "jsonpath={.secrets[0].name}"
        )
        if name:
            token = cluster.kubectl_as_admin("get", "secret", name, "-o", "jsonpath={.data.token}")
            return base64.b64decode(token).decode()
        time.sleep(0.1)
    raise AssertionError("the account has no token")


def _kubeconfig_with(cluster: Cluster, token: str, path: Path) -> Path:
    document = yaml.safe_load(Path(cluster.kubeconfig).read_text())
    document["users"] = [
        {"name": user["name"], "user": {"token": token}} for user in document["users"]
    ]
    path.write_text(yaml.safe_dump(document))
    return path


def test_a_connection_that_is_cut_is_renewed(
    engine: ClusterEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a second attachment the output would end at the cut."""
    opened: list[Channel] = []

    class Recorded(Channel):
        def __init__(self, *args: Any, **query: Any) -> None:
            super().__init__(*args, **query)
            opened.append(self)

    monkeypatch.setattr(foreground, "Channel", Recorded)

    def cut_once(stream: str, data: bytes) -> None:
        if b"first" in data:
            opened[0].end()

    script = "echo first; sleep 2; echo second; exit 3"
    with pytest.warns(UserWarning, match="was cut and is back"):
        result = engine.run(BOX, ["sh", "-c", script], rm=True, check=False, on_output=cut_once)
    assert (result.exit_code, result.stdout) == (3, b"first\nsecond\n")


def test_a_log_that_is_cut_goes_on(engine: ClusterEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the renewal the lines would end at the cut."""
    opened: list[Lines] = []
    stream = client.Cluster.stream

    def recorded(self: client.Cluster, *args: Any, **query: Any) -> Lines:
        opened.append(stream(self, *args, **query))
        return opened[-1]

    monkeypatch.setattr(client.Cluster, "stream", recorded)
    script = "i=0; while [ $i -lt 15 ]; do i=$((i+1)); echo $i; sleep 0.1; done"
    with engine.run(BOX, ["sh", "-c", script], detach=True, name="counter"):
        seen = []
        for line in engine.containers.logs("counter", follow=True):
            seen.append(int(line.data))
            if len(seen) == 3:
                opened[-1].end()
    assert seen == list(range(1, 16))


def test_a_container_that_restarts_is_stopped_by_its_node(engine: ClusterEngine) -> None:
    script = "echo one; sleep 0.2; exit 3"
    with engine.run(
        BOX, ["sh", "-c", script], detach=True, name="again", restart="always", stop_timeout=1
    ) as one:
        assert isinstance(one, Container)
        engine.containers.stop("again", timeout=2)
        stopped = engine.containers.get("again")
        assert (str(stopped.status), stopped.id) == ("exited", one.id)
        assert time.time() - stopped.record.state.finished < 60
