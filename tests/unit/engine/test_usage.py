"""The stores of one user, wherever variables put them."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from jupyter_containers.engine.usage import KnownRoots, store_size
from jupyter_containers.errors import StorageError
from jupyter_containers.store import Store


def test_roots_are_noted_once_and_gone_ones_left_out(tmp_path: Path) -> None:
    known = KnownRoots(tmp_path / "known")
    first, second = tmp_path / "first", tmp_path / "second"
    for root in (first, second):
        Store.open(root).close()
        known.note(root)
        known.note(root)
    (tmp_path / "link").symlink_to(second)
    known.note(tmp_path / "link")
    assert known.others(first) == [second], "a link is no other store"
    assert known.folder.stat().st_mode & 0o777 == 0o700
    (second / "records.db").rename(tmp_path / "moved")
    assert known.others(first) == []


def test_what_others_hold_is_added_up(tmp_path: Path) -> None:
    known = KnownRoots(tmp_path / "known")
    first, second = tmp_path / "first", tmp_path / "second"
    for root in (first, second):
        with Store.open(root) as store:
            (root / "volumes").mkdir()
            (root / "volumes/data").write_bytes(bytes(1 << 20))
            size = store_size(store)
        known.note(root)
    assert size >= 1 << 20
    assert known.elsewhere(first).disk == size
    assert known.elsewhere(first).running == ()
    (second / "records.db").write_bytes(b"no database")
    assert known.elsewhere(first).disk > 1 << 20, "a damaged store takes room too"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a folder away")
def test_a_folder_of_somebody_else_is_not_believed(tmp_path: Path) -> None:
    known = KnownRoots(tmp_path / "known")
    known.folder.mkdir()
    os.chown(known.folder, 1, 1)
    with pytest.raises(StorageError, match="does not belong to you"):
        known.note(tmp_path)


def test_the_place_comes_from_the_list_of_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/elsewhere")
    monkeypatch.setenv("XDG_DATA_HOME", "/elsewhere")
    home = Path(pwd.getpwuid(os.geteuid()).pw_dir)
    assert KnownRoots.of(os.geteuid()).folder == home / ".jupyter-containers-roots"
    nobody = KnownRoots.of(4_000_000_000).folder
    assert nobody == Path("/var/tmp/jupyter-containers-roots-4000000000")
