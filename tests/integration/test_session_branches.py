"""Sessions beyond cells: files, branches, images, packages, pools, allow lists, awaiting."""

from __future__ import annotations

import asyncio
import http.server
import io
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.engine.sessions.egress import Egress
from jupyter_containers.engine.sessions.service import SessionService
from jupyter_containers.engine.sessions.session import Session
from jupyter_containers.errors import (
    ConflictError,
    InvalidArgumentError,
    NotFoundError,
    SessionEndedError,
    StorageError,
    UnsupportedError,
)
from tests.coroutines import awaited

PUBLIC = "151.101.0.223"
INDEX = "pypi.test"


class Handler(http.server.BaseHTTPRequestHandler):
    """An index with one package, and a page for everything else."""

    def do_GET(self) -> None:
        body = {"/simple/tiny/": b'<a href="/tiny-1-py3-none-any.whl">tiny-1-py3-none-any.whl</a>',
                "/tiny-1-py3-none-any.whl": wheel()}.get(self.path, b"page")  # fmt: skip
        self.send_response(200)
        kind = "text/html" if self.path.endswith("/") else "application/octet-stream"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def wheel() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("tiny.py", "answer = 42\n")
        about = "tiny-1.dist-info/"
        archive.writestr(about + "METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n")
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(about + "WHEEL", tags)
        archive.writestr(about + "RECORD", "")
    return packed.getvalue()


@pytest.fixture(scope="module")
def sessions(engine: Engine) -> Iterator[SessionService]:
    """Yield sessions for whose proxies every public address is a server of this process."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def connect(address: str, port: int) -> socket.socket:
            assert (address, port) == (PUBLIC, 80)
            return socket.create_connection(server.server_address[:2])

        proxy: Any = partial(Egress, resolve=lambda host, port: [PUBLIC], connect=connect)
        service = SessionService(engine.containers, engine.settings.result_max_bytes, proxy=proxy)
        yield service
        service.close()
        server.shutdown()
    assert not [one for one in engine.containers(all=True) if "session" in str(one.labels)]


@pytest.fixture(scope="module")
def session(sessions: SessionService, python: str) -> Session:
    return sessions.start(python, name="trunk", network="none")


def test_files_are_written_read_listed_and_removed(session: Session) -> None:
    files = session.files
    files.write("/data/deep/a.txt", "text\n", mode=0o600)
    files.write("relative.bin", b"\x00\xff")
    assert session.run("open('/data/deep/a.txt').read()").text == r"'text\n'"
    session.run("import os; os.symlink('/etc/hostname', '/data/link')").check()
    assert files.read("relative.bin") == b"\x00\xff"
    assert files.read_text("/data/link") == session.run("open('/etc/hostname').read()").check(
        ).text.strip("'").replace("\\n", "\n")  # fmt: skip
    assert [(entry.name, entry.kind) for entry in files.list("/data")] == [
        ("deep", "folder"),
        ("link", "link"),
    ]
    assert files.list("/data/deep")[0].mode == "-rw-------"
    files.remove("/data/link")
    with pytest.raises(StorageError):
        files.remove("/data")
    files.remove("/data", recursive=True)
    for refused in (lambda: files.list("/data"), lambda: files.read("/data/deep/a.txt"),
                    lambda: files.remove("/data")):  # fmt: skip
        with pytest.raises(NotFoundError):
            refused()
    with pytest.raises(InvalidArgumentError, match="not a file"):
        files.read("/etc")


def test_a_watch_sees_what_cells_do(session: Session) -> None:
    session.run("import os; os.makedirs('/seen/in'); open('/seen/old', 'w').close()").check()
    code = "import os\nopen('/seen/in/new', 'w').close(); os.remove('/seen/old')"
    threading.Timer(0.1, session.run, (code,)).start()
    changes = session.files.watch("/seen", timeout=5, interval=0.1)
    found = {(change.kind, change.path) for change in (next(changes), next(changes))}
    assert found == {("added", "/seen/in/new"), ("removed", "/seen/old")}


def test_branches_begin_with_the_files_and_go_their_own_way(
    session: Session, sessions: SessionService, engine: Engine
) -> None:
    session.run("x = [1, 2]\nopen('/root/state', 'w').write('trunk')").check()
    images = len(engine.images(all=True))
    snapshot = session.snapshot()

    def branch(number: int) -> tuple[str, str]:
        with session.fork(snapshot=snapshot, variables=["x"]) as one:
            one.run(f"x.append({number}); open('/root/state', 'a').write('{number}')").check()
            return one.run("x[-1], open('/root/state').read()").text, one.name

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(branch, range(4)))
    assert [text for text, _ in found] == [f"({number}, 'trunk{number}')" for number in range(4)]
    assert len({name for _, name in found} | {"trunk"}) == 5
    session.run("import os; os.remove('/root/state')").check()
    session.restore(snapshot)
    assert session.run("open('/root/state').read()").text == "'trunk'"
    assert not session.run("x").ok
    assert (session.name, sessions.get("trunk")) == ("trunk", session)
    with session.fork() as last:
        assert last.run("open('/root/state').read()").text == "'trunk'"
    snapshot.remove()
    # The trunk itself runs on the snapshot now.
    assert len(engine.images(all=True)) == images + 1
    with pytest.raises(UnsupportedError, match="needs CRIU"):
        session.fork(memory=True)


def test_a_session_becomes_an_image(session: Session, engine: Engine) -> None:
    session.files.write("/kept", "in the image")
    image = session.save("sessions/env:1")
    try:
        done = engine.run(image.id, ["cat", "/kept"], rm=True, network="none")
        assert done.output == "in the image"
        labels = engine.images.inspect(image.id)["Config"].get("Labels") or {}
        assert not [label for label in labels if "session" in label]
    finally:
        image.remove(force=True)


def test_packages_come_from_an_index_while_the_network_is_closed(session: Session) -> None:
    session.install("tiny", index=f"http://{INDEX}/simple")
    assert session.run("import tiny; tiny.answer").text == "42"
    closed = session.run("import socket; socket.create_connection(('127.0.0.1', 3129), 1)")
    assert not closed.ok


def test_a_sandbox_reaches_the_hosts_of_its_list_alone(
    sessions: SessionService, python: str
) -> None:
    """The whole way: the namespace has no route, the proxy has a list, the result says it."""
    probe = """
