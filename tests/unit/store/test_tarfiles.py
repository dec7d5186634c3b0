from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_containers.errors import ArchiveError
from jupyter_containers.events import CancelToken
from jupyter_containers.store.tarfiles import Files, open_files

Tar = Callable[..., bytes]
MEMBERS = (
    ("dir", "blobs", ""),
    ("file", "./blobs/a", "one"),
    ("file", "blobs/b", "x" * 3000),
    ("symlink", "old/layer.tar", "../blobs/b"),
    ("link", "again", "blobs/a"),
    ("symlink", "out", "/etc/passwd"),
)


def names(files: Files) -> dict[str, int]:
    wanted = ("blobs/a", "blobs/b", "old/layer.tar", "again", "/blobs/../blobs/a")
    return {name: files.size(name) for name in wanted if files.has(name)}


@pytest.mark.parametrize("form", ["file", "gzip file", "pipe", "gzip pipe"])
def test_an_archive_is_read_by_name(tmp_path: Path, make_tar: Tar, form: str) -> None:
    data = make_tar(*MEMBERS)
    path = tmp_path / "a.tar"
    path.write_bytes(gzip.compress(data) if "gzip" in form else data)
    scratch = tmp_path / "scratch"
    source = path.open("rb") if "file" in form else io.BytesIO(path.read_bytes())
    with source, open_files(source, scratch, cancel=CancelToken()) as files:
        assert names(files) == {
            "blobs/a": 3,
            "blobs/b": 3000,
            "old/layer.tar": 3000,
            "again": 3,
            "/blobs/../blobs/a": 3,
        }
        assert files.read("again") == b"one"
        with files.open("blobs/b") as one, files.open("old/layer.tar") as two:
            assert (one.read(10), two.read(), one.read(-1)) == (b"x" * 10, b"x" * 3000, b"x" * 2990)
        assert not files.has("out")
        assert not files.has("blobs")
        with pytest.raises(ArchiveError, match="has no file 'missing'"):
            files.open("missing")
    assert os.listdir(tmp_path) == ["a.tar"], "the staging file has no name"


def test_a_file_of_an_archive_is_read_at_any_place(tmp_path: Path, make_tar: Tar) -> None:
    """As for an upload that continues in the middle; later parts of the archive are not read."""
    (tmp_path / "a.tar").write_bytes(make_tar(("file", "one", "0123456789"), ("file", "two", "x")))
    with (
        (tmp_path / "a.tar").open("rb") as source,
        open_files(source, tmp_path / "scratch", cancel=CancelToken()) as files,
        files.open("one") as file,
    ):
        assert (file.seek(7), file.read(100), file.read(1)) == (7, b"789", b"")
        assert (file.seek(-2, os.SEEK_END), file.read()) == (8, b"89")
        assert (file.seek(2), file.seek(3, os.SEEK_CUR), file.tell()) == (2, 5, 5)
        buffer = bytearray(8)
        assert file.readinto(buffer) == 5  # type: ignore[attr-defined]  # a raw file has it
        assert buffer == b"56789\0\0\0"
        assert file.readinto(buffer) == 0  # type: ignore[attr-defined]  # a raw file has it
        assert (file.seek(50), file.read(10), file.readinto(buffer)) == (50, b"", 0)  # type: ignore[attr-defined]  # a raw file has it
        assert (file.seek(-50), file.read(1)) == (0, b"0")


def test_a_folder_is_read_by_name(tmp_path: Path) -> None:
    root = tmp_path / "layout"
    (root / "blobs").mkdir(parents=True)
    (root / "blobs/a").write_text("one")
    (root / "out").symlink_to(tmp_path / "secret")
    (tmp_path / "secret").write_text("s")
    os.mkfifo(root / "pipe")
    with open_files(root, tmp_path / "unused", cancel=CancelToken()) as files:
        assert files.read("blobs/a") == b"one"
        assert files.size("blobs/a") == 3
        for name in ("out", "../secret", "blobs", "pipe"):
            assert not files.has(name), name


def test_big_documents_and_cut_archives_are_refused(tmp_path: Path, make_tar: Tar) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(make_tar(("file", "index.json", "x" * (4 * 1024 * 1024 + 1))))
    with (
        path.open("rb") as source,
        open_files(source, tmp_path / "s", cancel=CancelToken()) as files,
        pytest.raises(ArchiveError, match="4 MiB"),
    ):
        files.read("index.json")
    path.write_bytes(path.read_bytes()[:100_000])
    with (
        path.open("rb") as source,
        pytest.raises(ArchiveError, match="middle of an entry"),
        open_files(source, tmp_path / "s", cancel=CancelToken()),
    ):
        pass
