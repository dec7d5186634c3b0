"""Mounts in the places that hide the machine, and images in which those places lead elsewhere.

``/dev``, ``/proc`` and ``/sys`` of a container are the runtime's: it puts devices there and hides
files of the kernel behind ``/dev/null``.  Whoever had a say in them could take that away.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import ContainersError, InvalidArgumentError
from tests.integration.engine_fixtures import busybox_program

NONE = {"network": "none"}
HIDDEN = "cat /proc/keys | wc -c"


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder of the host that must stay empty, at a place with a short name."""
    folder = Path(f"/tmp/jc-places-{os.getpid()}")
    folder.mkdir()
    yield folder
    left = sorted(os.listdir(folder))
    for name in left:
        (folder / name).unlink()
    folder.rmdir()
    assert left == [], f"made on the host: {left}"


def hostile(
    engine: Engine, name: str, links: dict[str, str], *, files: tuple[str, ...] = (), **more: Any
) -> str:
    """Return the name of an image of busybox with the links ``links``."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        program = tarfile.TarInfo("bin/busybox")
        data = busybox_program(engine)
        program.size, program.mode = len(data), 0o755
        tar.addfile(program, io.BytesIO(data))
        for applet in ("sh", "cat", "ls", "head", "wc", "true", "echo", "touch", "mkdir", "pwd"):
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
        for path in files:
            tar.addfile(tarfile.TarInfo(path))
        for path, target in links.items():
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    engine.images.import_archive(buffer.getvalue(), name, **more)
    return name


def sh(engine: Engine, image: str, script: str, **flags: Any) -> str:
    result = engine.run(image, ["sh", "-c", script], rm=True, check=False, **{**NONE, **flags})
    return (result.stdout + result.stderr).decode().strip()


# -- mounts on the places ------------------------------------------------------------------


@pytest.mark.parametrize("spot", ["/dev", "/dev/", "//dev", "/./dev", "dev", "/proc", "/sys"])
def test_an_images_volume_on_a_place_of_the_runtime(
    engine: Engine, busybox: str, spot: str
) -> None:
    """Seen to fail at 39323e0: with runc 1.1.5, /proc/keys was hidden by itself, and read."""
    image = hostile(engine, "volumes:1", {"dev/null": "/proc/keys"}, changes=[f'VOLUME ["{spot}"]'])
    with pytest.raises(ContainersError, match="cannot mount") as caught:
        assert sh(engine, image, HIDDEN) == "0"
    assert isinstance(caught.value, InvalidArgumentError), caught.value


TARGETS = [
    "/dev", "/dev/null", "/dev/pts", "/dev/pts/0", "/dev/console", "/dev/ptmx", "/dev/fd",
    "/proc", "/proc/self", "/proc/keys", "/proc/sys", "/proc/1/attr", "/proc/fs/x",
    "/sys", "/sys/firmware", "/sys/fs/cgroup", "/sys/devices/virtual",
    "/sys/../dev", "/tmp/../proc/x",
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_a_volume_on_or_below_a_place(engine: Engine, busybox: str, target: str) -> None:
    for flags in ({"volume": f"placed:{target}"}, {"mount": f"type=volume,target={target}"}):
        with pytest.raises(InvalidArgumentError, match="cannot mount"):
            engine.containers.create(busybox, ["true"], **NONE, **flags)


LINKS = {
    "/dev": "to-dev", "/proc/self": "to-proc", "/proc/self/root/dev": "magic",
    "/dev/a/..": "dots", "..": "root", "/sys/fs": "to-sys", "to-dev": "twice",
}  # fmt: skip


@pytest.mark.parametrize("name", LINKS.values())
def test_a_target_that_the_images_links_lead_to_a_place(
    engine: Engine, busybox: str, name: str
) -> None:
    """Seen to fail at 39323e0: `to-dev` and others gave /dev to the volume."""
    links = {name: target for target, name in LINKS.items()} | {"dev/a": "/p/q"}
    image = hostile(engine, "links:1", links)
    with pytest.raises(InvalidArgumentError, match="cannot mount"):
        sh(engine, image, "true", volume=f"linked:/{name}")
    engine.volumes.remove("linked")
    for kind in ("cache", "bind,source=bin,from=links:1", "tmpfs"):
        if kind == "tmpfs" and name == "to-sys":
            continue
        dockerfile = f"FROM links:1\nRUN --mount=type={kind},target=/{name} true\n"
        with pytest.raises(ContainersError, match="cannot mount"):
            engine.build(dockerfile=dockerfile, no_cache=True)


def test_what_docker_users_mount_there_goes_on_working(
    engine: Engine, busybox: str, tmp_path: Path
) -> None:
    uptime = tmp_path / "uptime"
    uptime.write_text("1.00 2.00\n")
    for flags, script, said in (
        ({"volume": "/dev/shm:/dev/shm"}, "stat -f -c %T /dev/shm", "tmpfs"),
        ({"volume": "shared:/dev/shm"}, "touch /dev/shm/x && echo made", "made"),
        ({"volume": f"{tmp_path}:/dev/snd:ro"}, "cat /dev/snd/uptime", "1.00 2.00"),
        ({"volume": "/dev/urandom:/dev/random"}, "head -c 4 /dev/random | wc -c", "4"),
        ({"volume": f"{uptime}:/proc/uptime:ro"}, "cat /proc/uptime", "1.00 2.00"),
        ({"volume": "/sys/fs/cgroup:/sys/fs/cgroup:ro"}, "echo fine", "fine"),
        ({"tmpfs": "/sys/fs/cgroup"}, "echo fine", "fine"),
        ({"tmpfs": "/dev/shm:size=1m"}, "echo fine", "fine"),
        ({"volume": "/dev:/dev", "privileged": True}, "ls -d /dev/null", "/dev/null"),
        ({"volume": f"{tmp_path}:/device"}, "cat /device/uptime", "1.00 2.00"),
    ):
        assert sh(engine, busybox, script, **flags) == said, flags
    engine.volumes.remove("shared")


# -- images in which a place is a link ---------------------------------------------------------


@pytest.mark.parametrize("spot", ["dev", "proc", "sys"])
@pytest.mark.parametrize("build", [False, True])
def test_a_place_of_the_runtime_that_is_a_link(
    engine: Engine, busybox: str, outside: Path, spot: str, build: bool
) -> None:
    """Seen to fail at 39323e0 for /dev: fd, stdin, stdout, stderr and ptmx were on the host."""
    image = hostile(engine, "bent:1", {spot: str(outside)})
    dockerfile = f"FROM {image}\nRUN true\n"
    attempts = {
        False: lambda: sh(engine, image, "true", tty=True),
        True: lambda: engine.build(dockerfile=dockerfile, no_cache=True),
    }
    with pytest.raises(ContainersError, match=f"/{spot} of the image is a link"):
        attempts[build]()


@pytest.mark.parametrize("spot", ["dev", "proc", "sys"])
def test_a_place_of_the_runtime_that_is_a_file(engine: Engine, busybox: str, spot: str) -> None:
    image = hostile(engine, "flat:1", {}, files=(spot,))
    with pytest.raises(ContainersError, match=f"/{spot} of the image is no folder"):
        sh(engine, image, "true")


@pytest.mark.parametrize("path", ["etc", "etc/hosts", "etc/resolv.conf", "etc/hostname", "sbin"])
@pytest.mark.parametrize("up", ["", "../../../../../../../.."])
def test_a_link_in_the_place_of_a_file_makes_nothing_on_the_host(
    engine: Engine, busybox: str, outside: Path, path: str, up: str
) -> None:
    target = f"{up}{outside}" + ("/made" if "/" in path else "")
    image = hostile(engine, "etc:1", {path: target})
    said = sh(engine, image, "head -n 1 /etc/hosts")
    assert said.startswith("127.0.0.1"), said
    engine.build(dockerfile=f"FROM {image}\nRUN true\n", no_cache=True)


# -- working directories ------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["/proc/self/fd/8", "/proc/1/cwd", "/dev/fd/3", "/to-fd"])
def test_a_working_directory_that_is_a_descriptor(
    engine: Engine, busybox: str, folder: str
) -> None:
    """The leak of CVE-2024-21626, whatever the runtime's version."""
    image = hostile(engine, "leaky:1", {"to-fd": "/proc/self/fd/7", "proc2": "proc"})
    with pytest.raises(ContainersError, match="working directory"):
        sh(engine, image, "pwd", workdir=folder)
    with pytest.raises(ContainersError, match="working directory"):
        engine.build(dockerfile=f"FROM {image}\nWORKDIR {folder}\nRUN pwd\n", no_cache=True)
    engine.run(busybox, ["sleep", "100"], detach=True, name="inside", **NONE)
    if folder != "/to-fd":
        with pytest.raises(ContainersError, match="working directory"):
            engine.containers.exec("inside", ["pwd"], workdir=folder)
