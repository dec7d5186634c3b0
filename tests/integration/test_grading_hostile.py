"""Student containers that try to make a grader read or wait for ever, or fill its memory."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from jupyter_containers import Engine, grading
from jupyter_containers.grading import NotYetError

SECRET = "solution of the exercise"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Return a file of the grader."""
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    return tmp_path / "secret"


@pytest.fixture
def volume(engine: Engine, busybox: str) -> Iterator[Path]:
    """Yield the folder of the volume ``hostile``."""
    engine.volumes.create("hostile")
    yield Path(engine.volumes.get("hostile").mountpoint)
    engine.volumes.remove("hostile")


@contextmanager
def ended_within(seconds: float) -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds


# -- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["answer", "folder/secret", "../../../secret"])
def test_a_link_out_of_a_volume_is_not_read(
    engine: Engine, volume: Path, secret: Path, path: str
) -> None:
    """Seen to fail at 39323e0: the message quoted the grader's file."""
    (volume / "answer").symlink_to(secret)
    (volume / "folder").symlink_to(secret.parent)
    with pytest.raises(NotYetError, match="no readable file") as error:
        grading.volume_holds("hostile", path, contains="mine", engine=engine)
    assert SECRET not in str(error.value)


def test_a_link_inside_a_volume_is_followed(engine: Engine, volume: Path) -> None:
    (volume / "a").mkdir()
    (volume / "a/list").write_text("one")
    (volume / "b").symlink_to("a/list")
    (volume / "c").symlink_to("/a")
    assert grading.volume_holds("hostile", "b", contains="one", engine=engine)
    assert grading.volume_holds("hostile", "c/list", contains="one", engine=engine)


@pytest.mark.parametrize("kind", ["fifo", "socket", "folder", "device"])
def test_only_regular_files_are_opened(engine: Engine, volume: Path, kind: str) -> None:
    """Seen to fail at 39323e0: the check of a FIFO never ended."""
    path = volume / "answer"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        os.mknod(path, 0o20666, os.makedev(1, 5))  # /dev/zero
    elif kind == "folder":
        path.mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    with ended_within(5), pytest.raises(NotYetError, match="no readable file"):
        grading.volume_holds("hostile", "answer", contains="x", engine=engine)


def test_a_file_without_an_end_is_not_read_to_it(engine: Engine, volume: Path) -> None:
    """Seen to fail at 39323e0 with MemoryError: the whole file was read."""
    with open(volume / "answer", "wb") as file:
        file.truncate(1 << 40)
    with ended_within(20), pytest.raises(NotYetError, match="without 'x'"):
        grading.volume_holds("hostile", "answer", contains="x", engine=engine)


@pytest.mark.parametrize(
    "script",
    [
        "mkfifo /etc/passwd", "ln -s /dev/zero /etc/passwd", "mkdir /etc/passwd",
        "truncate -s 50G /etc/passwd", "echo ann:x:²:1::/: >/etc/passwd",
        "echo ann:x::1::/: >/etc/passwd",
    ],
)  # fmt: skip
def test_a_list_of_users_may_be_anything(engine: Engine, busybox: str, script: str) -> None:
    """Seen to fail at 39323e0: the check of a FIFO never ended, other numbers were tracebacks."""
    engine.build(
        dockerfile="FROM busybox\nRUN chmod 777 /etc; echo ann:x:1000:100::/: >>/etc/passwd\n"
        "USER ann",
        tag="ann:1",
    )
    engine.run(
        "ann:1", ["sh", "-c", f"rm /etc/passwd; {script}; echo ready; sleep 60"],
        detach=True, name="passwd", network="none",
    )  # fmt: skip
    assert grading.logged("passwd", "ready", engine=engine)
    with ended_within(20), pytest.raises(NotYetError):
        grading.runs_as_non_root("passwd", engine=engine)


def test_a_log_is_searched_piece_by_piece(engine: Engine, busybox: str) -> None:
    engine.run(
        busybox, ["sh", "-c", "printf 'be'; printf 'gin\\n'; seq 1000; printf end"], name="talks",
        network="none",
    )  # fmt: skip
    for text in ("begin", "999\n1000\nend"):
        assert grading.logged("talks", text, engine=engine)
    with pytest.raises(NotYetError, match="contains 'never'"):
        grading.logged("talks", "never", engine=engine)


