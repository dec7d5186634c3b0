"""The caller's folder as a container's workplace."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.options import RunOptions

SCRIPT = ["sh", "-c", "pwd; cat there; echo made > made; mkdir -p $HOME/.cache"]


@pytest.mark.parametrize("owner", [0, 4321])
def test_what_is_made_there_belongs_to_the_folders_owner(
    engine: Engine, busybox: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: int
) -> None:
    (tmp_path / "there").write_text("there\n")
    os.chown(tmp_path, owner, owner)
    monkeypatch.chdir(tmp_path)
    done = engine.run(busybox, SCRIPT, here=True, rm=True, network="none")
    assert done.output == "/work\nthere\n"
    status = (tmp_path / "made").stat()
    assert (status.st_uid, status.st_gid) == (owner, owner)


def test_a_detached_container_and_another_folder(
    engine: Engine, busybox: str, tmp_path: Path
) -> None:
    os.chown(tmp_path, 4321, 4321)
    with engine.run(
        busybox, ["sleep", "60"], here=tmp_path, detach=True, network="none"
    ) as container:
        container.exec(["touch", "made"])
        assert (tmp_path / "made").stat().st_uid == 4321
        assert container.exec(["sh", "-c", "echo $HOME"]).output == "/tmp\n"


def test_what_is_said_counts(engine: Engine, busybox: str, tmp_path: Path) -> None:
    os.chown(tmp_path, 4321, 4321)
    words = ["sh", "-c", "id -u; pwd; echo $HOME"]
    flags = {"here": tmp_path, "user": "7", "workdir": "/etc", "env": ["HOME=/h"]}
    done = engine.run(busybox, words, rm=True, network="none", **flags)
    assert done.output == "7\n/etc\n/h\n"
    with pytest.raises(InvalidArgumentError, match="no such folder: /nowhere"):
        engine.run(busybox, words, here="/nowhere")
    assert engine.containers(all=True) == []


def test_the_flag_of_the_command_line(engine: Engine, busybox: str, tmp_path: Path) -> None:
    from jupyter_containers.commands.execute import execute
    from jupyter_containers.commands.session import Session

    os.chown(tmp_path, 4321, 4321)
    words = ["run", "--rm", "--here", "--network", "none", busybox, "touch", "flag"]
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        execute(Session(lambda: engine), words)
    finally:
        os.chdir(before)
    assert (tmp_path / "flag").stat().st_uid == 4321
    assert "here" not in RunOptions.__struct_fields__  # mount, user and workdir are recorded
