from __future__ import annotations

import gzip
import hashlib
import io
import os
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_containers.errors import (
    AlreadyExistsError,
    ArchiveError,
    DigestMismatchError,
    InvalidArgumentError,
    NotFoundError,
    OperationCancelledError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.oci.descriptor import LAYER_GZIP, Descriptor, chain_id, digest_of
from jupyter_containers.store import LayerRecord, Store
from jupyter_containers.store.privileges import Privileges

Tar = Callable[..., bytes]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: owners, devices, xattrs")


def unpack(store: Store, tar: bytes, parent: str = "", diff_id: str = "") -> LayerRecord:
    blob = store.content.put(gzip.compress(tar, mtime=0), LAYER_GZIP)
    return store.snapshots.unpack(parent, diff_id or digest_of(tar), blob)


def tree(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything that a layer keeps, by path."""
    found: dict[str, tuple[object, ...]] = {}
    inodes: dict[int, str] = {}
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        name = str(path.relative_to(folder))
        content: object = b""
        if stat.S_ISREG(state.st_mode):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        elif stat.S_ISLNK(state.st_mode):
            content = os.readlink(path)
        xattrs = {
            key: os.getxattr(path, key, follow_symlinks=False)
            for key in os.listxattr(path, follow_symlinks=False)
        }
        first = inodes.setdefault(state.st_ino, name)
        times = state.st_mtime_ns if state.st_rdev != 0 or not stat.S_ISCHR(state.st_mode) else 0
        found[name] = (
            state.st_mode, state.st_uid, state.st_gid, times, state.st_rdev, first, content,
            tuple(sorted(xattrs.items())),
        )  # fmt: skip
    return found


def test_a_layer_is_unpacked_once(store: Store, make_tar: Tar) -> None:
    tar = make_tar(("file", "etc/f", "hello"))
    one = unpack(store, tar)
    inode = (store.snapshots.root / one.directory).stat().st_ino
    assert unpack(store, tar) == one
    assert (store.snapshots.root / one.directory).stat().st_ino == inode
    assert one.chain_id == one.diff_id == digest_of(tar)
    assert (one.size, one.entries, len(one.directory)) == (5, 1, 10)
    assert store.snapshots.usage(one.chain_id) == 5


def test_threads_that_need_the_same_layer_share_the_work(store: Store, make_tar: Tar) -> None:
    tar = make_tar(*[("file", f"f{i}", "x" * 1000) for i in range(500)])
    blob = store.content.put(gzip.compress(tar), LAYER_GZIP)
    opened: list[int] = []

    def open_blob() -> object:
        opened.append(1)
        return store.content.open(blob.digest)

    threads = [
        threading.Thread(target=store.snapshots.unpack, args=("", digest_of(tar), blob, open_blob))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda tar: (gzip.compress(tar), digest_of(b"other")), DigestMismatchError),
        (lambda tar: (gzip.compress(tar)[:-20], digest_of(tar)), ArchiveError),
        (lambda tar: (gzip.compress(tar[:1000]), digest_of(tar)), ArchiveError),
        (lambda tar: (b"\x1f\x8b" + bytes(50), digest_of(tar)), ArchiveError),
    ],
)
def test_a_bad_layer_leaves_nothing(
    store: Store,
    make_tar: Tar,
    damage: Callable[[bytes], tuple[bytes, str]],
    error: type[Exception],
) -> None:
    data, diff_id = damage(make_tar(("file", "f", "x" * 5000)))
    blob = store.content.put(data, LAYER_GZIP)
    with pytest.raises(error, match=blob.digest[7:19]):
        store.snapshots.unpack("", diff_id, blob)
    assert not store.snapshots.has(diff_id)
    assert os.listdir(store.root / "staging") == os.listdir(store.root / "locks") == []
    assert os.listdir(store.snapshots.root) == ["scratch"]
    assert store.snapshots.layers.incomplete() == []


def test_cancelling_an_unpack_leaves_nothing(store: Store, make_tar: Tar) -> None:
    token = CancelToken()
    tar = make_tar(*[("file", f"f{i}", "x" * 4000) for i in range(2000)])
    blob = store.content.put(tar, LAYER_GZIP)
    with pytest.raises(OperationCancelledError):
        store.snapshots.unpack(
            "", digest_of(tar), blob, cancel=token, progress=lambda _: token.cancel()
        )
    assert os.listdir(store.root / "staging") == []
    assert store.snapshots.unpack("", digest_of(tar), blob).entries == 2000


def test_the_parent_has_to_be_there(store: Store, make_tar: Tar) -> None:
    with pytest.raises(NotFoundError, match="not unpacked"):
        unpack(store, make_tar(("file", "f", "x")), parent=digest_of(b"nothing"))
    with pytest.raises(NotFoundError):
        store.snapshots.mount(digest_of(b"nothing"))


def test_a_record_without_its_directory_is_not_a_layer(store: Store, make_tar: Tar) -> None:
    tar = make_tar(("file", "f", "x"))
    one = unpack(store, tar)
    store._staging.remove(store.snapshots.root / one.directory)
    assert not store.snapshots.has(one.chain_id)
    assert unpack(store, tar) == one
    assert store.snapshots.has(one.chain_id)


def test_a_mount_lists_layers_from_the_top(store: Store, make_tar: Tar) -> None:
    layers, parent = [], ""
    for number in range(5):
        layers.append(unpack(store, make_tar(("file", f"f{number}", "x")), parent))
        parent = layers[-1].chain_id
    assert parent == chain_id([layer.diff_id for layer in layers])
    mount = store.snapshots.mount(parent)
    assert mount.base == store.snapshots.root
    assert mount.lowers == tuple(layer.directory for layer in reversed(layers))
    assert mount.upper is mount.work is None
    upper = store.snapshots.prepare("c1", parent)
    mount = store.snapshots.mount(parent, "c1")
    assert (mount.upper, mount.work) == (upper, upper.parent / "work")


def test_no_layers_is_a_mount_too(store: Store) -> None:
    store.snapshots.prepare("c1")
    mount = store.snapshots.mount("", "c1")
    assert [(mount.base / name).is_dir() for name in mount.lowers] == [True]


@as_root
def test_the_upper_looks_like_the_root_of_the_image(store: Store, make_tar: Tar) -> None:
    base = unpack(store, make_tar(("dir", "./", ""), mode=0o711, uid=5, gid=6))
    above = unpack(store, make_tar(("file", "f", "x")), base.chain_id)
    state = store.snapshots.prepare("c1", above.chain_id).stat()
    assert (stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid) == (0o711, 5, 6)
    assert stat.S_IMODE(store.snapshots.prepare("c2").stat().st_mode) == 0o755


def test_keys_are_checked_unique_and_discarded(store: Store) -> None:
    snapshots = store.snapshots
    upper = snapshots.prepare("c1")
    (upper / "f").write_text("12345")
    os.link(upper / "f", upper / "g")
    assert snapshots.size_rw("c1") == 5
    assert snapshots.uppers.keys() == ["c1"]
    with pytest.raises(AlreadyExistsError):
        snapshots.prepare("c1")
    for bad in ("", "../x", ".x", "a/b"):
        with pytest.raises(InvalidArgumentError):
            snapshots.prepare(bad)
    snapshots.discard("c1")
    snapshots.discard("c1")
    assert snapshots.size_rw("c1") == 0
    with pytest.raises(NotFoundError):
        snapshots.uppers.path("c1")


def fill(upper: Path) -> None:
    (upper / "d").mkdir()
    (upper / "d/file").write_bytes(os.urandom(3_000_000))
    (upper / "d/file").chmod(0o6711)
    os.link(upper / "d/file", upper / "a-link")
    (upper / "sym").symlink_to("/d/file")
    os.mkfifo(upper / "fifo")
    (upper / "empty").write_bytes(b"")
    (upper / ("long" * 30)).mkdir()
    (upper / ("long" * 30) / ("näme" * 20)).write_text("x")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(upper)
        listener.bind("socket")
        os.chdir(here)
    os.setxattr(upper / "d/file", "user.note", b"\0bytes\n")
    os.utime(upper / "d/file", ns=(1, 1_600_000_000_123_456_789))


@as_root
def test_commit_and_unpack_give_identical_trees(store: Store, make_tar: Tar) -> None:
    base = unpack(
        store, make_tar(("file", "gone", "x"), ("file", "old/f", "x"), ("file", "f", "x"))
    )
    upper = store.snapshots.prepare("k", base.chain_id)
    fill(upper)
    os.chown(upper / "d/file", 70_000, 3_000_000)
    (upper / "d/file").chmod(0o6711)
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    os.setxattr(upper / "d/file", "security.capability", capability)
    os.mknod(upper / "gone", stat.S_IFCHR, 0)
    os.mknod(upper / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    for name in ("old", "d"):
        (upper / name).mkdir(exist_ok=True)
        os.setxattr(upper / name, "trusted.overlay.opaque", b"y")
    os.setxattr(upper / "d", "trusted.overlay.origin", b"x")
    layer = store.snapshots.commit("k", base.chain_id)
    adopted = tree(store.snapshots.root / layer.directory)
    assert "socket" not in adopted
    store.snapshots.remove(layer.chain_id)

    again = store.snapshots.unpack(base.chain_id, layer.diff_id, layer.blob)
    assert (again.chain_id, again.entries, again.size) == (
        layer.chain_id, layer.entries, layer.size,
    )  # fmt: skip
    unpacked = tree(store.snapshots.root / again.directory)
    # "d" is new, so its opaque mark was only overlayfs' optimisation
    assert unpacked.pop("d")[:4] == adopted.pop("d")[:4]
    assert unpacked == adopted
    assert (
        os.getxattr(store.snapshots.root / again.directory / "d/file", "security.capability")
        == capability
    )


def test_the_same_tree_gives_the_same_digests(store: Store) -> None:
    digests = set()
    for key, names in (("k1", "abc"), ("k2", "cab")):
        upper = store.snapshots.prepare(key)
        for name in names:
            (upper / name).write_text(name)
        layer = store.snapshots.commit(key, "", source_date_epoch=1_000)
        folder = store.snapshots.root / layer.directory
        assert {(folder / name).stat().st_mtime for name in names} == {1000}
        digests.add((layer.diff_id, layer.blob.digest))
        store.snapshots.remove(layer.chain_id)
    assert len(digests) == 1


def test_an_empty_upper_is_told_by_its_entries(store: Store) -> None:
    store.snapshots.prepare("k")
    layer = store.snapshots.commit("k", "")
    assert (layer.entries, layer.size) == (0, 0)
    with pytest.raises(NotFoundError):
        store.snapshots.uppers.path("k")


@as_root
def test_a_changed_root_folder_is_an_entry(store: Store, make_tar: Tar) -> None:
    base = unpack(store, make_tar(("file", "f", "x")))
    store.snapshots.prepare("k", base.chain_id).chmod(0o700)
    layer = store.snapshots.commit("k", base.chain_id)
    assert layer.entries == 1
    store.snapshots.remove(layer.chain_id)
    store.snapshots.unpack(base.chain_id, layer.diff_id, layer.blob)
    assert stat.S_IMODE((store.snapshots.root / layer.directory).stat().st_mode) == 0o700


def test_committing_a_container_leaves_it_as_it_is(store: Store) -> None:
    upper = store.snapshots.prepare("c1")
    (upper / "f").write_text("x")
    layer = store.snapshots.commit("c1", "", consume=False)
    assert (upper / "f").read_text() == "x"
    assert store.snapshots.has(layer.chain_id)
    assert (store.snapshots.root / layer.directory / "f").read_text() == "x"
    assert store.snapshots.commit("c1", "").chain_id == layer.chain_id


def test_commit_protects_what_it_makes(store: Store) -> None:
    (store.snapshots.prepare("k") / "f").write_text("x")
    with store.leases.hold() as lease:
        layer = store.snapshots.commit("k", "", lease=lease)
        assert {layer.blob.digest, layer.chain_id} <= store.leases.protected()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_importing_keeps_the_tar_exactly(
    store: Store, make_tar: Tar, pack: Callable[[bytes], bytes]
) -> None:
    tar = make_tar(("file", "etc/os-release", "x")) + b"trailing"
    layer = store.snapshots.import_tar(io.BytesIO(pack(tar)))
    assert layer.diff_id == layer.chain_id == digest_of(tar)
    assert gzip.decompress(store.content.path(layer.blob.digest).read_bytes()) == tar
    assert layer.blob == Descriptor(
        LAYER_GZIP, layer.blob.digest, store.content.size(layer.blob.digest)
    )
    assert store.snapshots.import_tar(io.BytesIO(tar)) == layer
    assert os.listdir(store.root / "staging") == []


def test_a_bad_import_leaves_nothing(store: Store, make_tar: Tar) -> None:
    with pytest.raises(ArchiveError):
        store.snapshots.import_tar(io.BytesIO(make_tar(("file", "f", "x" * 5000))[:3000]))
    assert os.listdir(store.root / "staging") == store.content.digests() == []


def test_an_unprivileged_user_is_root_in_the_image() -> None:
    user = Privileges(privileged=False, uid=1000, gid=1000)
    assert user.image_owner(1000, 1000) == (0, 0)
    assert user.opaque_name == b"user.overlay.opaque"
    root = Privileges(privileged=True, uid=0, gid=0)
    assert root.image_owner(1000, 1000) == (1000, 1000)


def test_an_upper_that_is_removed_soon_is_gone_at_once_and_deleted_at_the_end(
    tmp_path: Path,
) -> None:
    with Store.open(tmp_path) as store:
        upper = store.snapshots.prepare("soon")
        (upper / "folder").mkdir()
        (upper / "folder" / "file").write_text("x")
        store.snapshots.discard("soon", soon=True)
        assert not upper.exists()
        store.snapshots.prepare("soon")
        store.snapshots.discard("never-there", soon=True)
    assert os.listdir(tmp_path / "staging") == []