# -- servers -----------------------------------------------------------------------------------


@contextmanager
def server(*parts: bytes, pause: float = 0.0, forever: bytes = b"") -> Iterator[int]:
    """Serve the same bytes to everyone, and then the last ones again and again."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listening.accept()
                    with client, suppress(OSError):
                        client.settimeout(5)
                        client.recv(65536)
                        for part in parts:
                            client.sendall(part)
                        while forever:
                            client.sendall(forever)
                            time.sleep(pause)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def test_a_redirect_to_another_server_is_not_followed(engine: Engine, busybox: str) -> None:
    """Seen to fail at 39323e0: the answer of the grader's own server was quoted."""
    body = f"HTTP/1.1 200 OK\r\nContent-Length: {len(SECRET)}\r\n\r\n{SECRET}".encode()
    with server(body) as graders:
        for target in (
            f"http://127.0.0.1:{graders}/", f"//localhost:{graders}/x", "file:///etc/passwd",
            f"http://student@127.0.0.1:{graders}/", "http://[::1", "gopher://127.0.0.1/",
        ):  # fmt: skip
            head = f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()
            with server(head) as port, pytest.raises(NotYetError, match="status 302") as error:
                grading.port_answers(port, contains="mine", engine=engine)
            assert "another server" in str(error.value)
            assert SECRET not in str(error.value)


def test_a_redirect_on_the_same_server_is_followed(engine: Engine, busybox: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        asked: list[bytes] = []

        def serve() -> None:
            for _ in range(2):
                client, _ = listening.accept()
                with client:
                    asked.append(client.recv(65536).partition(b"\r\n")[0])
                    client.sendall(
                        b"HTTP/1.1 302 Found\r\nLocation: login?next=%2F\r\n\r\n"
                        if len(asked) == 1
                        else b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nw\xc3\xa4lcome"
                    )

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert grading.port_answers(port, "/a/b c", contains="wälcome", engine=engine)
        thread.join(5)
    assert asked == [b"GET /a/b%20c HTTP/1.1", b"GET /a/login?next=%2F HTTP/1.1"]


def test_a_redirect_in_a_circle_ends(engine: Engine, busybox: str) -> None:
    circle = server(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")
    with circle as port, ended_within(5), pytest.raises(NotYetError, match="status 302"):
        grading.port_answers(port, engine=engine)


@pytest.mark.parametrize(
    ("parts", "forever"),
    [
        ([b"HTTP/1.1 200 OK\r\n"], b"X: y\r\n"),
        ([b"HTTP/1.1 200 OK\r\nX: "], b"y"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"], b"y"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"], b"1\r\ny\r\n"),
        ([], b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_an_answer_in_drips_has_a_deadline(
    engine: Engine, busybox: str, parts: list[bytes], forever: bytes
) -> None:
    """Seen to fail at 39323e0: each byte restarted the time limit."""
    drips = server(*parts, pause=0.05, forever=forever)
    with drips as port, ended_within(6), pytest.raises(NotYetError, match="nothing answers"):
        grading.port_answers(port, seconds=1.5, engine=engine)


def test_a_body_without_an_end_is_not_kept(engine: Engine, busybox: str) -> None:
    """Seen to fail at 39323e0: memory was filled until the kernel ended the process."""
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    with server(head, b"begin ", forever=b"y" * 65536) as port, ended_within(10):
        assert grading.port_answers(port, contains="begin", engine=engine)
        with pytest.raises(NotYetError, match="which lacks 'end'"):
            grading.port_answers(port, contains="end", engine=engine)


def test_charsets_are_those_of_pages(engine: Engine, busybox: str) -> None:
    for charset, body in (("iso-8859-1", b"caf\xe9"), ("punycode", b"caf-dma"), ("hex", b"00")):
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset={charset}\r\n\r\n".encode()
        with server(head + body) as port:
            wanted = "café" if charset == "iso-8859-1" else body.decode()
            with suppress(ConnectionError):
                assert grading.port_answers(port, contains=wanted, engine=engine)
