"""Trees that another process changes while they are unpacked, packed or looked at."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest

from jupyter_containers.errors import ArchiveError, StorageError
from jupyter_containers.store import copies
from jupyter_containers.store.differ import Differ
from jupyter_containers.store.extract import extract_archive
from jupyter_containers.store.layertree import changes_on
from jupyter_containers.store.privileges import Privileges
from jupyter_containers.store.tarwrite import ChunkedOutput
from jupyter_containers.store.uppers import tree_size
from tests.racing import swapping

ROUNDS = 400


def _fifo(name: str, mode: int) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode = tarfile.FIFOTYPE, mode
        tar.addfile(entry)
    return packed.getvalue()


def test_the_mode_of_a_fifo_never_becomes_that_of_a_links_target(tmp_path: Path) -> None:
    """Seen to fail with chmod by name that follows links: the secret had 4777 (396 of 400)."""
    secret, folder = tmp_path / "secret", tmp_path / "tree"
    secret.write_text("")
    folder.mkdir()
    (folder / "mine").symlink_to(secret)
    hits, packed = 0, _fifo("f", 0o4777)
    with swapping(folder / "f", folder / "mine", str(secret)):
        for _ in range(ROUNDS):
            secret.chmod(0o600)
            with suppress(ArchiveError):
                extract_archive(io.BytesIO(packed), folder)
            hits += stat.S_IMODE(secret.stat().st_mode) != 0o600
    assert hits == 0


@pytest.fixture
def swapped(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Return a container's tree, its folder ``d``, and a link to a folder of the host beside it."""
    host, tree = tmp_path / "host", tmp_path / "tree"
    host.mkdir()
    (host / "secret").write_text("the host's own")
    (tree / "d").mkdir(parents=True)
    (tree / "d/mine").write_text("")
    (tree / "link").symlink_to(host)
    return tree, tree / "d", tree / "link"


def test_changes_of_a_container_never_tell_of_the_host(swapped: tuple[Path, Path, Path]) -> None:
    """Seen to fail with folders listed by their paths: names of the host were among them."""
    tree, folder, link = swapped
    with swapping(folder, link):
        found: set[str] = set()
        for _ in range(ROUNDS):
            with suppress(StorageError):
                found |= {change.path for change in changes_on([], tree)}
    assert "/d/mine" in found
    assert not [path for path in found if path.endswith("/secret")]


def test_a_copys_changes_never_hold_files_of_the_host(
    swapped: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    """Seen to fail with links made by paths: ``commit`` would have read the host's files."""
    tree, folder, link = swapped
    hits = 0
    with swapping(folder, link):
        for number in range(ROUNDS):
            made = tmp_path / f"made{number}"
            made.mkdir()
            with suppress(OSError):
                copies.difference(tree, {}, made, Privileges.current())
            hits += any(path.name == "secret" for path in made.rglob("*"))
    assert hits == 0


def test_sizes_never_count_the_host(swapped: tuple[Path, Path, Path]) -> None:
    """Seen to fail with folders listed by their paths."""
    tree, folder, link = swapped
    with swapping(folder, link):
        sizes = {tree_size(tree) for _ in range(ROUNDS)}
    assert sizes <= {0}


def test_a_file_that_becomes_a_fifo_does_not_stop_an_archive(tmp_path: Path) -> None:
    """Seen to fail where files were opened without O_NONBLOCK: the test stood still."""
    (tmp_path / "tree").mkdir()
    file, fifo = tmp_path / "tree/file", tmp_path / "fifo"
    file.write_text("text")
    os.mkfifo(fifo)
    written: list[bytes] = []
    with swapping(file, fifo):
        for _ in range(5 * ROUNDS):
            Differ(tmp_path / "tree", ChunkedOutput(written.append)).write()
    assert b"text" in b"".join(written)
