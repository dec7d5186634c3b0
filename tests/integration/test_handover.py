"""The properties that files of a container lose when they are copied to the host."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from jupyter_containers.engine import Container, Engine
from jupyter_containers.events import Event, TaskStarted

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")  # cap_net_bind_service=ep
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="device nodes need root")


def _hostile() -> bytes:
    """Return a tar: a set-user-ID program of another user, a capability, devices, an ACL mark."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, mode, kind in (
            ("data", 0o2755, tarfile.DIRTYPE),
            ("data/suid", 0o4755, tarfile.REGTYPE),
            ("data/sgid", 0o2755, tarfile.REGTYPE),
            ("data/able", 0o755, tarfile.REGTYPE),
            ("data/plain", 0o640, tarfile.REGTYPE),
            ("data/disk", 0o666, tarfile.BLKTYPE),
            ("data/memory", 0o666, tarfile.CHRTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.mode, info.type, info.uid, info.gid = mode, kind, 1234, 1234
            info.devmajor, info.devminor = (7, 0) if kind == tarfile.BLKTYPE else (1, 1)
            value = CAPABILITY.decode("latin-1")
            if name == "data/able":
                info.pax_headers = {"SCHILY.xattr.security.capability": value}
            if name == "data/plain":
                info.pax_headers = {"SCHILY.xattr.user.note": "kept"}
            archive.addfile(info)
    return data.getvalue()


@pytest.fixture
def box(engine: Engine, busybox: str) -> Container:
    container = engine.containers.create(busybox, ["true"], network="none")
    engine.containers.copy("-", f"{container.id}:/", stdin=_hostile())
    return container


def _warnings(events: list[Event]) -> list[str]:
    titles = [event.title for event in events if isinstance(event, TaskStarted)]
    return [title for title in titles if title.startswith("WARNING")]


def _assert_harmless(folder: Path) -> None:
    for name in (".", "suid", "sgid", "able", "plain"):
        assert not stat.S_IMODE((folder / name).stat().st_mode) & 0o6000, name
    assert os.listxattr(folder / "able") == []
    assert os.getxattr(folder / "plain", "user.note") == b"kept"
    assert stat.S_IMODE((folder / "plain").stat().st_mode) == 0o640
    assert not (folder / "disk").exists()
    assert not (folder / "memory").exists()


SAID = (
    "WARNING: left out: the set-user-ID or set-group-ID bits of 3 files, the security attributes "
    "of 1 file, 2 device nodes; a tar archive keeps them"
)


@pytest.mark.parametrize("archive", [False, True])
def test_cp_leaves_out_what_gives_rights_on_the_host(
    engine: Engine, box: Container, tmp_path: Path, archive: bool
) -> None:
    """Seen to fail before: 4755, the capability and both devices were on the host."""
    events: list[Event] = []
    engine.containers.copy(f"{box.id}:/data", str(tmp_path), archive=archive, emit=events.append)
    _assert_harmless(tmp_path / "data")
    assert (tmp_path / "data/suid").stat().st_uid == (1234 if archive else 0)
    assert _warnings(events) == [SAID]


def test_cp_of_harmless_files_warns_of_nothing(
    engine: Engine, box: Container, tmp_path: Path
) -> None:
    events: list[Event] = []
    engine.containers.copy(f"{box.id}:/data/plain", str(tmp_path), emit=events.append)
    assert events == []


def test_a_tar_keeps_everything(engine: Engine, box: Container) -> None:
    packed = io.BytesIO()
    engine.containers.copy(f"{box.id}:/data", "-", stdout=packed)
    packed.seek(0)
    with tarfile.open(fileobj=packed) as archive:
        found = {info.name: info for info in archive}
    assert found["data/suid"].mode == 0o4755
    assert found["data/disk"].isblk()
    assert "SCHILY.xattr.security.capability" in found["data/able"].pax_headers


def test_files_of_a_build_leave_it_out_too(engine: Engine, tmp_path: Path) -> None:
    """Seen to fail before, as with cp."""
    (tmp_path / "context").mkdir()
    (tmp_path / "context/hostile.tar").write_bytes(_hostile())
    events: list[Event] = []
    engine.build(
        str(tmp_path / "context"),
        dockerfile="FROM scratch\nADD hostile.tar /\n",
        output=f"type=local,dest={tmp_path / 'out'}",
        emit=events.append,
    )
    _assert_harmless(tmp_path / "out/data")
    assert _warnings(events) == [SAID]


def test_files_that_go_in_keep_everything(
    engine: Engine, box: Container, busybox: str, tmp_path: Path
) -> None:
    (tmp_path / "suid").write_text("")
    (tmp_path / "suid").chmod(0o4755)
    engine.containers.copy(str(tmp_path / "suid"), f"{box.id}:/in")
    packed = io.BytesIO()
    engine.containers.copy(f"{box.id}:/in", "-", stdout=packed)
    packed.seek(0)
    with tarfile.open(fileobj=packed) as archive:
        assert archive.getmember("in").mode == 0o4755
