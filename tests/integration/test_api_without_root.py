"""The service of a user without root: Docker's command, docker-py and Compose work there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.account import KINDS, NEEDS, Account, opened
from tests.integration.api_client import DOCKER, needs_docker

pytestmark = [*NEEDS, needs_docker]
COMPOSE = str(Path(sys.executable).with_name("docker-compose"))
SHOP = str(Path(__file__).parents[1] / "data/clients/shop/compose.yaml")

_WORK = f"""
import os, subprocess, sys
from jupyter_containers.rootless.remote import RemoteEngine
with RemoteEngine() as engine, engine.api() as url:
    environ = {{**os.environ, "DOCKER_HOST": url, "DOCKER_BUILDKIT": "0"}}
    def docker(*words, stdin=b""):
        done = subprocess.run([{DOCKER!r}, *words], input=stdin, capture_output=True, env=environ)
        shown = done.stdout if done.returncode == 0 else done.stderr
        print(done.returncode, shown.decode().strip(), flush=True)
    docker("run", "--rm", "busybox", "id", "-u")
    docker("run", "-i", "--rm", "--network", "none", "busybox", "cat", stdin=b"typed")
    docker("run", "-d", "--name", "web", "busybox", "sleep", "60")
    docker("exec", "web", "echo", "inside")
    docker("rm", "-f", "web")
    docker("build", "-q", "-t", "own", "-", stdin=b"FROM busybox\\nRUN echo made > /made\\n")
    docker("run", "--rm", "own", "cat", "/made")
    docker("info", "--format", "{{{{.SecurityOptions}}}}")
    print(oct(os.stat(url.removeprefix("unix://")).st_mode & 0o777))
    import docker as library
    client = library.DockerClient(base_url=url)
    print(client.containers.run("busybox", ["echo", "library"], remove=True).decode().strip())
    client.close()
    def compose(*words):
        line = (sys.executable, {COMPOSE!r}, "-p", "shop", "-f", {SHOP!r}, *words)
        done = subprocess.run(line, capture_output=True, env=environ)
        print(done.returncode, done.stdout.decode().strip() if words[0] == "exec" else "")
        if done.returncode:
            print(done.stderr.decode())
    compose("up", "-d", "--wait")
    compose("exec", "-T", "web", "cat", "/greeting")
    compose("down", "-v")
"""


@pytest.fixture(scope="module", params=KINDS)
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    with opened(request.param) as made:
        made.container("bootstrap busybox")
        yield made


def test_clients_work_for_an_ordinary_user(account: Account) -> None:
    lines = [line.rstrip() for line in account.python(_WORK).splitlines()]
    assert lines[:2] == ["0 0", "0 typed"]
    assert lines[3:5] == ["0 inside", "0 web"]
    assert lines[5].startswith("0 sha256:")
    assert lines[6] == "0 made"
    assert "rootless" in lines[7]
    assert lines[8] == "0o600"
    assert lines[9:] == ["library", "0", "0 hello", "0"]
