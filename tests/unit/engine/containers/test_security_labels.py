from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_containers.engine.containers import security_labels as confining
from jupyter_containers.engine.containers.security_labels import label_tree, labels_for, relabel
from jupyter_containers.engine.records import MountRecord
from jupyter_containers.engine.system.programs import confinement
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.options import RunOptions
from jupyter_containers.runtime.confinement import NO_LABELS, PROFILE_NAME, Labels, SecurityModules
from tests.unit.runtime.test_confinement import APPARMOR, SELINUX
from tests.unit.runtime.test_spec import HOST


def context(modules: SecurityModules, **containers: str) -> Any:
    find = {name: SimpleNamespace(id=number) for name, number in containers.items()}.get
    return SimpleNamespace(
        host=replace(HOST, modules=modules), containers=SimpleNamespace(find=find)
    )


def options(**flags: Any) -> RunOptions:
    return RunOptions.of("image", ["run"], **flags)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the kernel and the parser; return the loaded profiles."""
    loaded: list[str] = []
    monkeypatch.setattr(confining, "profile_is_loaded", lambda: bool(loaded))
    monkeypatch.setattr(confining, "load_profile", lambda host: not loaded.append(PROFILE_NAME))
    return loaded


def test_the_profile_is_loaded_once_where_it_is_used(loads: list[str]) -> None:
    assert labels_for(context(SecurityModules()), options(), "id") == NO_LABELS
    unconfined = options(security_opt=["apparmor=unconfined"])
    assert labels_for(context(APPARMOR), unconfined, "id") == Labels("unconfined")
    assert labels_for(context(APPARMOR), options(privileged=True), "id") == Labels("unconfined")
    assert loads == []
    assert labels_for(context(APPARMOR), options(), "id") == Labels(PROFILE_NAME)
    assert labels_for(context(APPARMOR), options(), "id") == Labels(PROFILE_NAME)
    assert loads == [PROFILE_NAME]


def test_who_shares_memory_shares_the_label() -> None:
    own = labels_for(context(SELINUX), options(), "one")
    assert own.process.startswith("system_u:system_r:container_t:s0:c")
    joined = options(ipc="container:first")
    assert labels_for(context(SELINUX, first="one"), joined, "two") == own
    assert labels_for(context(SELINUX), options(pid="host"), "one") == NO_LABELS
    disabled = options(security_opt=["label=disable"])
    assert labels_for(context(SELINUX), disabled, "one") == NO_LABELS


def test_what_is_given_another_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[str, str]] = []
    monkeypatch.setattr(
        confining, "label_tree", lambda path, label: given.append((str(path), label))
    )
    mounts = (
        MountRecord("bind", "/plain", "/srv/plain"),
        MountRecord("bind", "/all", "/srv/all", relabel="z"),
        MountRecord("bind", "/own", "/srv/own", relabel="Z"),
        MountRecord("volume", "/v", "/store/v", "v"),
        MountRecord("tmpfs", "/t"),
    )
    labels = Labels(process="u:r:t:s0:c1,c2", mount="u:r:f:s0:c1,c2")
    relabel(context(SELINUX), mounts, labels)
    everybody = "system_u:object_r:container_file_t:s0"
    assert given == [
        ("/srv/all", everybody),
        ("/srv/own", "u:r:f:s0:c1,c2"),
        ("/store/v", everybody),
    ]
    relabel(context(SELINUX), mounts, NO_LABELS)
    assert len(given) == 3
    for place in ("/", "/etc", "/usr", "/home"):
        with pytest.raises(InvalidArgumentError, match="SELinux relabeling of"):
            relabel(context(SELINUX), (MountRecord("bind", "/x", place, relabel="Z"),), labels)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: attributes of the kernel's modules")
def test_a_tree_is_labelled_and_no_link_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("")
    tree = tmp_path / "tree"
    (tree / "inner").mkdir(parents=True)
    (tree / "inner/file").write_text("")
    (tree / "link").symlink_to(outside)
    try:
        label_tree(tree, "u:r:t:s0")
        found = os.getxattr(tree / "inner/file", "security.selinux")
    except OSError:
        pytest.skip("this file system has no labels")
    assert found == b"u:r:t:s0\0"
    assert os.getxattr(tree / "link", "security.selinux", follow_symlinks=False)
    assert "security.selinux" not in os.listxattr(outside)


def test_doctor_says_what_is_missing() -> None:
    assert confinement(HOST, loaded=False) == ()
    assert confinement(replace(HOST, modules=APPARMOR), loaded=True) == ()
    assert confinement(replace(HOST, modules=SELINUX), loaded=False) == ()
    [line] = confinement(replace(HOST, modules=SecurityModules(selinux=True)), loaded=False)
    assert "container-selinux" in line.provided_by
