"""The service of a user without root: Docker's command, docker-py and Compose work there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.account import KINDS, NEEDS, Account, opened
from tests.integration.api_client import DOCKER, needs_docker
from tests.integration.buildkit_clients import buildx, old_docker

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

# The words of the command that has BuildKit's client, if there is one.
_BUILD = [buildx(), "build"] if buildx() else [old_docker(), "build"]
_BUILDKIT = f"""
import os, pathlib, subprocess, tempfile
from jupyter_containers.rootless.remote import RemoteEngine
with RemoteEngine() as engine, engine.api() as url, tempfile.TemporaryDirectory() as folder:
    place = pathlib.Path(folder)
    place.joinpath("Dockerfile").write_text(
        "FROM busybox\\nCOPY a /a\\nRUN --mount=type=secret,id=s cat /run/secrets/s /a > /said\\n"
    )
    place.joinpath("a").write_text("file ")
    place.joinpath("secret").write_text("secret ")
    environ = {{**os.environ, "DOCKER_HOST": url, "DOCKER_BUILDKIT": "1", "DOCKER_CONFIG": folder}}
    def build(*words):
        done = subprocess.run(
            [*{_BUILD!r}, "--progress=plain", *words, folder],
            capture_output=True, env=environ, stdin=subprocess.DEVNULL,
        )
        print(done.returncode, b"CACHED" in done.stderr, flush=True)
    secret = ("--secret", f"id=s,src={{folder}}/secret")
    build("-t", "bk", *secret)
    build("-t", "bk", *secret)
    print(engine.containers.run("bk", ["cat", "/said"], rm=True).stdout.decode())
    build("-o", f"{{folder}}/out", *secret)
    out = place / "out/said"
    print(out.read_text(), out.stat().st_uid == os.getuid())
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


@pytest.mark.skipif(not any(_BUILD[:1]), reason="needs docker-buildx or docker 20.10")
def test_buildkits_protocol_works_for_an_ordinary_user(account: Account) -> None:
    pytest.importorskip("h2", reason="needs h2 (the extra api)")
    lines = account.python(_BUILDKIT).splitlines()
    assert lines[:2] == ["0 True", "0 True"]
    assert lines[2] == "secret file "
    assert lines[3:] == ["0 True", "secret file  True"]
