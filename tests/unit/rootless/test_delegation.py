"""Delegation of cgroup v2 to a user; folders simulate groups (tests/vm has real ones)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_containers.rootless.delegation import settle
from jupyter_containers.runtime.cgroups import ENGINE, CgroupLayout

SERVICE = "/system.slice/server.service"


@pytest.fixture
def layout(tmp_path: Path) -> CgroupLayout:
    top = tmp_path / "groups"
    group = top / SERVICE[1:]
    group.mkdir(parents=True)
    (group / "cgroup.controllers").write_text("cpu memory pids\n")
    (group / "cgroup.procs").write_text("11\n12\n")
    (group / "cgroup.subtree_control").write_text("")
    return CgroupLayout("v2", {"": str(top)}, frozenset({"cpu", "memory", "pids"}))


@pytest.fixture(autouse=True)
def no_systemd_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setattr("shutil.which", lambda name: None)


def test_a_servers_own_group_becomes_the_base(layout: CgroupLayout, tmp_path: Path) -> None:
    group = Path(layout.mounts[""] + SERVICE)
    assert settle(tmp_path / "cgroup", layout, f"0::{SERVICE}\n") is None
    assert (group / ENGINE / "cgroup.procs").read_text() == "12"  # the last one written
    assert (group / "cgroup.subtree_control").read_text() == "+pids"
    # The next process of the user's finds the way from another group.
    assert settle(tmp_path / "cgroup", layout, "0::/system.slice/other.service\n") is None
    assert (group / ENGINE / "cgroup.procs").read_text() == str(os.getpid())


def test_a_group_of_somebody_else_is_left_in_peace(
    layout: CgroupLayout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Path(layout.mounts[""] + SERVICE)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    refusal = settle(tmp_path / "cgroup", layout, f"0::{SERVICE}\n")
    assert refusal is not None
    assert "no systemd of this user answers" in refusal.reason
    assert f"{SERVICE} is not this user's" in refusal.reason
    assert "loginctl enable-linger" in refusal.remedy
    assert not (group / ENGINE).exists()


def test_without_controllers_there_are_no_limits(layout: CgroupLayout, tmp_path: Path) -> None:
    group = Path(layout.mounts[""] + SERVICE)
    (group / "cgroup.controllers").write_text("hugetlb\n")
    refusal = settle(tmp_path / "cgroup", layout, f"0::{SERVICE}\n")
    assert refusal is not None
    assert refusal.reason.startswith(f"{SERVICE} was given no controllers")
    assert "Delegate=cpu cpuset io memory pids" in refusal.remedy


@pytest.mark.parametrize("version", ["v1", "hybrid", "none"])
def test_only_cgroup_v2_is_given_to_users(version: str, tmp_path: Path) -> None:
    refusal = settle(tmp_path / "cgroup", CgroupLayout(version, {}, frozenset()))
    assert refusal is not None
    assert version in refusal.reason
    assert "systemd.unified_cgroup_hierarchy=1" in refusal.remedy


def test_what_a_process_may_use_is_told_by_its_own_group(layout: CgroupLayout) -> None:
    group = Path(layout.mounts[""] + SERVICE)
    (group / "cgroup.subtree_control").write_text("memory pids\n")
    found = layout.of_user(f"0::{SERVICE}/{ENGINE}\n")
    assert (found.version, found.base) == ("v2", SERVICE)
    assert found.controllers == {"memory", "pids", "freezer"}
    assert layout.of_user(f"0::{SERVICE}\n").version == "none"


@pytest.mark.parametrize(
    ("top", "own", "expected"),
    [
        ("/", "0::/a/b\n", "/a/b"),
        ("/docker/1", "0::/docker/1/a\n", "/a"),  # a pod in the host's cgroup namespace
        ("/docker/1", "0::/docker/12\n", ""),
        ("/", "0::/../../a\n", ""),  # above the mounted part
        ("/", "1:cpu:/x\n", ""),
    ],
)
def test_own_group(top: str, own: str, expected: str) -> None:
    assert CgroupLayout("v2", {"": "/c"}, frozenset(), top).own_group(own) == expected
