"""Mounts inside mounts in a real mount namespace, beside a process that exchanges their folders."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.runtime.mounts import PrivateMounts, detach_inside
from jupyter_containers.runtime.nesting import _mount_point, compose, nested
from jupyter_containers.trees.rooted import Root
from tests.racing import swapping

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mount namespaces")
SECONDS = 3.0


def mount(target: str, source: str = "", kind: str = "bind", *options: str) -> dict[str, Any]:
    words = ["rbind", "rprivate", "rw"] if kind == "bind" else ["mode=755"]
    return {
        "destination": target, "type": kind, "source": source or kind,
        "options": [*words, *options],
    }  # fmt: skip


@pytest.fixture
def mounts() -> Iterator[PrivateMounts]:
    with PrivateMounts() as private:
        yield private


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    (tmp_path / "rootfs/var").mkdir(parents=True)
    (tmp_path / "rootfs/run").mkdir()
    (tmp_path / "rootfs/var/run").symlink_to("/run")
    return tmp_path / "rootfs"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    (tmp_path / "shared").mkdir()
    return tmp_path / "shared"


def test_what_is_nested_is_found_through_the_images_links(rootfs: Path, shared: Path) -> None:
    host = str(shared)
    wanted = [
        mount("/proc", kind="proc"), mount("/dev", kind="tmpfs"), mount("/dev/pts", kind="devpts"),
        mount("/run", host), mount("/alone", host), mount("/var/run/inner", host),
        mount("/tmp", kind="tmpfs"), mount("/tmp/a", host), mount("/run/inner/t", kind="tmpfs"),
        mount("/running", host), mount("/dev/x", host), mount("/var/run/inner/t/deep", host),
    ]  # fmt: skip
    with Root(rootfs) as root:
        found = nested(wanted, root)
    assert [wanted[number]["destination"] for number in sorted(found)] == [
        "/run", "/var/run/inner", "/run/inner/t", "/var/run/inner/t/deep",
    ]  # fmt: skip


def test_what_only_the_runtime_mounts_is_left_to_it(rootfs: Path, shared: Path) -> None:
    wanted = [mount("/dev", str(shared)), mount("/dev/pts", kind="devpts")]
    wanted += [mount("/dev/pts/x", str(shared))]
    with Root(rootfs) as root:
        assert nested(wanted, root) == frozenset()


def test_nested_mounts_have_their_options(
    rootfs: Path, shared: Path, tmp_path: Path, mounts: PrivateMounts
) -> None:
    (shared / "sub").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "file").write_text("text")
    wanted = [
        mount("/s", str(shared)), mount("/s/sub", str(tmp_path / "other"), "bind", "ro"),
        mount("/s/file", str(tmp_path / "file")), mount("/s/t", "", "tmpfs", "noexec", "size=1m"),
        mount("/other", str(shared)),
    ]  # fmt: skip
    left = mounts.call(compose, wanted, rootfs, tmp_path / "places", mounts)
    assert left == wanted[4:]

    def look() -> dict[str, str]:
        lines = Path("/proc/thread-self/mountinfo").read_text().splitlines()
        points = {line.split()[4]: line.split()[5] for line in lines}
        assert (rootfs / "s/file").read_text() == "text"
        mine = f"{rootfs}/"
        return {point[len(mine) :]: words for point, words in points.items() if mine in point}

    found = mounts.call(look)
    assert set(found) == {"s", "s/sub", "s/file", "s/t"}
    assert [found[name].split(",")[0] for name in ("s", "s/sub")] == ["rw", "ro"]
    assert "noexec" in found["s/t"]
    assert sorted(os.listdir(shared)) == ["file", "sub", "t"]
    mounts.call(detach_inside, rootfs)
    assert mounts.call(look_at, rootfs / "s") == []


def look_at(folder: Path) -> list[str]:
    return os.listdir(folder)


def test_a_link_in_the_outer_mount_leads_no_further_than_the_root(
    rootfs: Path, shared: Path, tmp_path: Path, mounts: PrivateMounts
) -> None:
    (tmp_path / "outside").mkdir()
    (shared / "absolute").symlink_to(tmp_path / "outside")
    (shared / "climbing").symlink_to("../" * 20 + str(tmp_path / "outside"))
    (shared / "real").mkdir()
    (shared / "relative").symlink_to("real")
    wanted = [mount("/s", str(shared))]
    wanted += [
        mount(f"/s/{name}/x", str(tmp_path)) for name in ("absolute", "climbing", "relative")
    ]
    mounts.call(compose, wanted, rootfs, tmp_path / "places", mounts)
    assert os.listdir(tmp_path / "outside") == []
    assert os.listdir(shared / "real") == ["x"]


@pytest.mark.parametrize("folder", [True, False])
def test_a_mount_point_is_made_where_it_was_found_or_not_at_all(
    rootfs: Path, shared: Path, tmp_path: Path, mounts: PrivateMounts, folder: bool
) -> None:
    """CVE-2024-45310.

    Seen to fail with ``os.makedirs`` and ``Path.touch`` of the target's path in ``_mount_point``.
    """
    outside = tmp_path / "outside"
    outside.mkdir()
    (shared / "sub").mkdir()
    (shared / "link").symlink_to(outside)
    mounts.bind(shared, rootfs / "run")
    made, rounds, deadline = 0, 0, time.monotonic() + SECONDS
    with swapping(shared / "sub", shared / "link"):
        while time.monotonic() < deadline:
            rounds += 1

            def one(number: int = rounds) -> None:
                with Root(rootfs) as root:
                    os.close(_mount_point(root, f"/run/sub/n{number}", folder=folder))

            with suppress(OSError):
                mounts.call(one)
                made += 1
    assert os.listdir(outside) == []
    assert rounds > 300
    assert made > rounds // 20
