"""Larger programs that speak to Docker, each at its work."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_containers.engine import Engine
from tests.integration.api_client import Client, needs_docker
from tests.integration.bases import BaseImages
from tests.ports import free_port

_DATA = Path(__file__).parents[1] / "data/clients"
_SANDBOX = """
import docker, pathlib
from llm_sandbox import SandboxSession

options = {"lang": "python", "image": "python:3.11-slim", "skip_environment_setup": True}
with SandboxSession(client=docker.from_env(), keep_template=True, **options) as box:
    done = box.run("print(6 * 7)")
    print(done.stdout.strip(), done.exit_code)
    pathlib.Path("given").write_text("given")
    box.copy_to_runtime("given", "/sandbox/taken")
    print(box.run("print(open('/sandbox/taken').read())").stdout.strip())
    box.copy_from_runtime("/sandbox/taken", "back")
    print(pathlib.Path("back").read_text())
    print(box.run("raise SystemExit(3)").exit_code)
"""


def variables(client: Client, venv: Path) -> dict[str, str]:
    own = {"DOCKER_HOST": client.url, "DOCKER_CONFIG": str(client.config)}
    return {**os.environ, **own, "PATH": f"{venv}:{os.environ['PATH']}"}


def until(found: Callable[[], Any], seconds: float = 120) -> Any:
    """Return what a function returns once it is true."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.3)
    return value


@needs_docker
def test_cwltool(client: Client, venv: Path, tmp_path: Path) -> None:
    (tmp_path / "given").write_text("hello\n")
    words = [venv / "cwltool", "--outdir", tmp_path / "out", _DATA / "step.cwl"]
    done = subprocess.run(
        [*words, "--file", tmp_path / "given"],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env=variables(client, venv),
    )
    assert done.returncode == 0, done.stderr
    found = {name: Path(item["path"]).read_text() for name, item in json.loads(done.stdout).items()}
    assert found == {"counted": "6\n", "made": "made\n"}


def test_repo2docker(client: Client, venv: Path, mirrored: Engine) -> None:
    """A repository with a Dockerfile; others need Conda from the internet."""
    user = ("--user-id", "1000", "--user-name", "joe", "--image-name", "repo:1")
    done = subprocess.run(
        [venv / "jupyter-repo2docker", *user, _DATA / "repo", "cat", "/made", "/srv/Dockerfile"],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env=variables(client, venv),
    )
    assert done.returncode == 0, done.stderr
    assert "made for joe\nFROM busybox" in (done.stderr + done.stdout).replace("\r", "")
    mirrored.images.remove("repo:1", force=True)


def test_llm_sandbox(
    client: Client, mirrored: Engine, venv: Path, tmp_path: Path, base_images: BaseImages
) -> None:
    base_images.bring(mirrored, "python:3.11-slim")
    done = subprocess.run(
        [venv / "python", "-W", "ignore", "-c", _SANDBOX],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        cwd=tmp_path,
        env=variables(client, venv),
    )
    assert done.stdout.splitlines() == ["42 0", "given", "given", "3"], done.stderr


def test_dockerspawner(
    client: Client, mirrored: Engine, venv: Path, tmp_path: Path, base_images: BaseImages
) -> None:
    base_images.bring(mirrored, "python:3.11-slim")
    mirrored.build(_DATA / "hub", tag=["hubuser:1"])
    [network] = mirrored.networks.inspect("bridge")["IPAM"]["Config"]
    port, token = free_port(), secrets.token_hex(16)
    hub = {"HUB_PORT": str(port), "HUB_ADDRESS": network["Gateway"], "HUB_TOKEN": token}

    def ask(method: str, path: str, address: str = f"http://127.0.0.1:{port}/hub/api") -> Any:
        head = {"Authorization": f"token {token}"}
        request = urllib.request.Request(address + path, method=method, headers=head)
        try:
            with urllib.request.urlopen(request, timeout=100) as answer:
                return json.loads(answer.read() or b"{}") or {"status": answer.status}
        except OSError:
            return None

    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(
            [venv / "jupyterhub", "-f", _DATA / "hub/jupyterhub_config.py"],
            stdout=log,
            stderr=log,
            cwd=tmp_path,
            env={**variables(client, venv), **hub},
        )
        try:
            until(lambda: ask("GET", "/"))
            assert ask("POST", "/users/ada")
            assert ask("POST", "/users/ada/server")
            until(lambda: ask("GET", "/users/ada")["servers"].get("", {}).get("ready"))
            [box] = [one for one in mirrored.containers() if one.name == "jupyter-ada"]
            settings = mirrored.containers.inspect(box.id)["NetworkSettings"]
            server = f"http://{settings['Networks']['bridge']['IPAddress']}:8888/user/ada"
            assert "version" in ask("GET", "/api", server)
            assert ask("GET", "/api/contents", server)["type"] == "directory"
            assert ask("DELETE", "/users/ada/server")
            until(lambda: not mirrored.containers(all=True))
            assert "home-ada" in mirrored.volumes.names()
        finally:
            running.terminate()
            running.wait(30)
            print((tmp_path / "log").read_text()[-3000:])
