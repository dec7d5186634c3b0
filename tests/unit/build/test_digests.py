from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_containers.build.digests import FileDigests
from jupyter_containers.build.tree import SourceTree
from jupyter_containers.trees.rooted import Root

SECOND = 10**9


class Sides:
    """A file, its digests, and a clock that is ``ahead`` of the file's last change."""

    def __init__(self, folder: Path, ahead: float) -> None:
        self.file, self.saved = folder / "context/f", folder / "digests"
        self.file.parent.mkdir()
        self.file.write_text("one")
        self.ahead = ahead
        self.digests = self.load()

    def load(self) -> FileDigests:
        return FileDigests(
            self.saved, lambda: self.file.stat().st_ctime_ns + int(self.ahead * SECOND)
        )

    def digest(self) -> str:
        with Root(self.file.parent) as root:
            tree = SourceTree(root, digests=self.digests)
            [source] = tree.find("f")
            return tree.digest(next(iter(tree.walk(source))))

    def change_unseen(self, text: str) -> None:
        """Change the file so that its status says nothing, as within one tick of the clock."""
        status = self.file.stat()
        self.file.write_text(text)
        os.utime(self.file, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_an_unchanged_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = Sides(tmp_path, 10)
    first = sides.digest()
    sides.digests.save()
    sides.digests = sides.load()
    monkeypatch.setattr(SourceTree, "open_regular", lambda *_: pytest.fail("it was read again"))
    assert sides.digest() == first


def test_a_change_is_seen_by_size_time_and_inode(tmp_path: Path) -> None:
    sides = Sides(tmp_path, 10)
    first = sides.digest()
    sides.file.write_text("longer")
    second = sides.digest()
    other = tmp_path / "other"
    other.write_text("LONGER")
    os.utime(other, ns=(0, sides.file.stat().st_mtime_ns))
    os.replace(other, sides.file)
    assert len({first, second, sides.digest()}) == 3


def test_a_file_that_changed_just_now_is_read_again(tmp_path: Path) -> None:
    sides = Sides(tmp_path, 0.001)
    status = sides.file.stat()
    first = sides.digest()
    assert sides.digests.known("f", status) is None
    sides.change_unseen("two")
    assert sides.digest() != first
    # A time in the future is not trusted either.
    os.utime(sides.file, (2**33, 2**33))
    sides.ahead = 10
    sides.digest()
    assert sides.digests.known("f", sides.file.stat()) is None


@pytest.mark.parametrize("data", [b"", b"\x93", b"not msgpack", b"\x92\x02\x80"])
def test_a_damaged_file_only_costs_time(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "digests").write_bytes(data)
    sides = Sides(tmp_path, 10)
    first = sides.digest()
    sides.digests.save()
    sides.digests = sides.load()
    assert sides.digests.known("f", sides.file.stat()) == first


def test_names_that_are_no_text_do_not_matter(tmp_path: Path) -> None:
    digests = FileDigests(tmp_path / "digests", lambda: 2**62)
    status = tmp_path.stat()
    digests.remember("bad\udcff", status, "00", 2**62)
    digests.remember("good", status, "11", 2**62)
    digests.save()
    again = FileDigests(tmp_path / "digests")
    assert (again.known("good", status), again.known("bad\udcff", status)) == ("11", None)
