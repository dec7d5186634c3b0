"""The modules that a command in a terminal must not import: they are most of its time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROBE = """
import sys
from jupyter_containers.cli import main
code = main(sys.argv[1:])
sys.stderr.write(" ".join(sys.modules))
sys.exit(code)
"""
NEVER = {"IPython", "asyncio", "difflib", "requests", "ssl", "tornado", "traitlets", "urllib3"}
RARELY = {"csv", "hashlib", "secrets", "shutil", "subprocess", "tempfile", "typing_extensions"}
OWN = ("build.parser", "commands.grammar.builds", "compose", "registry", "rootless", "widgets")


def imported(words: str, folder: Path) -> set[str]:
    """Return the modules that a command has imported."""
    places = {"ROOT": str(folder / "root"), "RUN_ROOT": str(folder / "run")}
    environment = {f"JUPYTER_CONTAINERS_{name}": value for name, value in places.items()}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *words.split()],
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)} | environment,
    )
    return set(done.stderr.split())


def test_help_starts_no_engine(tmp_path: Path) -> None:
    """Seen to fail with ``inspect`` imported by the flags."""
    modules = imported("ps --help", tmp_path)
    refused = NEVER | RARELY | {"dataclasses", "inspect", "json", "msgspec", "socket", "sqlite3"}
    assert not modules & refused
    assert "jupyter_containers.engine" not in modules
    assert len(modules) < 130


@pytest.mark.skipif(os.geteuid() != 0, reason="a user's command enters namespaces first")
def test_ps_starts_no_program(tmp_path: Path) -> None:
    """Seen to fail with ``subprocess`` and ``hashlib`` imported at the top of modules."""
    imported("ps", tmp_path)  # the first command of a store sweeps, as after a boot
    modules = imported("ps -a", tmp_path)
    assert not modules & (NEVER | RARELY)
    assert not modules & {f"jupyter_containers.{name}" for name in OWN}
    assert len(modules) < 355
