"""Parts of the API beside the usual: websockets, commands, archives, cancelled builds."""

from __future__ import annotations

import base64
import io
import os
import socket
import struct
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.api.websocket import accept_key, message
from jupyter_containers.engine import Engine
from tests.integration.api_cases import TAR, tar_of
from tests.integration.api_client import Client

_KEY = base64.b64encode(bytes(16)).decode()
_HEADERS = (
    "Host: d\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {_KEY}\r\n"
)


@pytest.fixture(scope="module")
def client(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("api")
    with engine.api(f"unix://{folder}/d.sock") as url:
        yield Client(url, folder)


class _WebSocket:
    """A client's end, written by hand: its frames may be wrong."""

    def __init__(self, client: Client, path: str, version: str = "/v1.43") -> None:
        self.connection = client.connected()
        self.connection.sendall(f"GET {version}{path} HTTP/1.1\r\n{_HEADERS}\r\n".encode())
        self._held = b""
        while b"\r\n\r\n" not in self._held:
            piece = self.connection.recv(4096)
            assert piece, self._held
            self._held += piece
        head, _, self._held = self._held.partition(b"\r\n\r\n")
        self.head = head.decode()

    def send(self, data: bytes, kind: int = 2, *, last: bool = True) -> None:
        masked = bytes(byte ^ b"mask"[place % 4] for place, byte in enumerate(data))
        first = kind | (0x80 if last else 0)
        length = len(data)
        if length < 126:
            head = struct.pack(">BB", first, 0x80 | length)
        else:
            head = struct.pack(">BBQ", first, 0x80 | 127, length)
        self.connection.sendall(head + b"mask" + masked)

    def receive(self) -> tuple[int, bytes]:
        first, second = self._exactly(2)
        length = second
        if second == 126:
            [length] = struct.unpack(">H", self._exactly(2))
        elif second == 127:
            [length] = struct.unpack(">Q", self._exactly(8))
        return first & 15, self._exactly(length)

    def output(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            kind, data = self.receive()
            assert kind == 2, (kind, data)
            found += data
        return found

    def _exactly(self, count: int) -> bytes:
        while len(self._held) < count:
            piece = self.connection.recv(65536)
            if not piece:
                raise EOFError
            self._held += piece
        found, self._held = self._held[:count], self._held[count:]
        return found


def _started(client: Client, image: str, command: list[str], **more: Any) -> str:
    body = {"Image": image, "Cmd": command, **more}
    status, made = client.request("POST", "/containers/create", body)
    assert status == 201, made
    assert client.request("POST", f"/containers/{made['Id']}/start")[0] == 204
    return str(made["Id"])


def test_a_websocket_carries_input_and_output(client: Client, busybox: str) -> None:
    box = _started(client, busybox, ["cat"], OpenStdin=True, StdinOnce=True)
    ws = _WebSocket(client, f"/containers/{box}/attach/ws?stream=1&stdin=1&stdout=1")
    with ws.connection:
        assert ws.head.startswith("HTTP/1.1 101 ")
        assert f"Sec-WebSocket-Accept: {accept_key(_pairs(_HEADERS))}" in ws.head
        ws.send(b"typed ", last=False)
        ws.send(b"p", kind=9)
        ws.send(b"in two", kind=0)
        seen = [ws.receive(), ws.receive()]
        kinds = dict(seen)
        assert kinds[10] == b"p"
        rest = kinds[2] if len(kinds[2]) == 12 else kinds[2] + ws.output(12 - len(kinds[2]))
        assert rest == b"typed in two"
        large = os.urandom(300_000)
        threading.Thread(target=ws.send, args=(large,)).start()
        assert ws.output(len(large)) == large
        client.request("POST", f"/containers/{box}/kill")
        assert ws.receive() == (8, struct.pack(">H", 1000))


def _pairs(text: str) -> dict[str, str]:
    lines = text.strip().split("\r\n")
    return dict(line.partition(": ")[::2] for line in lines if line)


def test_a_websocket_has_the_streams_that_were_chosen(client: Client, busybox: str) -> None:
    script = ["sh", "-c", "read go; echo out; echo err >&2"]
    for version, query, shown in (
        ("/v1.43", "stream=1&stdin=1&stderr=1", b"err\n"),
        ("/v1.41", "stream=1&stderr=1", b"out\nerr\n"),  # all of them, before 1.42
    ):
        box = _started(client, busybox, script, OpenStdin=True)
        ws = _WebSocket(client, f"/containers/{box}/attach/ws?{query}", version)
        with ws.connection:
            ws.send(b"\n")
            assert sorted(ws.output(len(shown)).split()) == sorted(shown.split())


@pytest.mark.parametrize(
    "data",
    [
        b"\x82\x05hello",  # not masked
        b"\xf2\x80mask",  # extensions
        b"\x87\x80mask",  # no kind of message
        b"\x89\xfe\x00\x7emask",  # a ping that is too long
        message(8, b"")[:1],  # half of a head
        b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xffmask" + bytes(100_000),  # longer than anything
    ],
)
def test_a_client_that_speaks_no_websocket_is_left(
    client: Client, busybox: str, data: bytes
) -> None:
    box = _started(client, busybox, ["cat"], OpenStdin=True)
    ws = _WebSocket(client, f"/containers/{box}/attach/ws?stream=1&stdin=1&stdout=1")
    with ws.connection:
        with suppress(OSError):
            ws.connection.sendall(data)
            ws.connection.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            while ws.connection.recv(65536):  # a service that waits for more is a time-out
                pass
    assert client.request("GET", f"/containers/{box}/json")[1]["State"]["Running"]


@pytest.mark.parametrize(
    "headers",
    [
        "", "Upgrade: websocket\r\n", _HEADERS.replace("13", "8"), _HEADERS.replace(_KEY, "x"),
        _HEADERS.replace("websocket\r", "tcp\r"),
    ],
)  # fmt: skip
def test_other_handshakes_are_refused(client: Client, busybox: str, headers: str) -> None:
    box = _started(client, busybox, ["sleep", "9"])
    path = f"/containers/{box}/attach/ws?stream=1"
    assert client.request("GET", path, headers=_pairs(headers))[0] == 400


def test_a_command_has_its_number_and_its_end(client: Client, busybox: str) -> None:
    """Seen to fail before: Pid was 0, and a command in the background ran for ever."""
    box = _started(client, busybox, ["sleep", "100"])
    for script, detach in (("read x; exit 5", False), ("sleep 0.5; exit 6", True)):
        body = {"Cmd": ["sh", "-c", script], "AttachStdin": not detach, "AttachStdout": True}
        _, made = client.request("POST", f"/containers/{box}/exec", body)
        path = f"/exec/{made['Id']}"
        with client.connected() as connection:
            if detach:
                assert client.request("POST", f"{path}/start", {"Detach": True})[0] == 200
            else:
                connection.sendall(
                    f"POST /v1.43{path}/start HTTP/1.1\r\nHost: d\r\nUpgrade: tcp\r\n"
                    "Connection: Upgrade\r\nContent-Type: application/json\r\n"
                    "Content-Length: 2\r\n\r\n{}".encode()
                )
                assert connection.recv(100).startswith(b"HTTP/1.1 101")
            found = _until(client, path, lambda document: _is(document["Pid"], script))  # noqa: B023  # called at once
            assert found["Running"]
            if not detach:
                connection.sendall(b"\n")
            found = _until(client, path, lambda document: not document["Running"])
        assert (found["ExitCode"], found["Pid"] > 0) == (6 if detach else 5, True)


def _is(pid: int, script: str) -> bool:
    try:
        return script.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _until(client: Client, path: str, holds: Any) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while True:
        document: dict[str, Any] = client.request("GET", f"{path}/json")[1]
        if holds(document):
            return document
        assert time.monotonic() < deadline, document
        time.sleep(0.02)


def test_an_archive_replaces_kinds_and_owners_only_when_asked_to(
    client: Client, busybox: str
) -> None:
    """Seen to fail before: noOverwriteDirNonDir was always on, copyUIDGID had no effect."""
    body = {"Image": busybox, "Cmd": ["true"], "User": "1234:77"}
    _, made = client.request("POST", "/containers/create", body)
    path = f"/containers/{made['Id']}/archive?path=/"

    def put(query: str, data: bytes) -> int:
        return client.request("PUT", f"{path}{query}", data, headers=TAR)[0]

    assert put("", tar_of({}, folders=("place",))) == 200
    assert put("&noOverwriteDirNonDir=1", tar_of({"place": "x"})) == 400
    assert put("", tar_of({"place": "x"})) == 200
    assert put("&copyUIDGID=1", tar_of({"owned": "x"}, owner=5)) == 200
    assert put("", tar_of({"kept": "x"}, owner=5)) == 200
    for name, owner in (("owned", (1234, 77)), ("kept", (5, 5))):
        data = client.request("GET", f"{path}{name}")[1]
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            [member] = archive.getmembers()
            assert (member.uid, member.gid) == owner


def test_a_build_is_cancelled_by_its_id(client: Client, busybox: str, engine: Engine) -> None:
    context = tar_of({"Dockerfile": f"FROM {busybox}\nRUN sleep 100\n"})
    answers: list[Any] = []

    def build() -> None:
        path = "/build?t=api/never:1&buildid=b1&version=1"
        answers.append(client.request("POST", path, context, headers=TAR))

    worker = threading.Thread(target=build)
    worker.start()
    while worker.is_alive():
        assert client.request("POST", "/build/cancel?id=b1")[0] == 200
        worker.join(0.3)
    # Before its first line, or after it.
    [(status, lines)] = answers
    assert status == 500 or lines[-1]["error"] == "context canceled", answers
    assert "api/never:1" not in engine.images.names()
