from __future__ import annotations

import json
import os
import threading
import time
from typing import BinaryIO

import pytest

from jupyter_containers.errors import (
    BlobNotFoundError,
    DigestMismatchError,
    InvalidDigestError,
    OperationCancelledError,
    SizeMismatchError,
    VerificationError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.oci.descriptor import Descriptor, digest_of
from jupyter_containers.store import Store

DATA = os.urandom(300_000)
BLOB = Descriptor("application/octet-stream", digest_of(DATA), len(DATA))


def receive(store: Store, data: bytes) -> None:
    with store.content.ingest(BLOB) as ingest:
        ingest.write(data)
        ingest.commit()


def test_a_blob_appears_only_when_it_is_committed(store: Store) -> None:
    with store.content.ingest(BLOB) as ingest:
        assert (ingest.present, ingest.offset) == (False, 0)
        ingest.write(DATA)
        assert not store.content.has(BLOB.digest)
        ingest.commit()
    assert store.content.read(BLOB.digest) == DATA
    assert store.content.size(BLOB.digest) == len(DATA)
    with store.content.ingest(BLOB) as again:
        assert again.present
    assert store.content.delete(BLOB.digest)
    assert not store.content.delete(BLOB.digest)


def test_an_ingest_goes_on_where_the_last_one_stopped(store: Store) -> None:
    with store.content.ingest(BLOB) as ingest:
        ingest.write(DATA[:100_000])
    with store.content.ingest(BLOB) as ingest:
        assert ingest.offset == 100_000
        ingest.write(DATA[100_000:])
        ingest.commit()
    assert store.content.has(BLOB.digest)


def test_restart_drops_what_was_received(store: Store) -> None:
    with store.content.ingest(BLOB) as ingest:
        ingest.write(b"wrong")
    with store.content.ingest(BLOB) as ingest:
        ingest.restart()
        assert ingest.offset == 0
        ingest.write(DATA)
        ingest.commit()
    assert store.content.read(BLOB.digest) == DATA


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (DATA[:-1], SizeMismatchError),
        (DATA + b"x", SizeMismatchError),
        (DATA[:-1] + bytes([DATA[-1] ^ 1]), DigestMismatchError),
    ],
)
def test_wrong_bytes_are_refused_and_dropped(
    store: Store, data: bytes, error: type[VerificationError]
) -> None:
    with pytest.raises(error):
        receive(store, data)
    assert not store.content.has(BLOB.digest)
    assert os.listdir(store.root / "ingest") == []


def test_a_damaged_partial_cannot_become_a_blob(store: Store) -> None:
    with store.content.ingest(BLOB) as ingest:
        ingest.write(DATA[:1000])
    [partial] = (store.root / "ingest").iterdir()
    partial.write_bytes(bytes(1000))
    with pytest.raises(DigestMismatchError):
        receive(store, DATA[1000:])


def test_a_second_ingest_waits_and_then_finds_the_blob(store: Store) -> None:
    entered, found = threading.Event(), []

    def second() -> None:
        entered.set()
        with store.content.ingest(BLOB) as ingest:
            found.append(ingest.present)

    with store.content.ingest(BLOB) as ingest:
        thread = threading.Thread(target=second)
        thread.start()
        entered.wait()
        time.sleep(0.1)
        assert found == []
        ingest.write(DATA)
        ingest.commit()
    thread.join(5)
    assert found == [True]


def test_waiting_for_an_ingest_can_be_cancelled(store: Store) -> None:
    token = CancelToken()
    threading.Timer(0.1, token.cancel).start()
    started = time.monotonic()
    with (
        store.content.ingest(BLOB),
        pytest.raises(OperationCancelledError),
        store.content.ingest(BLOB, token),
    ):
        pass
    assert time.monotonic() - started < 10  # the other ingest never ends


def test_a_writer_learns_the_digest_and_leaves_nothing_when_dropped(store: Store) -> None:
    with store.content.writer() as writer:
        writer.write(b"dropped")
    with store.content.writer() as writer:
        writer.write(DATA[:10])
        writer.write(DATA[10:])
        assert writer.commit(BLOB.media_type) == BLOB
    assert store.content.digests() == [BLOB.digest]
    assert os.listdir(store.root / "staging") == []


