"""Volumes with options of their driver, and how volumes are listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import (
    AlreadyExistsError,
    InvalidArgumentError,
    UnsupportedError,
)

NONE = {"network": "none"}


def test_a_volume_in_memory_is_shared_while_it_is_used(engine: Engine, busybox: str) -> None:
    engine.volumes.create("fast", opt=["type=tmpfs", "device=tmpfs", "o=size=2m,mode=0700"])
    first = engine.run(busybox, ["sleep", "60"], detach=True, volume="fast:/a", **NONE)
    assert first.exec(["stat", "-f", "-c", "%T", "/a"]).output == "tmpfs\n"
    first.exec(["sh", "-c", "echo shared >/a/f"])
    seen = engine.run(busybox, ["cat", "/b/f"], rm=True, volume="fast:/b", **NONE)
    assert seen.output == "shared\n"
    full = engine.run(
        busybox, ["dd", "if=/dev/zero", "of=/b/x", "bs=1M", "count=4"],
        rm=True, volume="fast:/b", check=False, **NONE,
    )  # fmt: skip
    assert full.exit_code != 0
    assert b"No space" in full.stderr
    first.remove(force=True)
    empty = engine.run(busybox, ["ls", "/b"], rm=True, volume="fast:/b", **NONE)
    assert empty.output == ""
    assert "fast/_data" not in Path("/proc/mounts").read_text()
    assert engine.system.inspect("fast", kind="volume")["Options"] == {
        "type": "tmpfs",
        "device": "tmpfs",
        "o": "size=2m,mode=0700",
    }
    engine.volumes.remove("fast")


def test_a_volume_that_is_a_folder_of_the_host(
    engine: Engine, busybox: str, tmp_path: Path
) -> None:
    (tmp_path / "f").write_text("the host's\n")
    engine.volumes.create("bound", opt=["type=none", "o=bind,ro", f"device={tmp_path}"])
    assert engine.run(busybox, ["cat", "/v/f"], rm=True, volume="bound:/v", **NONE).output == (
        "the host's\n"
    )
    write = engine.run(busybox, ["touch", "/v/x"], rm=True, volume="bound:/v", check=False, **NONE)
    assert write.exit_code == 1
    assert b"Read-only" in write.stderr
    engine.volumes.remove("bound")
    assert (tmp_path / "f").exists()


def test_a_mount_makes_its_volume_with_options(engine: Engine, busybox: str) -> None:
    mount = (
        "type=volume,source=made,target=/m,volume-opt=type=tmpfs,"
        'volume-opt=device=tmpfs,"volume-opt=o=size=1m"'
    )
    seen = engine.run(busybox, ["stat", "-f", "-c", "%T", "/m"], rm=True, mount=mount, **NONE)
    assert seen.output == "tmpfs\n"
    engine.volumes.remove("made")


def test_what_the_driver_does_not_know_is_refused(engine: Engine) -> None:
    with pytest.raises(UnsupportedError, match="driver 'nfs'"):
        engine.volumes.create("plain", driver="nfs")
    with pytest.raises(InvalidArgumentError, match="invalid volume option: 'speed'"):
        engine.volumes.create("plain", opt="speed=1")
    with pytest.raises(InvalidArgumentError, match="device"):
        engine.volumes.create("plain", opt="type=tmpfs")
    with pytest.raises(UnsupportedError, match="size"):
        engine.volumes.create("plain", opt="size=1m")
    engine.volumes.create("plain", driver="local")
    with pytest.raises(AlreadyExistsError):
        engine.volumes.create("plain", opt=["type=tmpfs", "device=tmpfs"])
    engine.volumes.remove("plain")


def test_ls_filters(engine: Engine, busybox: str) -> None:
    earlier = {item.name for item in engine.volumes()}
    engine.volumes.create("used", label="a=b")
    engine.volumes.create("unused")
    engine.containers.create(busybox, ["true"], volume="used:/v", **NONE)

    def names(**filters: str) -> list[str]:
        found = engine.volumes(filters={key: [value] for key, value in filters.items()})
        return sorted({item.name for item in found} - earlier)

    assert names(dangling="true") == ["unused"]
    assert names(dangling="false") == ["used"]
    assert names(label="a") == ["used"]
    assert names(label="a=c") == []
    assert names(name="use") == ["unused", "used"]
    assert names(name="^use") == ["used"]
    assert names(driver="local") == ["unused", "used"]
    assert names(driver="nfs") == []
    with pytest.raises(InvalidArgumentError, match="colour"):
        names(colour="red")
    for container in engine.containers(all=True):
        container.remove()
    engine.volumes.remove("used")
    engine.volumes.remove("unused")
