"""The start of slirp4netns, simulated by one-line programs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.errors import ContainersError
from jupyter_containers.network import usermode
from jupyter_containers.network.usermode import Uplink

# The program is meant to outlive the object that started it.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
_READY = "for word; do case $word in --ready-fd=*) echo > /proc/self/fd/${word#*=};; esac; done\n"


@pytest.fixture
def alive() -> Iterator[int]:
    reading, writing = os.pipe()
    yield reading
    os.close(reading)
    os.close(writing)


def started(
    folder: Path, alive: int, monkeypatch: pytest.MonkeyPatch, script: str, resolver: str = ""
) -> tuple[str, list[list[str]]]:
    """Return the result of a start, and the flags of each attempt."""
    program = folder / "slirp4netns"
    log = f'echo "$@" >> {folder}/calls\n'
    program.write_text(f"#!/bin/sh\n{log}{script}\n")
    program.chmod(0o755)
    device = folder / "tun"
    device.touch()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(usermode, "_TUN", str(device))
    monkeypatch.setattr(usermode, "_sandbox_restriction", lambda: resolver)
    try:
        weaker = Uplink(folder / "uplink.sock").start(1, alive)
    finally:
        calls = (folder / "calls").read_text().splitlines()
    return weaker, [[w for w in line.split() if w.startswith("--enable")] for line in calls]


BOTH = ["--enable-sandbox", "--enable-seccomp"]


def test_it_confines_itself(tmp_path: Path, alive: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert started(tmp_path, alive, monkeypatch, _READY) == ("", [BOTH])


def test_a_host_that_refuses_gets_less_and_a_word(
    tmp_path: Path, alive: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse = 'case "$*" in *sandbox*) echo cannot make a sandbox >&2; exit 1;; esac\n'
    weaker, calls = started(tmp_path, alive, monkeypatch, refuse + _READY)
    assert (weaker, calls) == ("cannot make a sandbox", [BOTH, BOTH[1:]])


def test_an_old_program_without_the_flags(
    tmp_path: Path, alive: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = 'case "$*" in *enable*) echo "unrecognized option" >&2; exit 1;; esac\n'
    weaker, calls = started(tmp_path, alive, monkeypatch, old + _READY)
    assert (weaker, calls) == ("unrecognized option", [BOTH, BOTH[1:], []])


def test_a_resolver_outside_its_sandbox(
    tmp_path: Path, alive: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = started(tmp_path, alive, monkeypatch, _READY, "resolv.conf is elsewhere")
    assert found == ("resolv.conf is elsewhere", [BOTH[1:]])
    link = tmp_path / "resolv.conf"
    link.symlink_to("/mnt/wsl/resolv.conf")
    monkeypatch.undo()
    assert "/mnt/wsl/resolv.conf" in usermode._sandbox_restriction(str(link))
    assert usermode._sandbox_restriction("/etc/hosts") == ""


def test_what_never_starts_is_an_error(
    tmp_path: Path, alive: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ContainersError, match="slirp4netns failed: broken"):
        started(tmp_path, alive, monkeypatch, "echo broken >&2; exit 1")
