from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_containers.engine.containers.exit_command import (
    detached_command,
    ending,
    exit_command,
)
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.settings import load_settings


def test_all_settings_travel_in_the_command(tmp_path: Path) -> None:
    given = {"root": str(tmp_path), "run_root": "/run/store", "runtime": "/opt/crun"}
    settings = load_settings({}, {**given, "pids_limit": 7})
    context = EngineContext(settings)
    command = exit_command(context, "cafe")
    context.close()
    assert command[0] == sys.executable
    values = json.loads(command[-2])
    again = load_settings({}, values)
    assert command[-1] == "cafe"
    assert again.bridge_name == context.bridge_name
    assert (again.root, again.run_root) == (settings.root, settings.run_root)
    assert (again.runtime, again.pids_limit) == ("/opt/crun", 7)
    assert again.trust_host_ca == settings.trust_host_ca
    assert all("\0" not in word and "\n" not in word for word in command)


class TestOfADetachedContainer:
    """The guard starts Python only if no living process is ending the container."""

    @pytest.fixture
    def bundle(self, tmp_path: Path) -> Path:
        folder = tmp_path / "bundle"
        folder.mkdir()
        return folder

    @pytest.fixture
    def guard(self, tmp_path: Path, bundle: Path) -> tuple[str, ...]:
        """Return the command up to its Python."""
        context = EngineContext(
            load_settings({}, {"root": str(tmp_path), "run_root": "/run/store"})
        )
        python = exit_command(context, "cafe")
        command = detached_command(context, "cafe", bundle)
        context.close()
        assert command[-len(python) :] == python
        return command[: -len(python)]

    def test_the_end_is_recorded(self, guard: tuple[str, ...]) -> None:
        assert goes_on(guard)

    def test_a_process_that_ends_it_records_the_end(
        self, guard: tuple[str, ...], bundle: Path
    ) -> None:
        with ending(bundle):
            assert not goes_on(guard)
        assert goes_on(guard)
        assert os.listdir(bundle) == []

    def test_a_process_that_died_while_ending_it_does_not(
        self, guard: tuple[str, ...], bundle: Path
    ) -> None:
        with ending(bundle):
            [mark] = bundle.iterdir()
            with subprocess.Popen(["true"]) as dead:
                pass
            mark.write_text(f"{dead.pid}\n")
            assert goes_on(guard)

    def test_a_removed_container_has_no_end(self, guard: tuple[str, ...], bundle: Path) -> None:
        with ending(bundle):
            bundle.joinpath("ending").unlink()
            bundle.rmdir()
            assert not goes_on(guard)


def goes_on(guard: tuple[str, ...]) -> bool:
    """Return whether a guard starts its command."""
    done = subprocess.run([*guard, "echo", "on"], check=True, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout == "on\n"
