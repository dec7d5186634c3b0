"""Clients that mean harm, or vanish: the service answers the others, and loses nothing."""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.engine.system.serving import Service, start_service
from tests.integration.api_cases import TAR, tar_of
from tests.integration.api_client import Client
from tests.integration.engine_fixtures import staged

_CONNECTIONS = 10_000


@pytest.fixture(scope="module")
def service(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("api")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))  # as is usual
    try:
        started = start_service(engine.settings, f"unix://{folder}/d.sock")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    yield started
    started.stop()


@pytest.fixture
def client(service: Service, tmp_path: Path) -> Iterator[Client]:
    """Yield a client; whatever it did, the service answers the next one."""
    made = Client(service.url, tmp_path)
    yield made
    assert made.request("GET", "/_ping")[0] == 200


def _memory(service: Service) -> int:
    """Return the bytes that the service holds now."""
    text = Path(f"/proc/{service.process.pid}/status").read_text()
    [line] = [line for line in text.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) << 10


def test_ten_thousand_idle_connections_keep_nobody_out(client: Client, service: Service) -> None:
    """Seen to fail without a bound: the service had no descriptor left, and answered no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    client.request("GET", "/info")
    before = _memory(service)
    try:
        with ExitStack() as stack:
            for number in range(min(_CONNECTIONS, hard - 200)):
                one = stack.enter_context(_patiently_connected(client))
                if number % 3 == 0:
                    with suppress(OSError):
                        one.sendall(b"GET /_ping HTTP/1.1\r\nHost:")
            assert client.request("GET", "/_ping")[0] == 200
            assert _memory(service) - before < 32 << 20
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _patiently_connected(client: Client) -> socket.socket:
    """Return a connection, also while those before it wait to be accepted."""
    while True:
        with suppress(BlockingIOError):
            return client.connected()
        time.sleep(0.005)


def test_small_chunks_of_a_large_body_take_no_memory(client: Client, service: Service) -> None:
    before = _memory(service)
    head = b"POST /v1.43/images/load HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n"
    with client.connected() as connection:
        connection.settimeout(2)
        connection.sendall(head)
        with suppress(OSError):  # it is refused as soon as it is seen to be no archive
            for _ in range(5):
                connection.sendall(b"1\r\n\0\r\n" * 10_000)
    assert _memory(service) - before < 24 << 20


@pytest.mark.parametrize(
    "chunk",
    [b"zz\r\nab\r\n", b"-1\r\n", b"ffffffffffffffffffff\r\n", b"5;" + b"x" * 100_000 + b"\r\n"],
)
def test_chunks_that_lie_end_the_connection(client: Client, chunk: bytes) -> None:
    head = (
        b"POST /v1.43/containers/create HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with client.connected() as connection:
        with suppress(OSError):
            connection.sendall(head + chunk)
        answer = b""
        with suppress(ConnectionError):
            while piece := connection.recv(4096):
                answer += piece
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4")


_CREATE = b"POST /v1.43/containers/create HTTP/1.1\r\nHost: d\r\n"


@pytest.mark.parametrize(
    ("head", "more"),
    [
        (b"GET /_ping HTTP/1.1\r\n", b"X-More: " + b"a" * 1000 + b"\r\n"),
        (b"GET /_ping HTTP/1.1\r\nX-One: ", b"a" * 1000),
        (b"GET /", b"a" * 1000),
        (_CREATE + b"Content-Length: 99999999999\r\n\r\n", b'"' + b"a" * 999),
        (_CREATE + b"Transfer-Encoding: chunked\r\n\r\n", b"400\r\n" + b" " * 1024 + b"\r\n"),
    ],
    ids=["headers", "one header", "address", "body", "chunks"],
)
def test_a_request_without_end_is_refused_in_little_memory(
    client: Client, service: Service, head: bytes, more: bytes
) -> None:
    """Seen to fail with limits of 1 GB for heads and bodies: the service went on reading."""
    before = _memory(service)
    with client.connected() as connection:
        connection.settimeout(5)
        with suppress(OSError):
            connection.sendall(head)
            for _ in range(32):
                connection.sendall(more * 1000)
        answer = b""
        with suppress(OSError):
            answer = connection.recv(4096)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            connection.sendall(more * 10_000)
    assert _memory(service) - before < 16 << 20


@pytest.mark.parametrize("length", [b"abc", b"-1", b"+5", b"1e9", b"9" * 30, b"5, 7", b"\xb2"])
def test_a_length_that_is_no_number_is_refused(client: Client, length: bytes) -> None:
    with client.connected() as connection:
        connection.settimeout(5)
        connection.sendall(_CREATE + b"Content-Length: " + length + b"\r\n\r\n{}")
        answer = b""
        with suppress(OSError):
            answer = connection.recv(4096)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/containers/../json"), ("GET", "/containers/%2e%2e%2f%2e%2e/json"),
        ("GET", "/containers/..%2f..%2fetc/export"), ("GET", "/images/../../etc/passwd/json"),
        ("DELETE", "/volumes/..%2f..%2fvictim"), ("DELETE", "/volumes/..?force=1"),
        ("DELETE", "/images/..%2fvictim"), ("GET", "/volumes/%00"),
        ("DELETE", "/networks/..%2f.."), ("GET", "/exec/..%2f../json"),
        ("POST", "/containers/..%2f../start"), ("GET", "/distribution/..%2f../json"),
        ("GET", "/containers/%ff%fe/json"), ("GET", "/containers/" + "a" * 8000 + "/json"),
    ],
)  # fmt: skip
def test_names_that_climb_name_nothing(client: Client, method: str, path: str) -> None:
    status, answer = client.request(method, path)
    assert status in (400, 404) or (status == 204 and "force" in path), answer
    assert not answer or list(answer) == ["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/volumes/create", {"Name": "../victim"}),
        ("/networks/create", {"Name": "../victim"}),
        ("/containers/create?name=../victim", {"Image": "busybox"}),
        ("/containers/create", {"Image": "busybox", "HostConfig": {"Binds": ["../a:/b"]}}),
        ("/containers/create", {"Image": "../busybox"}),
        ("/images/busybox/tag?repo=../victim", None),
    ],
)
def test_names_that_climb_are_not_given(client: Client, busybox: str, path: str, body: Any) -> None:
    assert client.request("POST", path, body)[0] == 400, busybox


def _climbing(target: Path) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, str(target)
        archive.addfile(link)
        for name in ("link/written", f"../../../../../../..{target}/written"):
            member = tarfile.TarInfo(name)
            member.size = 1
            archive.addfile(member, io.BytesIO(b"x"))
    return output.getvalue()


@pytest.mark.parametrize("path", ["/images/load", "/images/create?fromSrc=-", "/build?version=1"])
def test_an_archive_that_climbs_writes_nothing_outside(
    client: Client, busybox: str, engine: Engine, tmp_path: Path, path: str
) -> None:
    before = set(engine.images.everything())
    client.request("POST", path, _climbing(tmp_path), headers=TAR)
    assert not (tmp_path / "written").exists(), busybox
    for image in set(engine.images.everything()) - before:
        engine.images.remove(image.id)


def test_an_archive_that_climbs_stays_in_its_container(
    client: Client, busybox: str, tmp_path: Path
) -> None:
    """The link is absolute: it leads to a folder of the container."""
    _, made = client.request("POST", "/containers/create", {"Image": busybox, "Cmd": ["true"]})
    path = f"/containers/{made['Id']}"
    status, answer = client.request(
        "PUT", f"{path}/archive?path=/", _climbing(tmp_path), headers=TAR
    )
    assert status == 400, answer
    assert list(answer) == ["message"]
    assert not (tmp_path / "written").exists()
    for name in ("..%2f..%2f..%2fetc%2fpasswd", "/../../../../etc/../etc/passwd"):
        status, _ = client.request("HEAD", f"{path}/archive?path={name}")
        assert status == 200, name  # the container's own
    client.request("DELETE", path)


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv (util-linux)")
def test_another_user_cannot_open_the_socket(engine: Engine) -> None:
    """Seen to fail with a mode of 0666: the ping was answered."""
    folder = Path("/tmp") / f"jc-api-{os.getpid()}"  # every user can get there
    folder.mkdir(mode=0o755)
    try:
        with engine.api(f"unix://{folder}/d.sock"):
            script = (
                f"import socket; s = socket.socket(socket.AF_UNIX); s.connect('{folder}/d.sock')"
            )
            argv = ["setpriv", "--reuid=4321", "--regid=4321", "--clear-groups", "/usr/bin/python3"]
            done = subprocess.run(
                [*argv, "-c", script], capture_output=True, text=True, check=False
            )
            assert "PermissionError" in done.stderr
    finally:
        shutil.rmtree(folder)


def _vanishing(client: Client, path: str, data: bytes, *, length: int) -> None:
    """Send a part of a body, and go away."""
    with client.connected() as connection:
        head = f"POST /v1.43{path} HTTP/1.1\r\nHost: d\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall(head.encode() + data)
        time.sleep(0.3)


@pytest.mark.parametrize(
    "path",
    [
        "/images/load", "/images/create?fromSrc=-&repo=api/half&tag=1",
        "/build?t=api/half:1&version=1",
    ],
)  # fmt: skip
def test_half_an_archive_is_no_image(
    client: Client, engine: Engine, busybox: str, tmp_path: Path, path: str
) -> None:
    if path == "/images/load":
        with open(tmp_path / "whole.tar", "wb") as file:
            engine.images.save([busybox], file, compression="none")
        whole = (tmp_path / "whole.tar").read_bytes()
    else:
        whole = tar_of({"Dockerfile": f"FROM {busybox}\n", "large": "x" * 3_000_000})
    before = {image.id for image in engine.images.everything()}
    _vanishing(client, path, whole[: len(whole) // 2], length=len(whole))
    deadline = time.monotonic() + 20
    while staged(engine):
        assert time.monotonic() < deadline, staged(engine)
        time.sleep(0.05)
    assert {image.id for image in engine.images.everything()} == before


def test_a_signal_ends_streams_and_builds_and_the_store_is_whole(
    engine: Engine, busybox: str, tmp_path: Path
) -> None:
    """The fixture looks for remains: processes, mounts, groups."""
    service = start_service(engine.settings, f"unix://{tmp_path}/d.sock")
    client = Client(service.url, tmp_path)
    body = {"Image": busybox, "Cmd": ["sleep", "300"], "HostConfig": {"AutoRemove": True}}
    _, made = client.request("POST", "/containers/create", body)
    client.request("POST", f"/containers/{made['Id']}/start")
    context = tar_of({"Dockerfile": f"FROM {busybox}\nRUN sleep 300\n"})
    answers: list[object] = []

    def ask(method: str, path: str, data: bytes | None = None) -> None:
        with suppress(OSError, json.JSONDecodeError, Exception):
            answers.append(client.request(method, path, data, headers=TAR))

    streams = [
        threading.Thread(target=ask, args=words)
        for words in (
            ("POST", "/build?t=api/never:1&version=1", context),
            ("GET", "/events"),
            ("GET", f"/containers/{made['Id']}/logs?follow=1&stdout=1"),
            ("GET", f"/containers/{made['Id']}/stats"),
            ("POST", f"/containers/{made['Id']}/wait"),
            ("POST", f"/containers/{made['Id']}/attach?stream=1&stdout=1"),
        )
    ]
    for one in streams:
        one.start()
    time.sleep(1.5)
    service.process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert service.process.wait(15) == 0
    assert time.monotonic() - began < 8  # not only after the time of grace
    for one in streams:
        one.join(5)
        assert not one.is_alive()
    assert "api/never:1" not in engine.images.names()
    assert engine.containers.get(made["Id"]).status.alive
    assert engine.system.check().problems == ()


def test_a_hijack_that_never_reads_holds_what_it_does_not_take(
    client: Client, service: Service, busybox: str
) -> None:
    body = {"Image": busybox, "Cmd": ["sleep", "100"]}
    _, made = client.request("POST", "/containers/create", body)
    client.request("POST", f"/containers/{made['Id']}/start")
    before = _memory(service)
    silent: list[socket.socket] = []
    for _ in range(5):
        words = {"Cmd": ["yes"], "AttachStdout": True}
        _, command = client.request("POST", f"/containers/{made['Id']}/exec", words)
        silent.append(client.connected())
        silent[-1].sendall(
            f"POST /v1.43/exec/{command['Id']}/start HTTP/1.1\r\nHost: d\r\nUpgrade: tcp\r\n"
            "Connection: Upgrade\r\nContent-Type: application/json\r\n"
            "Content-Length: 2\r\n\r\n{}".encode()
        )
    time.sleep(1)
    assert _memory(service) - before < 24 << 20
    for one in silent:
        one.close()
    assert client.request("DELETE", f"/containers/{made['Id']}?force=1")[0] == 204
