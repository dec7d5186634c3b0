"""``magics enable`` and ``disable``: whether kernels start with the magics."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.engine_fixtures import Place
from tests.notebooks.kernels import environment, kernel, run_cell, text_of

FILE = "startup/50-jupyter-containers.py"
# The first cell of a notebook without %load_ext.
ASK = "%container version --format '{{.Version}}'"


def command(ipython: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "jupyter_containers.cli", "magics", *words],
        env={**environment(Place.under(ipython)), "IPYTHONDIR": str(ipython)},
        capture_output=True,
        text=True,
        check=False,
    )


def answer(place: Place, folder: Path, ipython: Path, *cells: str) -> list[str]:
    folder.mkdir()
    with kernel(place, folder, IPYTHONDIR=str(ipython)) as client:
        return [text_of(run_cell(client, cell)) for cell in cells]


def test_a_kernel_has_the_magics_while_they_are_enabled(place: Place, tmp_path: Path) -> None:
    from jupyter_containers import __version__

    ipython = tmp_path / "ipython"
    before = answer(place, tmp_path / "before", ipython, ASK)
    assert "`%container` not found" in before[0]

    enabled = command(ipython, "enable")
    file = ipython / "profile_default" / FILE
    assert (enabled.returncode, enabled.stderr) == (0, "")
    assert enabled.stdout.endswith(f"{file}\n")
    assert command(ipython, "ls").stdout == f"{file}\n"
    said, names, again = answer(
        *(
            place,
            tmp_path / "enabled",
            ipython,
            ASK,
            "[*globals()]",
            "%reload_ext jupyter_containers",
        )
    )
    assert said == __version__
    assert "jupyter" not in names
    assert again == ""

    disabled = command(ipython, "disable")
    assert disabled.stdout.startswith(f"Removed {file}")
    assert command(ipython, "ls").stdout == ""
    after = answer(place, tmp_path / "after", ipython, ASK)
    assert "`%container` not found" in after[0]
    assert command(ipython, "disable").stdout == f"Not enabled: there is no {file}\n"


def test_a_kernel_without_the_package_starts_as_ever(tmp_path: Path) -> None:
    ipython = tmp_path / "ipython"
    assert command(ipython, "enable", "--profile", "work").returncode == 0
    file = ipython / "profile_work" / FILE
    # Runs the file like IPython, with nothing but the standard library.
    script = f"exec(open({str(file)!r}).read(), {{}})\nprint('started')"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("started\n", "")


def test_for_everybody_who_uses_an_environment(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    [site] = (tmp_path / "venv").glob("lib/python3*/site-packages")
    # It uses the packages of this environment, and this clone.
    (site / "other.pth").write_text("\n".join(path for path in sys.path if path))
    python = tmp_path / "venv/bin/python"
    home = {**os.environ, "HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path / "ipython")}

    def run(*words: str) -> str:
        done = subprocess.run(
            [python, *words], env=home, capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr

    file = tmp_path / "venv/etc/ipython/startup/50-jupyter-containers.py"
    assert str(file) in run("-m", "jupyter_containers.cli", "magics", "enable", "--sys-prefix")
    asked = ("-m", "IPython", "--no-banner", "-c", "%container magics ls")
    assert run(*asked).strip().endswith(str(file))
    run("-m", "jupyter_containers.cli", "magics", "disable", "--sys-prefix")
    assert "`%container` not found" in run(*asked)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--system", "--sys-prefix"], "exclude each other"),
        (["--profile", "../x"], "not the name of an IPython profile"),
    ],
)
def test_refused(tmp_path: Path, words: list[str], said: str) -> None:
    refused = command(tmp_path, "enable", *words)
    assert refused.returncode == 1
    assert said in refused.stderr
    assert not list(tmp_path.rglob("*.py"))
