"""Networks without root: everything here is done by an ordinary user account.

The test's process forks; the child makes /dev/net/tun usable in a mount namespace of its own (as
distributions have it for everyone), becomes the user ``nobody`` and does the work.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import shutil
import socket
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from jupyter_containers.errors import AlreadyExistsError
from jupyter_containers.network import usermode
from jupyter_containers.network.allocation import allocate_endpoint
from jupyter_containers.network.firewall import Firewall
from jupyter_containers.network.model import Endpoint, Network, PublishedPort
from jupyter_containers.network.namespace import NetworkNamespace
from jupyter_containers.network.rootless import Holder, RootlessBridge, RootlessFirewall

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user"),
    pytest.mark.skipif(shutil.which("slirp4netns") is None, reason="needs slirp4netns"),
    pytest.mark.skipif(shutil.which("pasta") is None, reason="needs pasta (passt)"),
    pytest.mark.skipif(shutil.which("busybox") is None, reason="needs busybox"),
]

_CLONE_NEWNS, _MS_REC, _MS_PRIVATE, _MS_BIND = 0x20000, 0x4000, 1 << 18, 0x1000
_PR_SET_DUMPABLE = 4


def _become_nobody(folder: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(source: bytes, target: bytes, kind: bytes | None, flags: int) -> None:
        assert libc.mount(source, target, kind, flags, None) == 0, os.strerror(ctypes.get_errno())

    assert libc.unshare(_CLONE_NEWNS) == 0
    mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE)
    devices = folder / "dev"
    devices.mkdir()
    mount(b"tmpfs", bytes(devices), b"tmpfs", 0)
    os.mknod(devices / "tun", 0o20666, os.makedev(10, 200))
    os.chmod(devices / "tun", 0o666)
    mount(bytes(devices / "tun"), b"/dev/net/tun", None, _MS_BIND)
    user = pwd.getpwnam("nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    os.setgroups([])
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
    os.chdir("/")


def as_nobody(folder: Path, work: Callable[[Path], None]) -> None:
    """Call ``work`` in a child of the user nobody; fail with what it raised."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o755)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = ""
        try:
            os.close(reading)
            _become_nobody(folder)
            work(folder)
        except BaseException:  # noqa: BLE001  # told to the parent
            said = traceback.format_exc()
        finally:
            os.write(writing, said.encode()[-60000:])
            os._exit(1 if said else 0)
    os.close(writing)
    with open(reading) as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    shutil.rmtree(folder, ignore_errors=True)
    assert not said, said
    assert status == 0


@pytest.fixture
def folder() -> Iterator[Path]:
    # Below /tmp itself: pytest's own folders are closed to other users.
    path = Path(f"/tmp/jc-rootless-{os.getpid()}")
    yield path
    shutil.rmtree(path, ignore_errors=True)


def network(number: int, **more: object) -> Network:
    return Network(
        id=f"{number:064x}",
        name=f"n{number}",
        interface=f"jcrl{number}",
        subnet=f"10.215.{number}.0/24",
        gateway=f"10.215.{number}.1",
        **more,
    )


_BOX = "ip link set lo up; echo ready; exec sleep 1000"


