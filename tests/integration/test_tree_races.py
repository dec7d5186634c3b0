"""Containers and builds that change a tree while the engine, as root, works in it."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import ContainersError
from tests.racing import swapping

ROUNDS = 10
NAMES = 400


def _fifos(count: int) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for _ in range(count):
            info = tarfile.TarInfo("f")
            info.type, info.mode = tarfile.FIFOTYPE, 0o4777
            archive.addfile(info)
    return data.getvalue()


def test_cp_into_a_container_changes_no_mode_on_the_host(
    engine: Engine, busybox: str, tmp_path: Path
) -> None:
    """Seen to fail with chmod by name: the secret of the host had 4777."""
    secret = tmp_path / "secret"
    secret.write_text("")
    secret.chmod(0o600)
    box = engine.run(busybox, ["sleep", "600"], detach=True, network="none")
    box.exec(["sh", "-c", f"mkdir /d; ln -s {secret} /d/mine"])
    # The container's own folder, as its processes see it; busybox has no program that swaps.
    folder = Path(f"/proc/{box.inspect()['State']['Pid']}/root/d")
    packed = _fifos(NAMES)
    with swapping(folder / "f", folder / "mine", str(secret)):
        for _ in range(ROUNDS):
            with suppress(ContainersError):
                engine.containers.copy("-", f"{box.id}:/d", stdin=packed)
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_files_of_a_build_go_only_into_their_folder(engine: Engine, tmp_path: Path) -> None:
    """Seen to fail with files made by paths: some of the 400 links were in the victim's folder.

    The other process is one that has the folder too, as a container with ``-v`` does.
    """
    victim, out = tmp_path / "victim", tmp_path / "out"
    for folder in (victim, out / "d", tmp_path / "context/d"):
        folder.mkdir(parents=True)
    for number in range(NAMES):
        (tmp_path / f"context/d/{number}").symlink_to("x")
    (out / "mine").symlink_to(victim)
    with swapping(out / "d", out / "mine"):
        for _ in range(ROUNDS):
            with suppress(ContainersError):
                engine.build(
                    str(tmp_path / "context"),
                    dockerfile="FROM scratch\nCOPY . /\n",
                    output=str(out),
                )
    assert os.listdir(victim) == []


@pytest.mark.parametrize("name", ["cache", "tmpfs"])
def test_a_step_that_moves_its_mounts_away_removes_nothing_of_the_host(
    engine: Engine, busybox: str, tmp_path: Path, name: str
) -> None:
    """Seen to fail with removal by path: the host's empty folders were gone."""
    for folder in ("one", "two"):
        (tmp_path / "host" / folder).mkdir(parents=True)
    mounts = " ".join(f"--mount=type={name},target=/p/{each}" for each in ("one", "two"))
    engine.build(
        dockerfile=f"FROM {busybox}\nRUN {mounts} mv /p /q && ln -s {tmp_path}/host /p\n",
        tag="moved",
    )
    assert sorted(os.listdir(tmp_path / "host")) == ["one", "two"]
