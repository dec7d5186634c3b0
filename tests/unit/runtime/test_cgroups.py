from __future__ import annotations

import threading
from pathlib import Path

import pytest

from jupyter_containers.runtime.cgroups import CgroupLayout, await_frozen, oom_kills, remove, stats

V2 = "30 23 0:26 / {root} rw - cgroup2 cgroup2 rw\n"
V1 = (
    "32 31 0:29 / {root}/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / {root}/memory rw - cgroup cgroup rw,memory\n"
    "39 31 0:36 / {root}/pids rw - cgroup cgroup rw,pids\n"
    "40 31 0:37 / {root}/systemd rw - cgroup cgroup rw,name=systemd\n"
)
HYBRID = V1 + "41 31 0:38 / {root}/unified rw - cgroup2 cgroup2 rw\n"


@pytest.mark.parametrize(
    ("table", "version"), [(V2, "v2"), (V1, "v1"), (HYBRID, "hybrid"), ("", "none")]
)
def test_versions(table: str, version: str) -> None:
    assert CgroupLayout.read(table.format(root="/sys/fs/cgroup")).version == version


def test_folders_are_listed_once_and_stay_inside() -> None:
    layout = CgroupLayout.read(V1.format(root="/c"))
    assert layout.folders("/a/b") == (
        "/c/cpu,cpuacct/a/b",
        "/c/memory/a/b",
        "/c/pids/a/b",
        "/c/systemd/a/b",
    )
    assert layout.folders("/") == ()
    assert layout.folders("/../etc") == ()
    assert layout.folder("/a", "blkio") == ""


def test_v2_readings(tmp_path: Path) -> None:
    layout = CgroupLayout("v2", {"": str(tmp_path)}, frozenset({"memory", "cpu", "pids"}))
    group = tmp_path / "jc" / "one"
    assert stats(layout, "/jc/one") is None
    group.mkdir(parents=True)
    for name, text in {
        "cpu.stat": "usage_usec 1500\nnr_throttled 2\nthrottled_usec 7\n",
        "memory.current": "1000\n",
        "memory.stat": "anon 1\ninactive_file 300\n",
        "memory.max": "max\n",
        "memory.events": "oom 3\noom_kill 2\n",
        "pids.current": "4\n",
        "pids.max": "99\n",
        "io.stat": "254:0 rbytes=10 wbytes=20 rios=1\n8:0 rbytes=1 wbytes=2\n",
    }.items():
        (group / name).write_text(text)
    reading = stats(layout, "/jc/one")
    assert reading is not None
    assert (reading.cpu_ns, reading.throttled_periods, reading.throttled_ns) == (1500000, 2, 7000)
    assert (reading.memory, reading.memory_limit, reading.oom_kills) == (700, 0, 2)
    assert (reading.pids, reading.pids_limit) == (4, 99)
    assert (reading.block_read, reading.block_written) == (11, 22)


def test_v1_readings(tmp_path: Path) -> None:
    layout = CgroupLayout.read(V1.format(root=tmp_path))
    memory = tmp_path / "memory/one"
    memory.mkdir(parents=True)
    (memory / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    (memory / "memory.usage_in_bytes").write_text("500\n")
    (memory / "memory.stat").write_text("inactive_file 1\ntotal_inactive_file 100\n")
    (memory / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 5\n")
    reading = stats(layout, "one")
    assert reading is not None
    assert (reading.memory, reading.memory_limit, reading.oom_kills) == (400, 0, 5)
    assert oom_kills(layout, "/other") == 0


def test_remove_takes_inner_groups_and_waits_in_vain(tmp_path: Path) -> None:
    layout = CgroupLayout("v2", {"": str(tmp_path)}, frozenset())
    (tmp_path / "one/inner/most").mkdir(parents=True)
    assert remove(layout, "/one") is True
    assert not (tmp_path / "one").exists()
    assert remove(layout, "/one") is True
    (tmp_path / "two").mkdir()
    (tmp_path / "two/busy").touch()
    assert remove(layout, "/two", timeout=0.02) is False


@pytest.mark.parametrize("last", ["FROZEN", "THAWED"])
def test_a_pause_is_over_when_nothing_runs_any_more(tmp_path: Path, last: str) -> None:
    """crun's pause ends while processes still run; seen to fail without the wait."""
    layout = CgroupLayout("v1", {"freezer": str(tmp_path)}, frozenset())
    state = tmp_path / "box/freezer.state"
    state.parent.mkdir()
    state.write_text("FREEZING\n")
    after = tmp_path / "after"
    after.write_text(f"{last}\n")
    ending = threading.Timer(0.1, lambda: after.rename(state))
    ending.start()
    await_frozen(layout, "box", timeout=5)
    assert state.read_text() == f"{last}\n"
    ending.join()
    await_frozen(CgroupLayout("v1", {}, frozenset()), "box", timeout=5)
