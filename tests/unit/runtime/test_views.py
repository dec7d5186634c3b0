"""The kernel's data about a process, tested with this one and a folder of cgroup files."""

import os
import subprocess
import sys
from pathlib import Path

from jupyter_containers.runtime import views
from jupyter_containers.runtime.cgroups import UNIFIED, CgroupLayout

GONE = 2**22 + 1  # above the largest pid


def test_a_process_shares_its_namespaces_with_its_child() -> None:
    own = views.namespaces(os.getpid())
    with subprocess.Popen(["sleep", "30"]) as child:
        assert views.namespaces(child.pid) == own
        child.kill()
    assert {"pid", "mnt", "net", "uts", "ipc", "user"} <= set(own)


def test_a_process_is_seen_by_number_user_and_command() -> None:
    view = views.process_view(os.getpid())
    assert view is not None
    assert (view.pid, view.uid) == (os.getpid(), os.geteuid())
    assert Path(sys.argv[0]).name in view.command or "pytest" in view.command


def test_privileges_are_named() -> None:
    with open("/proc/self/status", encoding="ascii") as file:
        mask = next(line.split()[1] for line in file if line.startswith("CapEff"))
    found = views.privileges(os.getpid())
    assert len(found.capabilities) == int(mask, 16).bit_count()
    assert all(name.startswith("CAP_") for name in found.capabilities)
    assert found.seccomp in ("off", "filter")


def test_the_root_is_among_the_mounts_and_lo_among_the_interfaces() -> None:
    assert any(mount.target == "/" for mount in views.mounts(os.getpid()))
    assert "lo" in views.interfaces(os.getpid())
    assert views.id_map(os.getpid()).startswith("0-")


def test_of_a_process_that_is_gone_nothing_is_known() -> None:
    assert views.namespaces(GONE) == {}
    assert views.process_view(GONE) is None
    assert views.mounts(GONE) == []
    assert views.interfaces(GONE) == []
    assert views.id_map(GONE) == ""
    assert views.privileges(GONE).capabilities == frozenset()


def test_limits_are_read_from_either_version(tmp_path: Path) -> None:
    group = tmp_path / "g"
    group.mkdir()
    (group / "memory.max").write_text("67108864\n")
    (group / "memory.limit_in_bytes").write_text("1024\n")
    v2 = CgroupLayout("v2", {UNIFIED: str(tmp_path)}, frozenset({"memory"}))
    v1 = CgroupLayout("v1", {"memory": str(tmp_path)}, frozenset({"memory"}))
    assert [(file.meaning, file.value) for file in views.cgroup_files(v2, "/g")] == [
        ("memory limit", "67108864")
    ]
    [limit] = views.cgroup_files(v1, "/g")
    assert (limit.path, limit.value) == (str(group / "memory.limit_in_bytes"), "1024")
