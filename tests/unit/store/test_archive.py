from __future__ import annotations

import errno
import gzip
import io
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_containers.errors import ArchiveError, OperationCancelledError, VerificationError
from jupyter_containers.events import CancelToken
from jupyter_containers.store.archive import Applied, Applier
from jupyter_containers.store.compression import Limits, zstd_module
from jupyter_containers.store.extract import extract_archive
from jupyter_containers.store.pipeline import TarSource
from jupyter_containers.store.tarread import ByteStream, TarReader

Tar = Callable[..., bytes]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: devices and trusted xattrs")


def apply(
    data: bytes, folder: Path, *, lowers: tuple[Path, ...] = (), limits: Limits | None = None
) -> Applied:
    folder.mkdir(exist_ok=True)
    bounds = limits or Limits()
    with (
        TarSource(io.BytesIO(data), bounds, CancelToken()) as source,
        Applier(folder, lower_folders=lowers, limits=bounds, label="layer abc") as applier,
    ):
        return applier.apply(TarReader(ByteStream(source.next_chunk), bounds))


def listing(folder: Path) -> dict[str, str]:
    """Return every path below ``folder`` with its type."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        name = str(path.relative_to(folder))
        if stat.S_ISLNK(state.st_mode):
            found[name] = f"-> {path.readlink()}"
        elif stat.S_ISDIR(state.st_mode):
            names = os.listxattr(path)
            found[name] = "opaque" if any(n.endswith("overlay.opaque") for n in names) else "dir"
        elif stat.S_ISCHR(state.st_mode) and state.st_rdev == 0:
            found[name] = "whiteout"
        elif stat.S_ISREG(state.st_mode):
            found[name] = path.read_text()
        else:
            found[name] = "other"
    return found


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside the root that nothing may touch."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("secret")
    return folder


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([("file", "../../evil", "x")], {"evil": "x"}),
        ([("file", "/etc/evil", "x")], {"etc": "dir", "etc/evil": "x"}),
        ([("file", "a/../../../evil", "x")], {"evil": "x"}),
        ([("file", "./././a//b", "x")], {"a": "dir", "a/b": "x"}),
        (
            [("dir", "real", ""), ("symlink", "l", "real"), ("file", "l/f", "x")],
            {"real": "dir", "l": "-> real", "real/f": "x"},
        ),
        (
            [("dir", "etc", ""), ("symlink", "l", "/etc"), ("file", "l/f", "x")],
            {"etc": "dir", "l": "-> /etc", "etc/f": "x"},
        ),
        (
            [("dir", "etc", ""), ("symlink", "l", "../../../etc"), ("file", "l/f", "x")],
            {"etc": "dir", "l": "-> ../../../etc", "etc/f": "x"},
        ),
        # a file replaces the link itself, never its target
        (
            [("file", "t", "old"), ("symlink", "l", "t"), ("file", "l", "new")],
            {"t": "old", "l": "new"},
        ),
        ([("file", "a", "1"), ("file", "a", "2")], {"a": "2"}),
        ([("dir", "a", ""), ("file", "a/b", "1"), ("file", "a", "2")], {"a": "2"}),
        ([("file", "a", "1"), ("dir", "a", ""), ("file", "a/b", "2")], {"a": "dir", "a/b": "2"}),
        # the open folder behind a replaced link is not used again
        (
            [
                ("dir", "one", ""),
                ("dir", "two", ""),
                ("symlink", "l", "one"),
                ("file", "l/f", "1"),
                ("symlink", "l", "two"),
                ("file", "l/f", "2"),
            ],
            {"one": "dir", "two": "dir", "l": "-> two", "one/f": "1", "two/f": "2"},
        ),
        ([("file", "a", "1"), ("link", "b", "a")], {"a": "1", "b": "1"}),
        ([("file", "a", "1"), ("link", "a", "./a")], {"a": "1"}),
        ([("file", "a", "1"), ("file", "b", "2"), ("link", "b", "../a")], {"a": "1", "b": "1"}),
        (
            [("file", "x" * 100 + "/" + "y" * 150, "n")],
            {"x" * 100: "dir", "x" * 100 + "/" + "y" * 150: "n"},
        ),
        ([("file", "ümläut", "n")], {"ümläut": "n"}),
        ([("file", ".wh.a", ""), ("file", ".wh..wh..opq", "")], {}),
        ([("file", ".wh..wh.plnk/1.2", "x"), ("file", ".wh..wh.aufs", "x")], {}),
    ],
)
def test_every_name_ends_up_below_the_root(
    members: list[tuple[str, str, object]],
    expected: dict[str, str],
    make_tar: Tar,
    tmp_path: Path,
    outside: Path,
) -> None:
    apply(make_tar(*members), tmp_path / "root")
    assert listing(tmp_path / "root") == expected
    assert sorted(p.name for p in tmp_path.iterdir()) == ["outside", "root"]
    assert (outside / "secret").read_text() == "secret"


@pytest.mark.parametrize(
    "members",
    [
        [("symlink", "l", "{outside}"), ("file", "l/evil", "x")],
        [("symlink", "l", "../outside"), ("file", "l/evil", "x")],
        [("symlink", "a", "b"), ("symlink", "b", "{outside}"), ("file", "a/evil", "x")],
        [("symlink", "l", "{outside}"), ("link", "stolen", "l/secret")],
        [("link", "stolen", "../outside/secret")],
        [("link", "stolen", "{outside}/secret")],
        [("symlink", "l", "l"), ("file", "l/evil", "x")],
        [("file", "f", "x"), ("file", "f/evil", "x")],
        [("link", "stolen", "")],
        [("file", ".wh.", "")],
        [("file", "a/.wh...", "")],
    ],
)
def test_a_hostile_archive_is_refused_and_touches_nothing_outside(
    members: list[tuple[str, str, object]], make_tar: Tar, tmp_path: Path, outside: Path
) -> None:
    named = [(k, n, str(v).format(outside=outside)) for k, n, v in members]
    with pytest.raises(ArchiveError, match="layer abc: entry "):
        apply(make_tar(*named), tmp_path / "root")
    assert os.listdir(outside) == ["secret"]
    assert (outside / "secret").stat().st_nlink == 1


@as_root
@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([("file", ".wh.gone", "")], {"gone": "whiteout"}),
        ([("file", "a/.wh.gone", "")], {"a": "dir", "a/gone": "whiteout"}),
        # only in lower layers: entries of this archive stay, in either order
        ([("file", "f", "x"), ("file", ".wh.f", "")], {"f": "x"}),
        ([("file", ".wh.f", ""), ("file", "f", "x")], {"f": "x"}),
        ([("dir", "d", ""), ("file", ".wh.d", "")], {"d": "opaque"}),
        ([("file", ".wh.d", ""), ("dir", "d", "")], {"d": "opaque"}),
        ([("file", ".wh.d", ""), ("file", "d/f", "x")], {"d": "opaque", "d/f": "x"}),
        ([("file", "d/.wh..wh..opq", ""), ("file", "d/f", "x")], {"d": "opaque", "d/f": "x"}),
        ([("file", "d/f", "x"), ("file", "d/.wh..wh..opq", "")], {"d": "opaque", "d/f": "x"}),
        ([("file", "d", "x"), ("dir", "d", "")], {"d": "opaque"}),
        # overlayfs ignores the opaque attribute of the root: every name is hidden
        (
            [("dir", "dir", ""), ("file", ".wh..wh..opq", "")],
            {"dir": "opaque", "low": "whiteout"},
        ),
        ([("char", "null", (0, 0))], {}),
    ],
)
def test_whiteouts_hide_lower_layers_only(
    members: list[tuple[str, str, object]],
    expected: dict[str, str],
    make_tar: Tar,
    tmp_path: Path,
) -> None:
    lower = tmp_path / "lower"
    (lower / "dir").mkdir(parents=True)
    (lower / "low").write_text("low")
    apply(make_tar(*members), tmp_path / "root", lowers=(lower,))
    assert listing(tmp_path / "root") == expected


@as_root
def test_a_folder_that_is_not_named_looks_as_in_the_layer_below(
    make_tar: Tar, tmp_path: Path
) -> None:
    lower = tmp_path / "lower"
    (lower / "srv" / "data").mkdir(parents=True)
    os.chown(lower / "srv" / "data", 33, 44)
    (lower / "srv" / "data").chmod(0o2750)
    lower.chmod(0o711)
    apply(make_tar(("file", "srv/data/f", "x")), tmp_path / "root", lowers=(lower,))
    state = (tmp_path / "root/srv/data").stat()
    assert (state.st_uid, state.st_gid, stat.S_IMODE(state.st_mode)) == (33, 44, 0o2750)
    assert stat.S_IMODE((tmp_path / "root").stat().st_mode) == 0o711


@as_root
def test_owner_mode_time_and_attributes_are_kept(make_tar: Tar, tmp_path: Path) -> None:
    data = make_tar(
        (
            "xattr",
            "f",
            {"user.note": "hi", "trusted.overlay.redirect": "/x", "user.overlay.y": "z"},
        ),
        uid=1234,
        gid=3_000_000,
        mode=0o6755,
        mtime=1_700_000_000.5,
    )
    apply(data, tmp_path / "root")
    path = tmp_path / "root/f"
    state = path.stat()
    assert (state.st_uid, state.st_gid, stat.S_IMODE(state.st_mode)) == (1234, 3_000_000, 0o6755)
    assert state.st_mtime_ns == 1_700_000_000_500_000_000
    assert os.listxattr(path) == ["user.note"]


@as_root
def test_folder_times_survive_what_is_made_in_them(make_tar: Tar, tmp_path: Path) -> None:
    apply(make_tar(("dir", "d", ""), ("file", "d/f", "x"), ("fifo", "d/p", "")), tmp_path / "root")
    assert (tmp_path / "root/d").stat().st_mtime == 1_700_000_000
    assert stat.S_ISFIFO((tmp_path / "root/d/p").stat().st_mode)


def test_a_symlink_loop_below_the_root_names_the_reason(make_tar: Tar, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError) as caught:
        apply(make_tar(("symlink", "l", "l"), ("file", "l/f", "")), tmp_path / "root")
    assert os.strerror(errno.ELOOP) in str(caught.value)
    assert "'l/f'" in str(caught.value)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(entries=2), "more than 2 entries"),
        (Limits(bytes=3 * 1024 * 1024), "over the limit"),
        (Limits(ratio=10, ratio_floor=1024 * 1024), "expands more than 10 times"),
    ],
)
def test_limits_hold(limits: Limits, reason: str, make_tar: Tar, tmp_path: Path) -> None:
    data = make_tar(("file", "a", ""), ("file", "b", ""), ("file", "c", "\0" * 5_000_000))
    with pytest.raises(ArchiveError, match=reason):
        apply(gzip.compress(data), tmp_path / "root", limits=limits)


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_truncated_compression_is_an_archive_error(
    kind: str, make_tar: Tar, tmp_path: Path
) -> None:
    data = make_tar(("file", "a", os.urandom(50_000).hex()))
    packed = gzip.compress(data) if kind == "gzip" else zstd_module().compress(data)
    with pytest.raises(ArchiveError, match=f"{kind} data ends too early"):
        apply(packed[: len(packed) // 2], tmp_path / "root")


def test_damaged_gzip_is_an_archive_error(make_tar: Tar, tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(make_tar(("file", "a", os.urandom(50_000).hex()))))
    packed[-8] ^= 1
    with pytest.raises(ArchiveError, match="gzip data is damaged"):
        apply(bytes(packed), tmp_path / "root")


def test_a_tar_that_ends_in_a_file_is_refused(make_tar: Tar, tmp_path: Path) -> None:
    data = make_tar(("file", "a", "x" * 5000))
    with pytest.raises(ArchiveError, match="ends in the middle"):
        apply(data[:2048], tmp_path / "root")


@pytest.mark.parametrize("pack", ["members", "zstd", "bzip2", "xz", "plain"])
def test_compressions_are_told_by_content(pack: str, make_tar: Tar, tmp_path: Path) -> None:
    import bz2
    import lzma

    data = make_tar(("file", "a", "hello"))
    packed = {
        "members": gzip.compress(data[:700]) + gzip.compress(data[700:]),
        "zstd": zstd_module().compress(data),
        "bzip2": bz2.compress(data),
        "xz": lzma.compress(data),
        "plain": data,
    }[pack]
    (tmp_path / "root").mkdir()
    extract_archive(io.BytesIO(packed), tmp_path / "root")
    assert listing(tmp_path / "root") == {"a": "hello"}


def test_extracting_keeps_whiteout_names_and_what_was_there(make_tar: Tar, tmp_path: Path) -> None:
    folder = tmp_path / "root"
    (folder / "d").mkdir(parents=True)
    (folder / "d/old").write_text("old")
    extract_archive(io.BytesIO(make_tar(("dir", "d", ""), ("file", "d/.wh.x", "w"))), folder)
    assert listing(folder) == {"d": "dir", "d/old": "old", "d/.wh.x": "w"}


def test_cancelling_stops_at_once(make_tar: Tar, tmp_path: Path) -> None:
    token = CancelToken()
    token.cancel()
    (tmp_path / "root").mkdir()
    with pytest.raises(OperationCancelledError):
        extract_archive(io.BytesIO(make_tar(("file", "a", "x"))), tmp_path / "root", cancel=token)


def test_no_descriptor_stays_open(make_tar: Tar, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    members = [("file", f"d{i}/e/f", "x") for i in range(300)]
    apply(make_tar(*members), tmp_path / "root")
    with pytest.raises(VerificationError):
        apply(make_tar(*members, ("link", "a", "missing")), tmp_path / "other")
    assert len(os.listdir("/proc/self/fd")) == before


def test_deep_nesting_is_an_error_not_a_crash(make_tar: Tar, tmp_path: Path) -> None:
    from jupyter_containers.trees.removal import remove as remove_tree

    deep = "d/" * 1500 + "f"
    with pytest.raises(ArchiveError, match="nested too deeply"):
        apply(make_tar(("file", deep, "x"), ("file", "d", "x")), tmp_path / "root")
    remove_tree(tmp_path / "root")
    assert not (tmp_path / "root").exists()


@as_root
def test_one_owner_takes_the_place_of_all(make_tar: Tar, tmp_path: Path) -> None:
    members = [
        ("dir", "d", ""),
        ("file", "implied/f", "x"),
        ("symlink", "l", "d"),
        ("fifo", "p", 0),
    ]
    folder = tmp_path / "into"
    (folder / "old").mkdir(parents=True)
    data = make_tar(*members, uid=1, gid=2)
    extract_archive(io.BytesIO(data), folder, owner=(33, 44))
    owners = {
        str(path.relative_to(folder)): (path.lstat().st_uid, path.lstat().st_gid)
        for path in folder.rglob("*")
    }
    assert owners.pop("old") == (0, 0)
    assert set(owners) == {"d", "implied", "implied/f", "l", "p"}
    assert set(owners.values()) == {(33, 44)}
