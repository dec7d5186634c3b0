"""The store against the real kernel and real tools: overlay mounts, full disks, skopeo, umoci."""

from __future__ import annotations

import ctypes
import gzip
import io
import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from jupyter_containers.errors import StorageError
from jupyter_containers.oci.descriptor import (
    CONFIG,
    LAYER_GZIP,
    MANIFEST,
    Descriptor,
    digest_of,
    encode_json,
)
from jupyter_containers.oci.image import ImageConfig, RootFS, new_manifest
from jupyter_containers.oci.mount import Mount
from jupyter_containers.store import LayerRecord, Store
from tests.integration.forker import Forker

T = TypeVar("T")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts")
_libc = ctypes.CDLL(None, use_errno=True)
CLONE_FS, CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x200, 0x20000, 0x4000, 0x40000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "root") as opened:
        yield opened


def privately(function: Callable[[], T]) -> T:
    """Run ``function`` in a thread with a private mount namespace, which ends with it."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            check(_libc.unshare(CLONE_FS | CLONE_NEWNS))
            check(_libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
            results.append(function())
        except BaseException as error:  # noqa: BLE001  # raised again by the caller
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def overlay(mount: Mount, target: Path) -> None:
    os.chdir(mount.base)
    options = "lowerdir=" + ":".join(mount.lowers)
    if mount.upper is not None:
        options += f",upperdir={mount.upper},workdir={mount.work}"
    assert len(options) < 4096
    check(_libc.mount(b"overlay", os.fsencode(target), b"overlay", 0, options.encode()))


def layer(store: Store, parent: str, *files: tuple[str, str]) -> LayerRecord:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files:
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    tar = buffer.getvalue()
    blob = store.content.put(gzip.compress(tar, mtime=0), LAYER_GZIP)
    return store.snapshots.unpack(parent, digest_of(tar), blob)


@as_root
def test_two_hundred_layers_mount(store: Store, tmp_path: Path) -> None:
    parent = ""
    for number in range(200):
        parent = layer(store, parent, (f"f{number}", str(number)), ("same", str(number))).chain_id
    store.snapshots.prepare("c", parent)
    target = tmp_path / "merged"
    target.mkdir()

    def look() -> tuple[int, str]:
        overlay(store.snapshots.mount(parent, "c"), target)
        return len(list(target.iterdir())), (target / "same").read_text()

    assert privately(look) == (201, "199")
    assert str(target) not in Path("/proc/self/mountinfo").read_text()


@as_root
def test_what_the_kernel_writes_into_an_upper_becomes_the_layer(
    store: Store, tmp_path: Path
) -> None:
    """Delete, replace, create, chmod: committed, removed, unpacked, and it looks the same."""
    base = layer(store, "", ("gone", "x"), ("dir/a", "a"), ("dir/b", "b"), ("tree/x", "x"),
                 ("file", "f"), ("mode", "m"))  # fmt: skip
    store.snapshots.prepare("k", base.chain_id, transient=True)
    target = tmp_path / "merged"
    target.mkdir()

    def change() -> None:
        overlay(store.snapshots.mount(base.chain_id, "k"), target)
        (target / "gone").unlink()
        shutil.rmtree(target / "tree")
        (target / "tree").mkdir()
        (target / "tree/new").write_text("new")
        (target / "dir/a").unlink()
        (target / "file").unlink()
        (target / "file").mkdir()
        (target / "fresh").mkdir()
        (target / "mode").chmod(0o600)

    def see(chain: str) -> dict[str, object]:
        def look() -> dict[str, object]:
            overlay(store.snapshots.mount(chain), target)
            return {
                str(path.relative_to(target)): (path.lstat().st_mode, path.lstat().st_mtime_ns)
                for path in sorted(target.rglob("*"))
            }

        return privately(look)

    privately(change)
    committed = store.snapshots.commit("k", base.chain_id)
    adopted = see(committed.chain_id)
    assert sorted(adopted) == ["dir", "dir/b", "file", "fresh", "mode", "tree", "tree/new"]
    with (
        gzip.open(store.content.path(committed.blob.digest)) as file,
        tarfile.open(fileobj=file) as archive,
    ):
        names = archive.getnames()
    assert names == [
        "dir", "dir/.wh.a", "file", "fresh", ".wh.gone", "mode", "tree", "tree/.wh..wh..opq",
        "tree/new",
    ]  # fmt: skip
    store.snapshots.remove(committed.chain_id)
    again = store.snapshots.unpack(base.chain_id, committed.diff_id, committed.blob)
    assert see(again.chain_id) == adopted


@as_root
def test_a_full_disk_is_one_clear_error_and_leaves_the_store_usable(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    data = os.urandom(6_000_000)
    blob = Descriptor("x/y", digest_of(data), len(data))
    (tmp_path / "tar").mkdir()
    (tmp_path / "tar/f").write_bytes(data)
    tar = subprocess.run(["tar", "-C", tmp_path / "tar", "-c", "."], check=True,
                         capture_output=True).stdout  # fmt: skip

    def work() -> None:
        check(_libc.mount(b"tmpfs", os.fsencode(disk), b"tmpfs", 0, b"size=4m"))
        with Store.open(disk / "root") as store:
            with (
                pytest.raises(StorageError, match="disk full") as caught,
                store.content.ingest(blob) as ingest,
            ):
                ingest.write(data)
            assert "prune" in caught.value.hint
            with store.content.ingest(blob) as ingest:
                assert 0 < ingest.offset < len(data)
                ingest.restart()
            with pytest.raises(StorageError, match="disk full"):
                store.snapshots.unpack("", digest_of(tar), blob, lambda: io.BytesIO(tar))
            with pytest.raises(StorageError, match="disk full"):
                store.snapshots.import_tar(io.BytesIO(tar))
            assert os.listdir(disk / "root/staging") == []
            assert store.content.digests() == []
            assert store.content.put(b"fits", "text/plain").size == 4
            assert layer(store, "", ("small", "x")).entries == 1

    privately(work)


def image(store: Store) -> Descriptor:
    base = layer(store, "", ("etc/hello", "hello"))
    config = ImageConfig("amd64", "linux", rootfs=RootFS("layers", (base.diff_id,)))
    config_blob = store.content.put(encode_json(config), CONFIG)
    manifest = encode_json(new_manifest(config_blob, (base.blob,)))
    described = store.content.put(manifest, MANIFEST)
    store.content.set_index([("example.org/hello:1", described)])
    return described


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="needs skopeo")
def test_skopeo_reads_the_layout(store: Store) -> None:
    import json

    described = image(store)
    output = subprocess.run(
        ["skopeo", "inspect", f"oci:{store.content.root}:example.org/hello:1"],
        check=True, capture_output=True, timeout=30,
    ).stdout  # fmt: skip
    assert json.loads(output)["Digest"] == described.digest


@as_root
@pytest.mark.skipif(shutil.which("umoci") is None, reason="needs umoci")
def test_umoci_unpacks_what_we_commit(store: Store, tmp_path: Path) -> None:
    upper = store.snapshots.prepare("k")
    (upper / "etc").mkdir()
    (upper / "etc/f").write_text("x")
    os.link(upper / "etc/f", upper / "etc/g")
    os.setxattr(upper / "etc/f", "user.a", b"b")
    committed = store.snapshots.commit("k", "")
    config = ImageConfig("amd64", "linux", rootfs=RootFS("layers", (committed.diff_id,)))
    config_blob = store.content.put(encode_json(config), CONFIG)
    manifest = store.content.put(
        encode_json(new_manifest(config_blob, (committed.blob,))), MANIFEST
    )
    store.content.set_index([("v1", manifest)])
    bundle = tmp_path / "bundle"
    subprocess.run(
        ["umoci", "unpack", "--image", f"{store.content.root}:v1", bundle],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    found = bundle / "rootfs/etc/f"
    assert found.read_text() == "x"
    assert found.stat().st_nlink == 2
    assert os.getxattr(found, "user.a") == b"b"


@as_root
def test_an_unprivileged_user_has_a_store_too(tmp_path: Path, forker: Forker) -> None:
    """Owners and devices are left out; the user's files are root's in the layers."""
    import tempfile

    base = tempfile.mkdtemp(prefix="store-user-", dir="/tmp")
    os.chown(base, 12345, 12345)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind, mode in (
            ("closed", tarfile.DIRTYPE, 0o500),
            ("closed/f", b"0", 0o400),
            ("dev/null", tarfile.CHRTYPE, 0o666),
            ("d", b"0", 0o644),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.uid = kind, mode, 33
            archive.addfile(info)
    try:
        arguments = (tmp_path / "warm", Path(base, "root"), buffer.getvalue())
        assert forker.run(_as_a_user, *arguments).returncode == 0
    finally:
        shutil.rmtree(base)


def _as_a_user(warm: Path, root: Path, tar: bytes) -> None:
    with Store.open(warm) as store:  # the user cannot read modules that are imported later
        store.snapshots.import_tar(io.BytesIO(tar))
    os.setgroups([])
    os.setresgid(12345, 12345, 12345)
    os.setresuid(12345, 12345, 12345)
    with Store.open(root) as store:
        base = store.snapshots.import_tar(io.BytesIO(tar))
        folder = store.snapshots.root / base.directory
        assert sorted(os.listdir(folder)) == ["closed", "d", "dev"]
        assert folder.joinpath("closed").stat().st_mode & 0o777 == 0o500
        assert os.listdir(folder / "dev") == []
        above = layer(store, base.chain_id, (".wh.d", ""), ("closed/.wh..wh..opq", ""))
        hidden = store.snapshots.root / above.directory
        assert os.getxattr(hidden / "closed", "user.overlay.opaque") == b"y"
        assert (hidden / "d").stat().st_rdev == 0
        upper = store.snapshots.prepare("k", base.chain_id)
        (upper / "f").write_text("x")
        committed = store.snapshots.commit("k", base.chain_id)
        with (
            gzip.open(store.content.path(committed.blob.digest)) as file,
            tarfile.open(fileobj=file) as archive,
        ):
            assert [(m.name, m.uid, m.gid) for m in archive] == [("f", 0, 0)]
        for chain in (committed.chain_id, above.chain_id, base.chain_id):
            assert store.snapshots.remove(chain)
        assert os.listdir(root / "staging") == []
