"""Cells beyond a single command, in a real kernel with real containers."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.commands.completion import complete
from tests.integration.engine_fixtures import Place
from tests.notebooks.kernels import kernel, run_cell, text_of


@pytest.fixture(scope="module")
def client(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with place.engine() as engine:
        engine.images.bootstrap("busybox")
    with kernel(place, tmp_path_factory.mktemp("magics")) as client:
        run_cell(client, "%load_ext jupyter_containers")
        yield client


def test_a_cell_is_a_script_of_the_image(client: Any) -> None:
    shown = text_of(run_cell(client, "%%container run --rm busybox\necho $((6 * 7))\nfalse; true"))
    assert shown == "42\n"
    outputs = run_cell(client, "%%container run --rm --interpreter awk busybox\nx\n")
    assert "ContainerFailedError" in text_of(outputs)  # awk has no script named "-"
    assert text_of(
        run_cell(client, "%%container run --rm --interpreter 'sh -s' busybox\necho read")
    ).startswith("read\n")


def test_several_commands_in_a_cell(client: Any) -> None:
    source = (
        "%%container\nrun -d --name multi busybox sleep 100\nps --format {{.Names}}\nrm -f multi"
    )
    shown = text_of(run_cell(client, source))
    assert "<Container multi" in shown
    assert shown.count("multi") == 3


def test_lines_of_a_tutorial_are_pasted(client: Any) -> None:
    source = (
        "%%container\n$ docker run -d --name pasted -v $(pwd):/here busybox sleep 100  # goes on\n"
        "sudo docker exec pasted ls /here\n"
        "docker rm -f $(docker ps -aq | head -n 1)"
    )
    folder = text_of(run_cell(client, "import os; open('seen', 'w').close(); print(os.getcwd())"))
    shown = text_of(run_cell(client, source))
    assert "<Container pasted" in shown
    assert "seen" in shown.splitlines()
    assert "pasted" not in text_of(run_cell(client, "%container ps -a"))
    assert folder.strip() in text_of(
        run_cell(client, "%container run --rm busybox echo $PWD '$PWD'")
    )
    refused = text_of(run_cell(client, "%container ps | grep pasted"))
    assert "'|' needs a shell" in refused


def test_variables_go_in_and_results_come_out(client: Any) -> None:
    run_cell(client, "word = 'two words'\n%container run --rm busybox echo {{word}} --out ignored")
    source = "%container run --rm --out said busybox echo {{word}}"
    assert text_of(run_cell(client, source)) == "two words\n"
    assert text_of(run_cell(client, "said.output")) == "'two words\\n'"
    run_cell(client, "base = 'busybox'")
    shown = text_of(
        run_cell(client, "%%dockerfile --interpolate --out built -t filled\nFROM {{base}}\nENV A=1")
    )
    assert "filled" in shown
    assert text_of(run_cell(client, "built.names")) == "('filled:latest',)"


def test_a_terminal_needs_someone_who_types(client: Any) -> None:
    shown = text_of(run_cell(client, "%container run -it --rm busybox sh"))
    assert shown.splitlines()[0] == ("UnsupportedError: -it needs an interactive front end")
    assert "jupyter container run -it" in shown


def test_docker_is_a_name_when_switched_on(client: Any) -> None:
    shown = text_of(run_cell(client, "%docker ps"))
    assert "write %container ps" in shown
    assert "docker_magic = True" in shown
    run_cell(client, "%config ContainersConfig.docker_magic = True")
    assert "CONTAINER ID" in text_of(run_cell(client, "%docker ps"))
    run_cell(client, "%unload_ext jupyter_containers")
    assert "not found" in text_of(run_cell(client, "%docker ps"))
    assert "not found" in text_of(run_cell(client, "%container ps"))
    run_cell(client, "%load_ext jupyter_containers")


def test_help_stands_in_the_cell(client: Any) -> None:
    shown = text_of(run_cell(client, "%container run --help"))
    assert shown.startswith("Usage:  %container run [OPTIONS] IMAGE [COMMAND] [ARG...]")


def test_the_kernel_completes(client: Any) -> None:
    run_cell(client, "%container create --name finished busybox true")
    code = (
        "from IPython.core.completer import provisionalcompleter\n"
        "import json\n"
        "def ask(text):\n"
        "    with provisionalcompleter():\n"
        "        shell = get_ipython()\n"
        "        return [item.text for item in shell.Completer.completions(text, len(text))]\n"
        "print(json.dumps([ask('%container start fin'), ask('%%dockerfile\\nFROM busy'),"
        " ask('%container run --memory-s')]))"
    )
    first, second, third = json.loads(text_of(run_cell(client, code)))
    assert first == ["finished"]
    assert second == ["busybox:latest"]
    assert "--memory-swap" in third
    run_cell(client, "%container rm finished")


def test_a_profile_configures(place: Place, tmp_path: Path) -> None:
    profile = tmp_path / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    (profile / "ipython_config.py").write_text(
        "c.InteractiveShellApp.extensions = ['jupyter_containers']\n"
        "c.ContainersConfig.docker_magic = True\nc.ContainersConfig.stop_timeout = 7\n"
    )
    with kernel(place, tmp_path, IPYTHONDIR=str(tmp_path / "ipython")) as client:
        assert "CONTAINER ID" in text_of(run_cell(client, "%docker ps"))
        assert text_of(run_cell(client, "%config ContainersConfig.stop_timeout")) == "7"


def test_completion_knows_a_thousand_images(tmp_path: Path) -> None:
    with Place.under(tmp_path).engine() as engine:
        engine.images.bootstrap("busybox")
        records = engine._context.store.records
        [busybox] = records.names()
        names = [f"docker.io/many/image{number}:1" for number in range(1000)]
        # At once: a thousand tags, each safely on disk, would take half a minute.
        with records._database.transaction("name an image often") as connection:
            connection.executemany(
                "INSERT INTO names VALUES (?, ?, ?)",
                [(name, busybox.manifest_digest, busybox.target_digest) for name in names],
            )
        assert len(complete(["run", "--rm"], "many/image99", engine.system.names)) == 11
        began = time.perf_counter()
        found = complete(["run", "--rm"], "many/image1", engine.system.names)
        print(f"completed among 1,000: {(time.perf_counter() - began) * 1000:.1f} ms")
        assert len(found) == 111
