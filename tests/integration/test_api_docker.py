"""Docker's own command against the service: each test does real work."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from tests.integration.api_client import Client, needs_docker

pytestmark = needs_docker


@pytest.fixture(scope="module")
def client(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("api")
    with engine.api(f"unix://{folder}/d.sock") as url:
        yield Client(url, folder)


def test_a_container_runs_and_its_exit_code_comes_back(client: Client, busybox: str) -> None:
    assert client.docker("run", "--rm", busybox, "echo", "hello").stdout == b"hello\n"
    failed = client.docker("run", "--rm", busybox, "sh", "-c", "echo no >&2; exit 3", check=False)
    assert (failed.returncode, failed.stderr) == (3, b"no\n")
    assert client.docker("ps", "-aq").stdout == b""


def test_input_is_passed_on_until_its_end(client: Client, busybox: str) -> None:
    data = bytes(range(256)) * 40_000
    assert client.docker("run", "-i", "--rm", busybox, "cat", stdin=data).stdout == data


def test_a_terminal_runs_a_container(client: Client, busybox: str) -> None:
    code, shown = client.typed("run", "-it", "--rm", busybox, "sh", "-c", "tty; exit 4")
    assert (code, shown) == (4, b"/dev/pts/0\r\n")


def test_detach_keys_leave_the_container_running(client: Client, busybox: str) -> None:
    code, _ = client.typed(
        "run", "-it", "--name", "stays", busybox, "sh", after=b"# ", keys=b"\x10\x11"
    )
    assert code == 0
    assert client.docker("ps", "--format", "{{.Names}}").stdout == b"stays\n"
    client.docker("rm", "-f", "stays")


def test_a_detached_container_is_listed_stopped_and_removed(client: Client, busybox: str) -> None:
    made = client.docker("run", "-d", "--name", "web", "-l", "a=b", busybox, "sleep", "100")
    container_id = made.stdout.decode().strip()
    assert client.docker("ps", "-q", "--no-trunc", "-f", "label=a=b").stdout.decode().strip() == (
        container_id
    )
    client.docker("pause", "web")
    assert b"Paused" in client.docker("ps").stdout
    client.docker("unpause", "web")
    client.docker("rename", "web", "site")
    client.docker("update", "--memory", "64m", "--memory-swap", "64m", "site")
    assert b"site" in client.docker("stats", "--no-stream").stdout
    assert b"sleep 100" in client.docker("top", "site").stdout
    client.docker("stop", "-t", "0", "site")
    assert client.docker("wait", "site").stdout == b"137\n"
    client.docker("start", "site")
    client.docker("restart", "-t", "0", "site")
    client.docker("kill", "site")
    client.docker("rm", "-f", "site")
    assert client.docker("ps", "-aq").stdout == b""


def test_commands_run_in_a_container(client: Client, busybox: str) -> None:
    client.docker("run", "-d", "--name", "host", busybox, "sleep", "100")
    assert client.docker("exec", "-i", "host", "cat", stdin=b"in").stdout == b"in"
    assert client.docker("exec", "host", "sh", "-c", "exit 7", check=False).returncode == 7
    assert client.docker("exec", "host", "missing", check=False).returncode == 127
    assert client.typed("exec", "-it", "host", "sh", "-c", "tty; exit 4") == (4, b"/dev/pts/0\r\n")
    client.docker("exec", "-d", "-e", "A=1", "host", "sh", "-c", "echo $A > /marked")
    for _ in range(50):
        if client.docker("exec", "host", "cat", "/marked", check=False).stdout == b"1\n":
            break
    else:
        pytest.fail("the detached command has not run")
    client.docker("rm", "-f", "host")


def test_logs_are_followed_to_the_end(client: Client, busybox: str) -> None:
    script = "for i in 1 2 3 4; do echo $i; sleep 0.2; done; echo e >&2"
    client.docker("run", "-d", "--name", "talk", busybox, "sh", "-c", script)
    followed = client.docker("logs", "-f", "talk")
    assert (followed.stdout, followed.stderr) == (b"1\n2\n3\n4\n", b"e\n")
    assert client.docker("logs", "--tail", "2", "talk").stdout == b"4\n"
    dated = client.docker("logs", "-t", "--tail", "5", "talk").stdout.splitlines()[0]
    assert dated.startswith(b"20")
    assert dated.endswith(b" 1")
    client.docker("rm", "talk")


def test_files_are_copied_both_ways(client: Client, busybox: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_text("there and back")
    client.docker("create", "--name", "box", busybox, "true")
    client.docker("cp", str(tmp_path / "in"), "box:/taken")
    client.docker("cp", "box:/taken/file", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "there and back"
    assert b"A /taken" in client.docker("diff", "box").stdout
    with tarfile.open(fileobj=io.BytesIO(client.docker("export", "box").stdout)) as archive:
        assert "taken/file" in archive.getnames()
    missing = client.docker("cp", "box:/missing", str(tmp_path), check=False)
    assert missing.returncode == 1
    client.docker("rm", "box")


def test_images_are_built_saved_loaded_and_removed(
    client: Client, busybox: str, tmp_path: Path
) -> None:
    lines = [f"FROM {busybox}", "ARG A=1", "RUN echo made $A > /made", "COPY file /file"]
    (tmp_path / "Dockerfile").write_text("\n".join(lines))
    (tmp_path / "file").write_text("of the context")
    built = client.docker("build", "-t", "own:1", "--build-arg", "A=2", str(tmp_path)).stdout
    assert b"Successfully tagged own:1" in built
    shown = client.docker("run", "--rm", "own:1", "cat", "/made", "/file").stdout
    assert shown == b"made 2\nof the context"
    archive = client.docker("save", "own:1").stdout
    client.docker("tag", "own:1", "own:2")
    client.docker("rmi", "own:1", "own:2")
    assert client.docker("load", stdin=archive).stdout == b"Loaded image: own:1\n"
    assert b"RUN" in client.docker("history", "--no-trunc", "own:1").stdout
    client.docker("rmi", "own:1")


def test_a_failed_step_ends_the_build_with_its_code(
    client: Client, busybox: str, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {busybox}\nRUN exit 3\n")
    failed = client.docker("build", str(tmp_path), check=False)
    assert failed.returncode == 3
    assert b"returned a non-zero code: 3" in failed.stderr


def test_containers_of_a_network_know_each_other(client: Client, busybox: str) -> None:
    client.docker("network", "create", "--label", "a=b", "front")
    client.docker("run", "-d", "--name", "db", "--network", "front", busybox, "sleep", "100")
    answer = client.docker("run", "--rm", "--network", "front", busybox, "ping", "-c1", "db")
    assert b"1 packets received" in answer.stdout
    client.docker("network", "disconnect", "front", "db")
    client.docker("network", "connect", "--alias", "data", "front", "db")
    found = json.loads(client.docker("network", "inspect", "front").stdout)
    assert [item["Name"] for item in found[0]["Containers"].values()] == ["db"]
    client.docker("rm", "-f", "db")
    client.docker("network", "rm", "front")
    assert client.docker("network", "rm", "bridge", check=False).returncode == 1


def test_a_volume_outlives_its_containers(client: Client, busybox: str) -> None:
    client.docker("volume", "create", "--label", "a=b", "data")
    client.docker("run", "--rm", "-v", "data:/d", busybox, "sh", "-c", "echo kept > /d/file")
    shown = client.docker("run", "--rm", "-v", "data:/d:ro", busybox, "cat", "/d/file")
    assert shown.stdout == b"kept\n"
    assert client.docker("volume", "ls", "-q", "-f", "label=a=b").stdout == b"data\n"
    client.docker("volume", "rm", "data")


def test_events_tell_what_happened(client: Client, busybox: str) -> None:
    # Tests of other files in this store have containers of their own names.
    client.docker("run", "--rm", "--name", "eventful", busybox, "true")
    ends = str(int(time.time()) + 2)
    words = ("events", "--since", "1m", "--until", ends, "-f", "container=eventful")
    lines = client.docker(*words, "--format", "{{.Action}}").stdout.split()
    assert lines == [b"create", b"attach", b"start", b"die", b"destroy"], lines


def test_the_disk_and_the_service_are_described(client: Client, busybox: str) -> None:
    assert b"Build Cache" in client.docker("system", "df").stdout
    assert client.docker("version", "--format", "{{.Server.APIVersion}}").stdout == b"1.51\n"
    assert client.docker("info", "--format", "{{.OSType}}").stdout == b"linux\n"
    assert json.loads(client.docker("inspect", busybox).stdout)[0]["Os"] == "linux"


def test_a_client_that_vanishes_leaves_no_build_and_no_command_behind(
    client: Client, engine: Engine, busybox: str, tmp_path: Path
) -> None:
    """The fixture checks the remains: no process, mount or cgroup may be left."""
    (tmp_path / "Dockerfile").write_text(f"FROM {busybox}\nRUN sleep 300\n")
    client.docker("run", "-d", "--name", "host", busybox, "sleep", "300")
    words = (
        ("build", "-t", "never", str(tmp_path)),
        ("exec", "host", "sh", "-c", "yes; sleep 300"),
    )
    started = [client.started(*line) for line in words]
    time.sleep(3)
    for process in started:
        process.kill()
        process.wait()
    deadline = time.monotonic() + 20
    while len(client.docker("top", "host").stdout.splitlines()) > 2:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    client.docker("rm", "-f", "host")
    assert "never:latest" not in engine.images.names()
