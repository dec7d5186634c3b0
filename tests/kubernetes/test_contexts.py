"""The terminal command and the contexts of a pod, in a real cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from jupyter_containers.kubernetes import client
from jupyter_containers.kubernetes.engine import ClusterEngine
from tests.kubernetes.conftest import Cluster

BOX = "box:1"


@pytest.fixture
def command(cluster: Cluster, tmp_path: Path) -> Callable[..., subprocess.Popen[bytes]]:
    """Return a function that starts the terminal command with the context lab."""
    environ = {
        **os.environ,
        "XDG_CONFIG_HOME": str(tmp_path),
        "JUPYTER_CONTAINERS_ROOT": str(tmp_path / "root"),
        "JUPYTER_CONTAINERS_RUN_ROOT": str(tmp_path / "run"),
    }
    program = [sys.executable, "-m", "jupyter_containers.cli"]
    endpoint = str(cluster.endpoint())
    subprocess.run(
        [*program, "context", "create", "lab", "--kubernetes", endpoint],
        env=environ, check=True, capture_output=True,
    )  # fmt: skip

    def start(*words: str, **more: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*program, *words], env=environ | more, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    return start


def test_the_command_runs_there(command: Callable[..., subprocess.Popen[bytes]]) -> None:
    one = command("--context", "lab", "run", "-i", "--rm", BOX, "cat")
    assert one.communicate(b"through a pipe\n", 60)[0] == b"through a pipe\n"
    script = "echo out; echo err >&2; exit 4"
    two = command("run", "--rm", "--context=lab", BOX, "sh", "-c", script)
    out, err = two.communicate(timeout=60)
    assert (two.returncode, out, err) == (4, b"out\n", b"err\n")
    three = command("ps", "-a", JUPYTER_CONTAINERS_CONTEXT="lab")
    assert three.communicate(timeout=60)[0].splitlines()[1:] == []


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("trap 'echo got; exit 9' INT; echo go; while :; do sleep 0.1; done", 9),
        ("echo go; exec sleep 60", 130),
    ],
)
def test_an_interrupt_reaches_the_program_or_ends_it(
    command: Callable[..., subprocess.Popen[bytes]], engine: ClusterEngine, script: str, code: int
) -> None:
    process = command("--context", "lab", "run", "--rm", BOX, "sh", "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == b"go\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert out == (b"got\n" if code == 9 else b"")
    assert engine.containers(all=True) == []


def test_a_pod_finds_its_account(
    cluster: Cluster,
    engine_for: Callable[..., ClusterEngine],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The files and variables of a pod, with the token of a service account."""
    import base64
    from urllib.parse import urlsplit

    runner = os.path.join(os.path.dirname(cluster.kubeconfig), "runner.kubeconfig")
    if not os.path.exists(runner):
        pytest.skip("needs the kubeconfig of a service account")
    document = yaml.safe_load(Path(runner).read_text())
    server = document["clusters"][0]["cluster"]
    address = urlsplit(server["server"])
    authority = server.get("certificate-authority-data")
    (tmp_path / "ca.crt").write_bytes(
        base64.b64decode(authority)
        if authority
        else Path(runner).parent.joinpath(server["certificate-authority"]).read_bytes()
    )
    (tmp_path / "token").write_text(document["users"][0]["user"]["token"])
    (tmp_path / "namespace").write_text("lab")
    monkeypatch.setattr(client, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(address.hostname))
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(address.port))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    engine = engine_for("eve", kubeconfig="", namespace="")
    assert engine.run(BOX, ["echo", "hi"], rm=True).output == "hi\n"
    assert engine.system.info()["Namespace"] == "lab"
