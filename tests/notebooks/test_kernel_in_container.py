"""A notebook whose kernel runs in a container, managed by jupyter_client."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
import time
from ast import literal_eval
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from jupyter_containers.commands.grammar import spellings
from jupyter_containers.engine import Engine
from tests.integration.bases import BaseImages
from tests.integration.engine_fixtures import Place
from tests.notebooks.kernels import environment

NAME = "science-1"


@pytest.fixture(scope="module")
def engine(place: Place, base_images: BaseImages) -> Iterator[Engine]:
    with place.engine() as engine:
        base_images.bring(engine, "python:3.11-slim")
        engine.images.tag("python:3.11-slim", "science:1")
        yield engine


def command(place: Place, data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "jupyter_containers.cli", *words],
        env={**environment(place), "JUPYTER_DATA_DIR": str(data)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def data(engine: Engine, place: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("jupyter")
    done = command(place, folder, "kernel", "install", "-m", "400m", "--cpus", "1", "science:1")
    assert done.returncode == 0, done.stderr
    assert f"Kernel {NAME} runs in jupyter-kernel-{NAME}:latest" in done.stdout
    return folder


@pytest.fixture
def kernel(
    place: Place, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[KernelManager]:
    for name, value in environment(place).items():
        monkeypatch.setenv(name, value)
    specs = KernelSpecManager(kernel_dirs=[str(data / "kernels")])
    manager = KernelManager(kernel_name=NAME, kernel_spec_manager=specs)
    manager.start_kernel(cwd=str(tmp_path))
    try:
        yield manager
    finally:
        manager.shutdown_kernel(now=True)
        manager.context.destroy()


def evaluate(manager: KernelManager, source: str) -> str:
    """Return the output of a cell, or the name of its error."""
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        client.execute(source)
        return printed(client)
    finally:
        client.stop_channels()


def printed(client: object) -> str:
    text = ""
    while True:
        message = client.get_iopub_msg(timeout=30)
        content = message["content"]
        match message["msg_type"]:
            case "stream":
                text += content["text"]
            case "error":
                text += content["ename"]
            case "status" if content["execution_state"] == "idle" and text:
                return text


def names(engine: Engine) -> list[str]:
    return [each.name for each in engine.containers(all=True) if each.name.startswith("kernel-")]


def test_a_kernel_lives_in_a_container(
    engine: Engine, kernel: KernelManager, tmp_path: Path
) -> None:
    shown = evaluate(
        kernel,
        "import os, socket; open('made', 'w').write('inside')\n"
        "print(socket.gethostname(), os.getcwd(), os.getpid(), 'JPY_PARENT_PID' in os.environ)",
    )
    [name] = names(engine)
    container = engine.containers.get(name)
    assert shown.split() == [container.id[:12], str(tmp_path), "1", "False"]
    assert (tmp_path / "made").read_text() == "inside"
    host = container.inspect()["HostConfig"]
    assert (host["Memory"], host["NanoCpus"]) == (400 << 20, 10**9)
    kernel.shutdown_kernel()
    deadline = time.monotonic() + 10
    while names(engine) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert names(engine) == []
    assert not list(tmp_path.glob("*.container"))


def test_values_of_variables_stand_on_no_command_line(
    engine: Engine, place: Place, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail before: every value was an argument of ``jupyter container run``."""
    for name, value in environment(place).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OF_THE_SERVER", "hidden-server")
    specs = tmp_path / "kernels"
    shutil.copytree(data / "kernels" / NAME, specs / "secretive")
    file = specs / "secretive/kernel.json"
    document = json.loads(file.read_text())
    document["env"] = {
        "TOKEN": "hidden-token",
        "LINES": "hidden-1\nhidden-2",
        "MADE": "${OF_THE_SERVER}",
    }
    document["metadata"]["kernel_provisioner"]["config"]["options"] += [
        "--env=ONE=hidden-one", "-e", "TWO=hidden-two", "-eTHREE=hidden-three", "--label=a=shown-1",
    ]  # fmt: skip
    file.write_text(json.dumps(document))
    manager = KernelManager(
        kernel_name="secretive", kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(specs)])
    )
    seen: set[str] = set()
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(seen, ended))
    watcher.start()
    try:
        manager.start_kernel(cwd=str(tmp_path))
        names = "'TOKEN', 'LINES', 'MADE', 'ONE', 'TWO', 'THREE'"
        shown = evaluate(manager, f"import os; print([os.environ[n] for n in ({names})])")
        variables = Path(f"{manager.connection_file}.env")
        mode = variables.stat().st_mode & 0o777 if variables.exists() else None
    finally:
        ended.set()
        watcher.join()
        manager.shutdown_kernel(now=True)
        manager.context.destroy()
    assert "shown-1" in seen, "command lines were read"
    assert {word for word in seen if "hidden" in word} == set()
    assert literal_eval(shown) == [
        "hidden-token", "hidden-1\nhidden-2", "hidden-server", "hidden-one", "hidden-two",
        "hidden-three",
    ]  # fmt: skip
    assert mode == 0o600
    assert not variables.exists()


def _watch(seen: set[str], ended: threading.Event) -> None:
    """Record this test's words in all command lines, which any user can read."""
    while not ended.wait(0.01):
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                line = (folder / "cmdline").read_bytes().decode("utf-8", "replace")
                seen.update(re.findall(r"hidden-\w+|shown-\w+", line))


def test_it_is_interrupted_and_restarted(engine: Engine, kernel: KernelManager) -> None:
    assert evaluate(kernel, "kept = 1; print(kept)") == "1\n"
    client = kernel.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    client.execute("import time\nprint('begun', flush=True)\ntime.sleep(60)")
    while True:
        message = client.get_iopub_msg(timeout=30)
        if message["msg_type"] == "stream":
            break
    kernel.interrupt_kernel()
    assert "KeyboardInterrupt" in printed(client)
    client.stop_channels()
    assert evaluate(kernel, "print(kept)") == "1\n"
    [before] = names(engine)
    kernel.restart_kernel()
    assert evaluate(kernel, "print('kept' in globals())") == "False\n"
    [after] = names(engine)
    assert before != after


def test_a_kernel_that_is_killed_leaves_nothing(engine: Engine, kernel: KernelManager) -> None:
    assert evaluate(kernel, "print(1)") == "1\n"
    kernel.shutdown_kernel(now=True)
    assert names(engine) == []


def test_specs_are_removed_and_wrong_ones_refused(place: Place, data: Path) -> None:
    spec = json.loads((data / "kernels" / NAME / "kernel.json").read_text())
    assert spec["display_name"] == "Python in science:1"
    told = command(place, data, "kernel", "install", "--name", "a b", "science:1").stderr
    assert "invalid kernel name: 'a b'" in told
    assert "no such kernel: other" in command(place, data, "kernel", "rm", "other").stderr
    told = command(place, data, "kernel", "rm", "python3").stderr
    assert "the kernel python3 does not run in a container" in told
    assert "kernel remove" in spellings()
