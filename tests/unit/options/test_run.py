from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.options import ExecOptions, RunOptions
from jupyter_containers.options.run import updated


def test_flags_become_numbers_and_values() -> None:
    options = RunOptions.of(
        "app",
        "python -c 'print(1)'",
        memory="512m",
        cpus="1",
        publish=["8000:80"],
        env={"A": 1},
        label="x=y",
        volume=["data:/d"],
        tmpfs="/t",
        entrypoint="",
        detach=True,
    )
    assert options.command == ("python", "-c", "print(1)")
    assert (options.memory, options.cpus, options.env) == (2**29, 1.0, ("A=1",))
    assert options.labels == {"x": "y"}
    assert [mount.type for mount in options.mounts] == ["volume", "tmpfs"]
    assert options.entrypoint == ("",)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"memroy": "1g"}, "unknown option 'memroy'"),
        ({"memory": "5m"}, "below 6m"),
        ({"memory": "64m", "memory_swap": "32m"}, "below memory"),
        ({"memory_swap": "32m"}, "needs memory"),
        ({"cpus": (os.cpu_count() or 1) + 1}, "more than this host has"),
        ({"rm": True, "restart": "always"}, "cannot be used together"),
        ({"name": "-x"}, "invalid container name"),
        ({"workdir": "here"}, "not an absolute path"),
        ({"pull": "sometimes"}, "invalid pull"),
        ({"env_file": "/nowhere/env"}, "cannot read env-file"),
    ],
)
def test_bad_flags_are_refused(flags: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        RunOptions.of("app", **flags)


def test_an_unknown_flag_gets_near_matches() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        RunOptions.of("app", memroy="1g")
    assert "memory" in caught.value.hint


def test_env_files_skip_comments(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("# note\n\nA=1\nB=two words\n")
    assert RunOptions.of("app", env_file=file, env=["B=3"]).env == ("A=1", "B=two words", "B=3")


@pytest.mark.parametrize("line", ["B = 2", "A B", "\tA\t=1"])
def test_names_in_env_files_have_no_spaces(tmp_path: Path, line: str) -> None:
    file = tmp_path / "env"
    file.write_text(f"A=1\n{line}\n")
    with pytest.raises(InvalidArgumentError, match="invalid line of an env-file"):
        RunOptions.of("app", env_file=file)


def test_an_update_to_no_restart_policy_is_refused() -> None:
    options = RunOptions.of("app", restart="always")
    assert updated(options, restart="on-failure:2").restart == "on-failure:2"
    for text in ("sometimes", "always:3", "on-failure:x"):
        with pytest.raises(InvalidArgumentError, match="invalid restart policy"):
            updated(options, restart=text)


def test_exec_needs_a_command() -> None:
    assert ExecOptions.of(["ls"], user="1000").user == "1000"
    with pytest.raises(InvalidArgumentError):
        ExecOptions.of([])