import socket, urllib.request
def attempt(work):
    try: return work()
    except Exception as error: return type(error).__name__
[
    attempt(lambda: urllib.request.urlopen('http://files.example.org/', timeout=5).read()),
    attempt(lambda: urllib.request.urlopen('http://evil.com/', timeout=5).read()),
    attempt(lambda: urllib.request.urlopen('https://files.example.org:8443/', timeout=5).read()),
    attempt(lambda: socket.create_connection(('151.101.0.223', 443), 2)),
    attempt(lambda: socket.getaddrinfo('files.example.org', 80)),
    sorted(name for _, name in socket.if_nameindex()),
]
"""
    with sessions.sandbox(python, allow=["*.example.org"]) as session:
        done = session.run(probe)
        assert done.text.replace("\n", "") == (
            "[b'page', 'HTTPError', 'URLError', 'OSError', 'gaierror', ['lo']]"
        )
        assert [text.partition(" was")[0] for text in done.refused] == [
            "evil.com:80",
            "files.example.org:8443",
        ]
        assert session.run("1").refused == ()
        session.files.write("/tmp/in/memory", "kept")
        with session.fork() as branch:
            assert branch.run("open('/tmp/in/memory').read()").text == "'kept'"
        disk = session.run(
            "with open('/tmp/big', 'wb') as file:\n    while True: file.write(b'x' * (1 << 20))"
        )
        assert (disk.stopped_by, "disk" in disk.reason) == ("disk", True), disk
    with pytest.raises(InvalidArgumentError, match="without a network"):
        sessions.sandbox(python, allow=["a.org"], network="bridge")


def test_a_pool_gives_a_started_session_at_once(sessions: SessionService, python: str) -> None:
    with sessions(python, size=1, network="none") as pool:
        pool.wait()
        assert sessions.list() == [sessions.get("trunk")]
        began = time.perf_counter()
        session = pool.take()
        took = time.perf_counter() - began
        assert took < 0.1  # usually below 1 ms
        with session:
            assert session.run("1 + 1").text == "2"
            assert session in sessions.list()
        pool.wait()
        assert len(pool) == 1


def test_a_caller_may_await(sessions: SessionService, python: str) -> None:
    async def work() -> str:
        async with sessions.asynchronous(python, network="none") as session:
            await session.push(x=20)
            task = asyncio.create_task(session.run("import time\nwhile True: time.sleep(0.01)"))
            while session.session.status != "busy":
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await session.run("x + 1")).text == "21"
            return session.name

    assert awaited(work()) not in sessions


def test_a_session_has_a_log_and_is_removed_by_name(
    sessions: SessionService, session: Session
) -> None:
    session.run("print('a line')\n1 / 0")
    lines = [line.data for line in sessions.logs("trunk")]
    assert b"a line\n" in lines
    assert [line.data for line in sessions.logs("trunk", tail=1)] == [
        b"ZeroDivisionError: division by zero\n"
    ]

    def endless() -> None:
        with pytest.raises(SessionEndedError):
            session.run("while True: pass")

    cell = threading.Thread(target=endless)
    cell.start()
    while session.status != "busy":
        pass
    with pytest.raises(ConflictError, match="runs a cell"):
        sessions.remove("trunk")
    sessions.remove("trunk", force=True)
    cell.join(10)
    assert "trunk" not in sessions
