"""The units that systemd starts the service by."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from jupyter_containers.engine.system.service_units import (
    Units,
    install,
    uninstall,
    units_folder,
    units_of,
)
from jupyter_containers.errors import ContainersError, NotFoundError

ENVIRON = {"JUPYTER_CONTAINERS_ROOT": "/my store/50%", "HOME": "/home/ada", "PATH": "/usr/bin"}


@pytest.fixture
def units(tmp_path: Path) -> Units:
    socket = Path("/run/user/1000/jc/docker.sock")
    return units_of(socket, 300.0, ENVIRON, tmp_path / "units", user=True)


def test_they_say_where_and_what(units: Units) -> None:
    assert units.socket.splitlines()[3:6] == [
        "[Socket]", "ListenStream=/run/user/1000/jc/docker.sock", "SocketMode=0600",
    ]  # fmt: skip
    lines = units.service.splitlines()
    assert 'Environment="JUPYTER_CONTAINERS_ROOT=/my store/50%%"' in lines
    assert "Environment=PATH=/usr/bin" in lines
    assert not [line for line in lines if "HOME" in line]
    assert (
        f"ExecStart={sys.executable} -P -m jupyter_containers.api.server "
        "unix:///run/user/1000/jc/docker.sock 300 -1"
    ) in lines
    # Containers go on when the service ends.
    assert "KillMode=process" in lines


def test_folders_are_systemds() -> None:
    assert units_folder(ENVIRON, 0) == Path("/etc/systemd/system")
    assert units_folder(ENVIRON, 7) == Path("/home/ada/.config/systemd/user")
    assert units_folder({"XDG_CONFIG_HOME": "/c"}, 7) == Path("/c/systemd/user")


def test_they_are_written_started_and_removed(units: Units) -> None:
    ran: list[str] = []

    def run(words: Sequence[str]) -> str:
        ran.append(" ".join(words))
        return f"ran {ran[-1]}"

    said = install(units, run).splitlines()
    assert said[:2] == [f"wrote {path}" for path in units.paths]
    assert ran == [
        "systemctl --user daemon-reload",
        "systemctl --user enable --now jupyter-containers.socket",
    ]
    assert [path.read_text() for path in units.paths] == [units.socket, units.service]
    assert install(units, run)  # again, after an update
    ran.clear()
    assert f"removed {units.paths[0]}" in uninstall(units, run)
    assert ran == [
        "systemctl --user disable --now jupyter-containers.socket jupyter-containers.service",
        "systemctl --user daemon-reload",
    ]
    with pytest.raises(NotFoundError, match="no units"):
        uninstall(units, run)


def test_a_line_end_gets_into_no_unit(tmp_path: Path) -> None:
    environ = {"JUPYTER_CONTAINERS_ROOT": "/a\nExecStartPre=/evil"}
    with pytest.raises(ContainersError, match="cannot hold"):
        units_of(Path("/s"), 1.0, environ, tmp_path, user=False)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze (systemd)")
def test_systemd_finds_nothing_wrong_with_them(units: Units) -> None:
    install(units, lambda _: "")
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, units.paths)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert [line for line in done.stderr.splitlines() if "jupyter-containers" in line] == []
