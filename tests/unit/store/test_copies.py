"""Copies of layers and their changes, compared with overlayfs (tests/conformance)."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jupyter_containers.events import CancelToken
from jupyter_containers.store import copies
from jupyter_containers.store.privileges import Privileges

MINE = Privileges.current()


@pytest.fixture
def layers(tmp_path: Path) -> tuple[Path, Path]:
    """Two layers, the topmost first: ``d/gone`` is hidden, ``closed`` shows only its own."""
    low, top = tmp_path / "low", tmp_path / "top"
    for folder in (low / "d", low / "closed", top / "d", top / "closed"):
        folder.mkdir(parents=True)
    (low / "d/kept").write_text("low")
    (low / "d/gone").write_text("low")
    (low / "closed/old").write_text("low")
    (low / "file").write_text("low")
    os.link(low / "file", low / "same")
    (low / "link").symlink_to("d/kept")
    os.mknod(top / "d/gone", stat.S_IFCHR, 0)
    os.setxattr(top / "closed", "user.overlay.opaque", b"y")
    (top / "closed/new").write_text("top")
    (top / "d").chmod(0o750)
    return top, low


@pytest.fixture
def copied(layers: tuple[Path, Path], tmp_path: Path) -> tuple[Path, copies.Note]:
    copy = tmp_path / "here/copy"
    copy.mkdir(parents=True)
    return copy, copies.make(layers, copy, MINE, CancelToken())


@pytest.fixture
def changes(copied: tuple[Path, copies.Note], tmp_path: Path) -> Callable[[], dict[str, str]]:
    """Return the changes by path: ``dir``, ``opaque``, ``gone``, ``-> target`` or the content."""

    def look() -> dict[str, str]:
        with _folder(tmp_path / "here/difference") as target:
            copies.difference(*copied, target, MINE)
            return {str(one.relative_to(target)): _kind(one) for one in target.rglob("*")}

    return look


@contextmanager
def _folder(path: Path) -> Iterator[Path]:
    import shutil

    path.mkdir()
    yield path
    shutil.rmtree(path)


def _kind(path: Path) -> str:
    if path.is_symlink():
        return f"-> {path.readlink()}"
    if path.is_dir():
        marks = [name for name in os.listxattr(path) if name.endswith("overlay.opaque")]
        return "opaque" if marks else "dir"
    if stat.S_ISCHR(path.stat().st_mode) and path.stat().st_rdev == 0:
        return "gone"
    return path.read_text()


def test_a_copy_is_what_an_overlay_shows(copied: tuple[Path, copies.Note]) -> None:
    copy, _ = copied
    found = {str(one.relative_to(copy)): _kind(one) for one in copy.rglob("*")}
    assert found == {
        "d": "dir",
        "d/kept": "low",
        "closed": "dir",
        "closed/new": "top",
        "file": "low",
        "same": "low",
        "link": "-> d/kept",
    }
    assert stat.S_IMODE((copy / "d").stat().st_mode) == 0o750
    assert (copy / "file").samefile(copy / "same")


def test_nothing_changed(copied: tuple[Path, copies.Note], changes: Callable) -> None:
    (copied[0] / "d/kept").read_text()
    assert changes() == {}
    assert copies.changed_bytes(*copied) == 0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda c: (c / "d/kept").write_text("LOW"), {"d": "dir", "d/kept": "LOW"}),
        (lambda c: (c / "d/kept").chmod(0o600), {"d": "dir", "d/kept": "low"}),
        (lambda c: (c / "link").unlink(), {"link": "gone"}),
        (lambda c: (c / "new").mkdir(), {"new": "dir"}),
        (lambda c: (c / "d/more").write_text("1"), {"d": "dir", "d/more": "1"}),
        (lambda c: (c / "d").chmod(0o700), {"d": "dir"}),
        (lambda c: (c / "link").rename(c / "l"), {"link": "gone", "l": "-> d/kept"}),
    ],
)
def test_a_change(
    copied: tuple[Path, copies.Note], changes: Callable, change: Callable, expected: dict[str, str]
) -> None:
    """Also at once, and with the same size and time: the kernel's own note of changes counts."""
    before = (copied[0] / "d/kept").stat()
    change(copied[0])
    os.utime(copied[0] / "d", ns=(before.st_mtime_ns, before.st_mtime_ns))
    found = changes()
    found.pop("d", None)  # the time that was set just now
    expected.pop("d", None)
    assert found == expected


def test_a_folder_that_was_replaced_shows_nothing_of_the_old(
    copied: tuple[Path, copies.Note], changes: Callable
) -> None:
    copy, _ = copied
    (copy / "d").rename(copy / "elsewhere")
    (copy / "d").mkdir()
    (copy / "d/other").write_text("x")
    assert changes() == {
        "d": "opaque",
        "d/other": "x",
        "elsewhere": "dir",
        "elsewhere/kept": "low",
    }


def test_a_file_in_place_of_a_folder_and_the_other_way_round(
    copied: tuple[Path, copies.Note], changes: Callable
) -> None:
    copy, _ = copied
    (copy / "closed/new").unlink()
    (copy / "closed").rmdir()
    (copy / "closed").write_text("now a file")
    (copy / "file").unlink()
    (copy / "file").mkdir()
    found = changes()
    assert found.pop("same") == "low"  # one name fewer is a change too, as for overlayfs
    assert found == {"closed": "now a file", "file": "opaque"}


def test_the_size_of_what_changed(copied: tuple[Path, copies.Note]) -> None:
    copy, _ = copied
    (copy / "d/more").write_bytes(bytes(1000))
    os.link(copy / "d/more", copy / "d/again")
    (copy / "closed/new").write_bytes(bytes(50))
    assert copies.changed_bytes(*copied) == 1050
