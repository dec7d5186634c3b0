"""Deinstallation leaves nothing behind: neither in folders nor in the kernel."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jupyter_containers.runtime import cgroups
from tests.integration.account import KINDS, NEEDS, opened
from tests.integration.engine_fixtures import Place, traces

pytestmark = NEEDS


def test_root_leaves_nothing(tmp_path: Path) -> None:
    place = Place.under(tmp_path)
    engine = place.engine()
    layout, parent = engine._context.host.cgroups, engine._context.runtime.cgroup_parent
    before = traces(engine)
    engine.images.bootstrap("busybox")
    engine.networks.create("lab")
    engine.run("busybox", ["sleep", "100"], detach=True, publish=["0:80"], volume=["data:/d"])
    engine.run("busybox", ["sleep", "100"], detach=True, network="lab", restart="always")
    engine.build(dockerfile="FROM busybox\nRUN touch /x\n", tag="x")
    assert traces(engine).beyond(before)
    environ = {
        **os.environ,
        **place.variables,
    }
    words = [sys.executable, "-m", "jupyter_containers.cli", "system", "reset"]
    asked = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
    assert (asked.returncode, "use --force" in asked.stderr) == (1, True)
    done = subprocess.run([*words, "-f"], env=environ, capture_output=True, text=True, check=False)
    assert done.stdout == f"Removed {place.root}\nRemoved {place.run_root}\n", done.stderr
    assert not place.root.exists()
    assert not place.run_root.exists()
    assert not cgroups.exists(layout, parent)
    with Place.under(tmp_path).engine() as again:
        assert traces(again).beyond(before) == {}
        again.system.reset()


def members(namespace: str) -> list[str]:
    """Return the command lines of the processes in a user namespace."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and os.readlink(folder / "ns/user") == namespace:
                found.append((folder / "cmdline").read_text())
        except OSError:
            continue  # it has ended
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_user_leaves_nothing(kind: str) -> None:
    with opened(kind) as account:
        account.container("bootstrap busybox")
        account.container("run -d -p 80 busybox sleep 100")
        holder = (account.home / "run/jupyter-containers/user/holder").read_text().split()[0]
        namespace = os.readlink(f"/proc/{holder}/ns/user")
        told = account.container("system reset --force")
        assert told.count("Removed ") == 2
        assert not (account.home / ".local/share/jupyter-containers").exists()
        assert not (account.home / "run/jupyter-containers").exists()
        deadline = time.monotonic() + 5
        while (left := members(namespace)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert left == []
        account.container("bootstrap busybox")
        assert account.container("run --rm busybox echo again") == "again\n"
