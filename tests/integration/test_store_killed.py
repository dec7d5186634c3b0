"""SIGKILL in the middle of the store's work: nothing half is used, a sweep removes the rest."""

from __future__ import annotations

import gzip
import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.oci.descriptor import LAYER_GZIP, Descriptor, digest_of
from jupyter_containers.store import Store
from tests.integration.forker import Forker

PROJECT = Path(__file__).parents[2]
HEAD = """
import gzip, os, sys, threading, time
from pathlib import Path
from jupyter_containers.oci.descriptor import *
from jupyter_containers.store import Store
store = Store.open(Path(sys.argv[1]))
def here():
    print("here", flush=True)
    time.sleep(60)
"""


def big_tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for number in range(3000):
            info = tarfile.TarInfo(f"d{number % 50}/f{number}")
            info.size = 2000
            archive.addfile(info, io.BytesIO(b"%04d" % number * 500))
    return buffer.getvalue()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "root") as opened:
        yield opened


def kill_at(store: Store, code: str, *arguments: str) -> None:
    """Run ``code`` in a separate process and kill it at its signal."""
    with subprocess.Popen(
        [sys.executable, "-c", HEAD + code, str(store.root), *arguments],
        stdout=subprocess.PIPE,
        cwd=PROJECT,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        process.send_signal(signal.SIGKILL)


def leftovers(store: Store) -> dict[str, list[str]]:
    return {
        name: os.listdir(store.root / name) for name in ("staging", "locks", "ingest", "uppers")
    }


NOTHING: dict[str, list[str]] = {"staging": [], "locks": [], "ingest": [], "uppers": []}


def test_a_killed_download_goes_on(store: Store) -> None:
    data = os.urandom(3_000_000)
    blob = Descriptor("x/y", digest_of(data), len(data))
    source = store.root / "data"
    source.write_bytes(data)
    kill_at(
        store,
        f"""
data = Path(sys.argv[1], "data").read_bytes()
with store.content.ingest(Descriptor("x/y", "{blob.digest}", {blob.size})) as ingest:
    ingest.write(data[:2_000_000])
    here()
""",
    )
    assert not store.content.has(blob.digest)
    report = store.sweep()
    assert (report.partials, report.locks) == (0, 1)
    with store.content.ingest(blob) as ingest:
        assert ingest.offset == 2_000_000
        ingest.write(data[2_000_000:])
        ingest.commit()
    assert store.content.has(blob.digest)
    assert leftovers(store) == NOTHING


@pytest.mark.parametrize("moment", ["entries", "before rename", "before ready"])
def test_a_killed_unpack_is_swept_and_done_again(store: Store, moment: str) -> None:
    tar = big_tar()
    blob = store.content.put(gzip.compress(tar, 1), LAYER_GZIP)
    hook = {
        "entries": "progress = lambda count: here() if count > 40_000 else None",
        "before rename": "real, progress = os.rename, None\n"
        "os.rename = lambda a, b: here() if '/layers/' in str(b) else real(a, b)",
        "before ready": "store.snapshots.layers.complete = lambda *a: here(); progress = None",
    }[moment]
    kill_at(
        store,
        f"""
{hook}
store.snapshots.unpack("", "{digest_of(tar)}", Descriptor("{LAYER_GZIP}", "{blob.digest}", 1),
                       progress=progress)
""",
    )
    assert not store.snapshots.has(digest_of(tar))
    assert store.sweep().layers == 1
    assert leftovers(store) == NOTHING
    assert os.listdir(store.snapshots.root) == ["scratch"]
    assert store.snapshots.unpack("", digest_of(tar), blob).entries == 3000


def test_without_a_sweep_the_next_unpack_repairs(store: Store) -> None:
    tar = big_tar()
    blob = store.content.put(gzip.compress(tar, 1), LAYER_GZIP)
    kill_at(
        store,
        f"""
store.snapshots.layers.complete = lambda *a: here()
store.snapshots.unpack("", "{digest_of(tar)}", Descriptor("{LAYER_GZIP}", "{blob.digest}", 1))
""",
    )
    assert store.snapshots.unpack("", digest_of(tar), blob).entries == 3000
    assert store.snapshots.has(digest_of(tar))


@pytest.mark.parametrize("moment", ["blob", "before record", "before ready"])
def test_a_killed_commit_leaves_nothing(store: Store, moment: str) -> None:
    hook = {
        "blob": "from jupyter_containers.store import ingest; ingest.os.fsync = lambda fd: here()",
        "before record": "store.snapshots.layers.begin = lambda *a: here()",
        "before ready": "store.snapshots.layers.complete = lambda *a: here()",
    }[moment]
    kill_at(
        store,
        f"""
upper = store.snapshots.prepare("step", transient=True)
for number in range(200):
    (upper / str(number)).write_bytes(os.urandom(10_000))
{hook}
with store.leases.hold() as lease:
    store.snapshots.commit("step", "", lease=lease)
""",
    )
    report = store.sweep()
    assert report.leases == 1
    assert leftovers(store) == NOTHING
    assert os.listdir(store.snapshots.root) == ["scratch"]
    assert store.snapshots.layers.all() == []
    store.collector.prune(store.collector.recorded_roots)
    assert store.content.digests() == []


def test_a_killed_removal_is_finished(store: Store) -> None:
    layer = store.snapshots.import_tar(io.BytesIO(big_tar()))
    kill_at(
        store,
        f"""
from jupyter_containers.store import staging
staging.removal.remove = lambda path: here()
store.snapshots.remove("{layer.chain_id}")
""",
    )
    assert not store.snapshots.has(layer.chain_id)
    store.sweep()
    assert leftovers(store) == NOTHING
    assert os.listdir(store.snapshots.root) == ["scratch"]


def test_a_sweep_leaves_living_processes_alone(store: Store) -> None:
    other = store.snapshots.prepare("mine", transient=True)
    with store.leases.hold(["a"]), store.content.writer() as writer:
        writer.write(b"x")
        report = store.sweep()
        assert (report.leases, report.staged, report.layers) == (0, 0, 0)
        assert writer.commit("x/y").size == 1
    assert other.is_dir()


def test_two_processes_do_the_work_once(store: Store) -> None:
    """Both ingest the same blob and unpack the same layer at the same time."""
    tar = big_tar()
    packed = gzip.compress(tar, 1, mtime=0)
    (store.root / "data").write_bytes(packed)
    code = (
        HEAD
        + f"""
blob = Descriptor("{LAYER_GZIP}", "{digest_of(packed)}", {len(packed)})
data = Path(sys.argv[1], "data").read_bytes()
while time.time() < float(sys.argv[2]):
    time.sleep(0.001)
with store.content.ingest(blob) as ingest:
    wrote = not ingest.present
    if wrote:
        time.sleep(0.2)
        ingest.write(data)
        ingest.commit()
opened = []
def open_blob():
    opened.append(1)
    return store.content.open(blob.digest)
layer = store.snapshots.unpack("", "{digest_of(tar)}", blob, open_blob)
print(int(wrote), len(opened), layer.entries)
"""
    )
    start = str(time.time() + 0.7)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(store.root), start],
            stdout=subprocess.PIPE,
            cwd=PROJECT,
            text=True,
        )
        for _ in range(3)
    ]
    results = [process.communicate(timeout=30)[0].split() for process in processes]
    assert sum(int(wrote) for wrote, _, _ in results) == 1
    assert sum(int(opened) for _, opened, _ in results) == 1
    assert {entries for _, _, entries in results} == {"3000"}
    assert leftovers(store) == NOTHING


def put(root: Path, start: float, number: int) -> None:
    while time.monotonic() < start:
        pass
    with Store.open(root) as opened:
        opened.records.cache_put(str(number), b"x")


def test_many_processes_may_create_the_store_at_once(tmp_path: Path, forker: Forker) -> None:
    for attempt in range(10):
        root, start = tmp_path / str(attempt), time.monotonic() + 0.03
        ended = forker.run_all([(put, (root, start, number)) for number in range(6)])
        assert [child.returncode for child in ended] == [0] * 6
        with Store.open(root) as opened:
            assert len(opened.records.cache_entries()) == 6
