"""The examples of ``--help`` and the reference work with the objects that they use."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.commands.execute import execute
from jupyter_containers.commands.grammar import VERBS
from jupyter_containers.commands.session import Session
from jupyter_containers.engine import Engine
from tests.integration.engine_fixtures import Place, demolish
from tests.ports import free_port

SERVE = ["sh", "-c", "trap 'exit 0' TERM; echo began; while :; do sleep 0.1; done"]
APPLICATION = """\
services:
  web:
    image: busybox
    command: ["sh", "-c", "trap 'exit 0' TERM; echo began; while :; do sleep 0.1; done"]
    ports: ["8000"]
  job: {image: busybox, command: sh -c "echo done; sleep 3", stop_grace_period: 0s}
"""
DOCKERFILE = """\
FROM busybox AS base
ARG LEVEL=info
RUN mkdir -p /srv && echo $LEVEL > /srv/level
FROM base
COPY index.html /srv/
EXPOSE 8000
"""
# Tested elsewhere: terminals, registries and manifests, changes of this machine or a user's home.
ELSEWHERE = {
    "run -it --rm busybox sh",
    "exec -it web sh",
    "attach web",
    "map --over names busybox echo hello {}",
    "compose exec -it web sh",
    "compose logs -f",
    "compose watch",
    "tag app:1 localhost:5000/app:1",
    "bootstrap python:3.11-slim",
    "doctor --fix",
    "system reset --force",
    "system service",
    "system service --time 0 unix:///tmp/docker.sock",
    "system service --install",
    "system service --tlscacert ca.pem --tlscert cert.pem --tlskey key.pem tcp://0.0.0.0:2376",
}
GROUPS_ELSEWHERE = {"pull", "push", "search", "login", "logout", "registry", "manifest"}
GROUPS_ELSEWHERE |= {"store", "kernel", "magics", "session", "mcp", "context"}
# The output of an example, if it is always the same.
SHOWN = {
    "run --rm busybox echo hello": "hello",
    "run --rm -m 512m --cpus 1.5 -v data:/data -e LEVEL=debug app:1 env": "LEVEL=debug",
    "run --rm --here busybox ls": "app",
    "start -a job": "done",
    "wait job": "0",
    "ps": "8000/tcp",
    "ps -a -f status=exited": "job",
    "ps --format '{{.Names}}: {{.Status}}'": "web: Up",
    "logs --tail 20 web": "began",
    "logs -f --since 10m web": "began",
    "exec web ls -l /srv": "level",
    "exec -u 1000 -w /tmp web id": "uid=1000",
    "port web 8000/tcp": "127.0.0.1:",
    "container inspect -f '{{.State.Status}}' web": "running",
    "diff app:1 app:2": "srv/level",
    "image inspect -f '{{.Config.Cmd}}' app:1": "[sh]",
    "build --call=cache app": "COPY index.html",
    "builder debug ls -l /srv": "index.html",
    "events --since 10m --until 0s": "container start",
    "compose config": "image: busybox",
    "compose ps": "app-web-1",
    "compose port web 8000": "127.0.0.1:",
    "compose run --rm -T job echo hello": "hello",
    "compose wait job": "exited with status code 0",
    "compose -f base.yaml -f dev.yaml config --services": "web",
    "system env": "DOCKER_HOST=unix://",
    "volume inspect -f '{{.Mountpoint}}' data": "data",
}
CASES = [
    line
    for verb in VERBS
    for line, _ in verb.examples
    if line not in ELSEWHERE and verb.name.split()[0] not in GROUPS_ELSEWHERE
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Place.under(tmp_path_factory.mktemp("examples")).engine() as engine:
        yield engine
        demolish(engine)


RUNNING = {
    "web": {"publish": ["8000"]},
    "db": {"network": "backend"},
}


@pytest.fixture
def world(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The images, containers and files of the examples; changed ones are created again."""
    monkeypatch.chdir(tmp_path)
    app = tmp_path / "app"
    app.mkdir()
    (app / "Dockerfile").write_text(DOCKERFILE)
    (app / "index.html").write_text("<h1>Hello</h1>\n")
    for name in ("compose.yaml", "base.yaml", "dev.yaml"):
        (tmp_path / name).write_text(APPLICATION)
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "app")
    if not {"busybox:latest", "app:1", "app:2"} <= {n for i in engine.images() for n in i.names}:
        engine.images.bootstrap("busybox")
        for number in ("1", "2"):
            engine.build("app", tag=f"app:{number}", build_arg=[f"LEVEL={number}"])
    if "backend" not in {network.name for network in engine.networks()}:
        engine.networks.create("backend")
    if "data" not in {volume.name for volume in engine.volumes()}:
        engine.volumes.create("data")
    expected = {"web": "running", "db": "running", "job": "exited"}
    found = {container.name: container for container in engine.containers(all=True)}
    for name, container in found.items():
        if container.status != expected.pop(name, ""):
            engine.containers.remove(name, force=True)
            expected |= {name: ""} if name in (*RUNNING, "job") else {}
    for name in expected:
        if name == "job":
            engine.run("busybox", ["echo", "done"], name=name, network="none")
        else:
            made = engine.run("app:1", SERVE, detach=True, name=name, **RUNNING[name])
            # Before its program has begun a signal meets the runtime's own.
            deadline = time.monotonic() + 10
            while not [*made.logs()] and time.monotonic() < deadline:
                time.sleep(0.01)
    return engine


def before(engine: Engine, line: str) -> str:
    """Prepare an example; return its line for this machine."""
    if line.startswith("compose ") and "config" not in line and " -d" not in line:
        application = engine.compose()
        application.unpause()
        application.up(scale={"job": 1})
    if line.startswith("unpause"):
        engine.containers.pause("web")
    elif line.startswith("import"):
        execute(Session(lambda: engine), ["export", "-o", "web.tar", "web"])
    elif line.startswith("load"):
        engine.images.save(["app:1"], "images.tar")
    elif line.startswith(("volume rm", "network rm")):
        for name in RUNNING:
            engine.containers.remove(name, force=True)
    elif line.startswith("builder debug"):
        failing = {"tag": "x", "dockerfile": "FROM app:1\nRUN touch /srv/half && false\n"}
        with pytest.raises(Exception, match="exit code 1"):
            engine.build({}, **failing)
    if line.startswith("run -d --name web"):
        engine.containers.remove("web", force=True)
        return line.replace("8000:8000", f"{free_port()}:8000")
    return line


@pytest.mark.parametrize("line", CASES)
def test_an_example_works(world: Engine, line: str) -> None:
    said: list[bytes] = []
    session = Session(lambda: world, on_output=lambda _, data: said.append(data))
    if line.startswith("logs -f"):
        world.containers.stop("web")  # else it would never end
    result: Any = execute(session, shlex.split(before(world, line)))
    if line.startswith("logs"):
        said += [one.data for one in result or ()]
    else:
        said.append(str(result).encode())
    assert SHOWN.get(line, "") in b"".join(said).decode()
    assert getattr(result, "exit_code", None) in (0, None)