class Box:
    """A process with namespaces of its own, as a container of this user would have them."""

    def __init__(self, holder: Holder | None) -> None:
        prefix = holder.enter if holder else ("unshare", "--user", "--map-root-user")
        argv = [*prefix, "unshare", "--net", "sh", "-c", _BOX]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"
        self.pid = self.process.pid

    def words(self, *words: str) -> list[str]:
        return ["nsenter", "-t", str(self.pid), "-U", "-n", "--preserve-credentials", *words]

    def fetch(self, address: str, port: int) -> str:
        result = subprocess.run(
            self.words("busybox", "nc", "-w", "2", address, str(port)),
            input="GET / HTTP/1.0\r\n\r\n",
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        return result.stdout.strip().splitlines()[-1] if result.stdout.strip() else ""

    def serve(self, folder: Path, text: str) -> subprocess.Popen[bytes]:
        folder.mkdir()
        (folder / "index.html").write_text(text)
        argv = self.words("busybox", "httpd", "-f", "-p", "80", "-h", str(folder))
        server = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
        until(lambda: self.fetch("127.0.0.1", 80) == text)
        return server

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def fetch(port: int) -> str:
    with socket.socket() as client:
        client.settimeout(5)
        client.connect(("127.0.0.1", port))
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while data := client.recv(4096):
            answer += data
    return answer.decode().strip().splitlines()[-1]


def closed(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def published(number: int, endpoint: Endpoint) -> PublishedPort:
    return PublishedPort(
        host_ip="127.0.0.1",
        host_port=number,
        container_ip=endpoint.address,
        container_port=80,
    )


@contextlib.contextmanager
def machine_server() -> Iterator[tuple[str, int]]:
    """Serve a word on the machine's own address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.77", 9))
        address = probe.getsockname()[0]
    listener = socket.create_server((address, 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = listener.accept()
                accepted.sendall(b"machine\n")
                accepted.close()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield address, listener.getsockname()[1]
    finally:
        listener.close()


def _shared(folder: Path) -> None:
    assert os.geteuid() != 0
    holder = Holder.start(folder / "network")
    found = Holder.of(folder / "network")
    assert found is not None
    assert found.pid == holder.pid
    firewall = Firewall("jcrootless")
    bridge, ports = RootlessBridge(holder, firewall), RootlessFirewall(holder, firewall)
    boxes: list[Box] = []
    servers: list[subprocess.Popen[bytes]] = []

    def join(net: Network, number: int) -> tuple[Box, Endpoint]:
        box = Box(holder)
        boxes.append(box)
        taken = [f"10.215.{net.id[-1]}.{item}" for item in range(2, number)]
        endpoint = allocate_endpoint(net, f"box{len(boxes)}", taken)
        with NetworkNamespace.from_pid(box.pid) as namespace:
            bridge.attach(namespace, endpoint, net)
        return box, endpoint

    try:
        front, back = network(1, mtu=bridge.uplink_mtu()), network(2)
        assert bridge.ensure_bridge(front).created
        assert not bridge.ensure_bridge(front).created
        bridge.ensure_bridge(back)
        web, at = join(front, 2)
        client, _ = join(front, 3)
        lone, _ = join(back, 2)
        servers.append(web.serve(folder / "www", "from web"))
        # The kernel's link-up work queue may lag a moment behind.
        until(lambda: client.fetch(at.address, 80) == "from web")
        assert lone.fetch(at.address, 80) == ""
        with machine_server() as (address, number):
            assert client.fetch(address, number) == "machine"
        number = free_port()
        ports.publish("box1", [published(number, at)])
        assert fetch(number) == "from web"
        assert set(ports.current()) == {"box1"}
        with pytest.raises(AlreadyExistsError, match=str(number)):
            ports.publish("box2", [published(number, at)])
        assert fetch(number) == "from web"
        ports.unpublish("box1")
        until(lambda: closed(number))
        assert ports.sweep([]) == ()
        with pytest.raises(AlreadyExistsError, match=r"not a bridge|belongs"):
            bridge.ensure_bridge(msgspec.structs.replace(network(3), interface="tap0"))
    finally:
        for server in servers:
            server.kill()
            server.wait()
        for box in boxes:
            box.end()
        holder.stop()
    until(lambda: not _running("slirp4netns", str(holder.pid)))
    assert Holder.of(folder / "network") is None


def _running(program: str, word: str) -> bool:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode().split("\0")
                if words[0].endswith(program) and word in words:
                    return True
    return False


def test_a_shared_namespace_of_an_ordinary_user(folder: Path) -> None:
    as_nobody(folder, _shared)


def _single(folder: Path) -> None:
    assert os.geteuid() != 0
    box = Box(None)
    server, pid_file = None, folder / "pid"
    try:
        number = free_port()
        nowhere = PublishedPort(
            host_ip="127.0.0.1", host_port=number, container_ip="0.0.0.0", container_port=80
        )
        usermode.connect_container(box.pid, pid_file, [nowhere])
        server = box.serve(folder / "www", "by pasta")
        until(lambda: fetch(number) == "by pasta")
        with machine_server() as (_, _):
            routes = subprocess.run(
                box.words("ip", "route"), capture_output=True, text=True, check=True
            ).stdout
            assert "default via" in routes
        other = Box(None)
        try:
            with pytest.raises(AlreadyExistsError):
                usermode.connect_container(other.pid, folder / "other", [nowhere])
        finally:
            other.end()
    finally:
        if server:
            server.kill()
            server.wait()
        usermode.disconnect_container(pid_file)
        box.end()
    until(lambda: closed(number))
    until(lambda: not _running("pasta", str(box.pid)) and not _running("passt", str(box.pid)))


def test_pasta_gives_one_container_a_way_out_and_ports(folder: Path) -> None:
    as_nobody(folder, _single)
