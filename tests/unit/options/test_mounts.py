from __future__ import annotations

from collections.abc import Callable

import pytest

from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.options import MountRequest, mounts


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (mounts.parse_volume, "a:b:c:d"),
        (mounts.parse_volume, "name:relative"),
        (mounts.parse_volume, "name:/x:wild"),
        (mounts.parse_volume, "!:/x"),
        (mounts.parse_volume, "name:/"),
        (mounts.parse_mount, "type=bind,target=/x"),
        (mounts.parse_mount, "type=odd,target=/x"),
        (mounts.parse_mount, "target=/x,colour=red"),
        (mounts.parse_volume, "name:/x:rshared"),
        (mounts.parse_mount, "type=bind,source=/a,target=/x,tmpfs-size=1m"),
        (mounts.parse_mount, "type=tmpfs,target=/x,source=/a"),
        (mounts.parse_mount, "type=bind,source=/a,target=/x,bind-propagation=odd"),
        (mounts.parse_mount, "type=bind,source=/a,target=/x,bind-recursive=readonly"),
        (mounts.parse_mount, "type=bind,source=/a,target=/x,ro,bind-recursive=readonly"),
        (mounts.parse_mount, "type=bind,source=/a,target=/x,readonly=maybe"),
        (mounts.parse_mount, 'type=bind,"source=/a,target=/x'),
        (mounts.VolumesFrom, ":ro"),
        (mounts.VolumesFrom, "name:rw,ro"),
    ],
)
def test_bad_values_are_quoted(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        parse(text)


@pytest.mark.parametrize(
    ("parse", "text", "mount"),
    [
        (mounts.parse_volume, "/cache", MountRequest("volume", "/cache", flag="volume")),
        (
            mounts.parse_volume,
            "data:/var/lib",
            MountRequest("volume", "/var/lib", "data", flag="volume"),
        ),
        (
            mounts.parse_volume,
            "./src:/app:ro",
            MountRequest(
                "bind",
                "/app",
                "./src",
                read_only=True,
                create_source=True,
                flag="volume",
                written="ro",
            ),
        ),
        (
            mounts.parse_mount,
            "type=bind,src=/a,dst=/b,readonly",
            MountRequest("bind", "/b", "/a", read_only=True),
        ),
        (
            mounts.parse_mount,
            "type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=700",
            MountRequest("tmpfs", "/t", size=2**20, mode=0o700),
        ),
        (
            mounts.parse_tmpfs,
            "/run:size=64m,noexec",
            MountRequest(
                "tmpfs",
                "/run",
                size=2**26,
                options=("noexec",),
                flag="tmpfs",
                written="size=64m,noexec",
            ),
        ),
    ],
)
def test_mounts(parse: Callable[[str], MountRequest], text: str, mount: MountRequest) -> None:
    assert parse(text) == mount


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        (
            "type=bind,src=/a,dst=/b,ro,bind-propagation=rprivate,bind-recursive=readonly",
            MountRequest(
                "bind", "/b", "/a", read_only=True, options=("rprivate",), recursion="readonly"
            ),
        ),
        (
            "type=bind,src=/a,dst=/b,bind-nonrecursive=true,bind-create-src,consistency=cached",
            MountRequest("bind", "/b", "/a", create_source=True, recursion="disabled"),
        ),
        (
            "src=v,dst=/b,volume-nocopy,volume-subpath=in/side,volume-label=a=b,volume-label=c",
            MountRequest("volume", "/b", "v", copy=False, subpath="in/side", labels=("a=b", "c")),
        ),
        (
            'type=volume,target=/b,"volume-opt=o=addr=1.2.3.4,rw"',
            MountRequest("volume", "/b", driver_options=("o=addr=1.2.3.4,rw",)),
        ),
    ],
)
def test_keys_of_mount(text: str, mount: MountRequest) -> None:
    assert mounts.parse_mount(text) == mount


def test_a_folder_without_its_dot_is_told_from_a_volume() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        mounts.parse_volume("app/src:/app")
    assert "./app/src:/app" in caught.value.hint
    with pytest.raises(InvalidArgumentError, match="no shell expands") as caught:
        mounts.parse_volume("$DATA/src:/app")
    assert "{{name}}" in caught.value.hint


def test_another_driver_is_named() -> None:
    with pytest.raises(UnsupportedError) as caught:
        mounts.parse_mount("type=volume,target=/x,volume-driver=nfs")
    assert caught.value.capability == "volume driver nfs"


def test_volumes_from() -> None:
    found = [mounts.VolumesFrom(text) for text in ("web", "web:ro", "web:rw,z")]
    assert [(one.name, one.mode) for one in found] == [("web", ""), ("web", "ro"), ("web", "rw")]