def test_reading_checks_limit_and_damage(store: Store) -> None:
    blob = store.content.put(b"hello", "text/plain")
    with pytest.raises(VerificationError, match="limit of 4 bytes"):
        store.content.read(blob.digest, limit=4)
    path = store.content.path(blob.digest)
    path.chmod(0o644)
    path.write_bytes(b"jello")
    with pytest.raises(DigestMismatchError, match="damaged"):
        store.content.read(blob.digest)


def test_missing_and_malformed_digests(store: Store) -> None:
    for action in (store.content.read, store.content.size, store.content.open):
        with pytest.raises(BlobNotFoundError):
            action(BLOB.digest)
    with pytest.raises(InvalidDigestError):
        store.content.path("sha256:../../etc/passwd")


def test_sha512_blobs_are_verified_too(store: Store) -> None:
    import hashlib

    blob = Descriptor("x/y", "sha512:" + hashlib.sha512(DATA).hexdigest(), len(DATA))
    with store.content.ingest(blob) as ingest:
        ingest.write(DATA)
        ingest.commit()
    assert store.content.digests() == [blob.digest]


def test_partials_are_kept_for_a_week(store: Store) -> None:
    with store.content.ingest(BLOB) as ingest:
        ingest.write(DATA[:10])
    assert store.content.sweep() == 0
    assert store.content.sweep(now=time.time() + 8 * 24 * 3600) == 1
    assert os.listdir(store.root / "ingest") == []


def test_partials_that_go_away_while_others_sweep_are_no_error(store: Store) -> None:
    for number in range(300):
        (store.root / "ingest" / f"sha256-{number:064}").touch()
    later, counts = time.time() + 8 * 24 * 3600, []
    threads = [
        threading.Thread(target=lambda: counts.append(store.content.sweep(now=later)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == 8, "nobody failed"
    assert sum(counts) == 300, "each is counted by the one that removed it"


def test_the_index_names_what_is_stored(store: Store) -> None:
    blob = store.content.put(b"{}", "application/vnd.oci.image.manifest.v1+json")
    store.content.set_index([("docker.io/library/x:1", blob)])
    index = json.loads((store.content.root / "index.json").read_text())
    [entry] = index["manifests"]
    assert entry["digest"] == blob.digest
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == "docker.io/library/x:1"
    layout = json.loads((store.content.root / "oci-layout").read_text())
    assert layout == {"imageLayoutVersion": "1.0.0"}


def test_the_store_is_private(store: Store) -> None:
    assert store.root.stat().st_mode & 0o777 == 0o700
    for path in (store.root / "records.db", store.root / "content"):
        assert path.stat().st_mode & 0o077 == 0


def test_a_blob_is_read_while_it_arrives(store: Store) -> None:
    data = os.urandom(300_000)
    blob = Descriptor("x/y", digest_of(data), len(data))
    found: list[bytes] = []

    def read(source: BinaryIO) -> None:
        with source:
            while chunk := source.read(70_000):
                found.append(chunk)

    with store.content.ingest(blob) as ingest:
        ingest.write(data[:1000])
        thread = threading.Thread(target=read, args=(ingest.follow(),))
        thread.start()
        for start in range(1000, len(data), 50_000):
            ingest.write(data[start : start + 50_000])
        thread.join(0.1)
        assert thread.is_alive(), "the end comes with the commit only"
        ingest.commit()
        thread.join(5)
    assert b"".join(found) == data


def test_who_follows_a_blob_that_does_not_arrive_is_told(store: Store) -> None:
    blob = Descriptor("x/y", digest_of(b"abc"), 3)
    with store.content.ingest(blob) as ingest:
        ingest.write(b"xyz")
        reader = ingest.follow()
        assert reader.read(10) == b"xyz"
        with pytest.raises(DigestMismatchError):
            ingest.commit()
        with pytest.raises(OperationCancelledError):
            reader.read(10)
        reader.close()
        with pytest.raises(OperationCancelledError):
            ingest.follow()
