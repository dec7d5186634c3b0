from __future__ import annotations

import json
import os
import sqlite3
import threading
from pathlib import Path

import msgspec
import pytest

from jupyter_containers.errors import (
    AlreadyExistsError,
    ImageNotFoundError,
    InvalidArgumentError,
    InvalidDigestError,
    NotFoundError,
    StorageError,
)
from jupyter_containers.oci.descriptor import MANIFEST, Descriptor, Platform, digest_of
from jupyter_containers.store import ImageRecord, Store


class Thing(msgspec.Struct, frozen=True):
    label: str
    count: int = 0


def image(number: int) -> ImageRecord:
    return ImageRecord(
        manifest=Descriptor(MANIFEST, digest_of(b"m%d" % number), 10),
        config_digest=digest_of(b"c%d" % number),
        platform=Platform("amd64", "linux"),
        created="2026-01-01T00:00:00Z",
        size=number,
        chain_ids=tuple(digest_of(b"l%d" % i) for i in range(10)),
    )


def test_images_and_names(store: Store) -> None:
    records, one, two = store.records, image(1), image(2)
    records.put_image(one)
    records.put_image(two)
    assert records.get_image(one.manifest.digest) == one
    assert one.chain_id == digest_of(b"l9")
    records.set_name("docker.io/library/a:1", one.manifest.digest, "sha256:" + "0" * 64)
    records.set_name("docker.io/library/b:1", one.manifest.digest)
    records.set_name("docker.io/library/b:1", two.manifest.digest)
    assert [(n.name, n.manifest_digest) for n in records.names()] == [
        ("docker.io/library/a:1", one.manifest.digest),
        ("docker.io/library/b:1", two.manifest.digest),
    ]
    assert [n.name for n in records.names(two.manifest.digest)] == ["docker.io/library/b:1"]
    found = records.get_name("docker.io/library/a:1")
    assert found is not None
    assert found.target_digest == "sha256:" + "0" * 64
    assert records.remove_name("docker.io/library/a:1")
    assert not records.remove_name("docker.io/library/a:1")
    assert records.delete_image(two.manifest.digest)
    assert records.names() == []
    with pytest.raises(ImageNotFoundError):
        records.set_name("x", two.manifest.digest)


@pytest.mark.parametrize("length", [4, 12, 64])
def test_images_are_found_by_the_beginning_of_id_or_digest(store: Store, length: int) -> None:
    one = image(1)
    store.records.put_image(one)
    for digest in (one.config_digest, one.manifest.digest):
        bare = digest.removeprefix("sha256:")[:length]
        assert store.records.find_images(bare) == [one]
        assert store.records.find_images("sha256:" + bare) == [one]
    assert store.records.find_images("zz") == []
    assert store.records.find_images("%") == []


def test_documents_live_under_an_id_and_a_name(store: Store) -> None:
    things = store.records.collection("things", Thing)
    others = store.records.collection("others", Thing)
    things.insert("aa11", "first", Thing("1"))
    things.insert("aa22", None, Thing("2"))
    things.insert("bb33", None, Thing("3"))
    others.insert("aa11", "first", Thing("other"))
    assert things.get("aa11") == things.by_name("first") == Thing("1")
    assert things.find("first") == things.find("aa11") == things.find("aa1") == Thing("1")
    assert things.find("b") == Thing("3")
    assert things.find("c") is things.find("") is None
    with pytest.raises(InvalidArgumentError, match="aa11, aa22"):
        things.find("aa")
    with pytest.raises(AlreadyExistsError, match="used by aa11"):
        things.insert("cc44", "first", Thing("x"))
    with pytest.raises(AlreadyExistsError):
        things.insert("aa11", "new", Thing("x"))
    things.replace("aa22", Thing("two"), name="second")
    assert things.by_name("second") == Thing("two")
    with pytest.raises(AlreadyExistsError):
        things.replace("aa22", Thing("two"), name="first")
    with pytest.raises(NotFoundError):
        things.replace("zz", Thing("x"))
    assert things.delete("aa11")
    assert not things.delete("aa11")
    assert [t.label for t in things.all()] == ["two", "3"]
    assert others.all() == [Thing("other")]


def test_a_name_wins_over_an_id_prefix(store: Store) -> None:
    things = store.records.collection("things", Thing)
    things.insert("abc1", None, Thing("by id"))
    things.insert("fff", "abc", Thing("by name"))
    assert things.find("abc") == Thing("by name")


def test_updates_of_many_threads_and_a_failing_one_are_whole(store: Store) -> None:
    things = store.records.collection("things", Thing)
    things.insert("id", "name", Thing("x"))

    def add() -> None:
        for _ in range(50):
            things.update("id", lambda t: Thing(t.label, t.count + 1))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with pytest.raises(ZeroDivisionError):
        things.update("id", lambda t: Thing(t.label, 1 // 0))
    assert things.get("id") == Thing("x", 200)


def test_a_forked_child_has_its_own_connection(store: Store) -> None:
    things = store.records.collection("things", Thing)
    things.insert("id", None, Thing("x"))
    pid = os.fork()
    if pid == 0:
        try:
            things.update("id", lambda t: Thing("child"))
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert things.get("id") == Thing("child")


def test_build_cache_and_blob_sources(store: Store) -> None:
    records = store.records
    records.cache_put("k1", b"1", f"sha256:{'a' * 64}")
    records.cache_put("k2", b"2")
    assert records.cache_get("k1") == b"1"
    assert records.cache_get("none") is None
    assert [e.key for e in records.cache_entries()] == ["k2", "k1"]
    assert records.cache_delete("k1")
    assert not records.cache_delete("k1")
    records.remember_blob_source("sha256:a", "r.example", "x/y")
    records.remember_blob_source("sha256:a", "r.example", "x/y")
    assert records.blob_sources("sha256:a") == [("r.example", "x/y")]


def test_records_of_a_newer_version_are_left_alone(tmp_path: Path) -> None:
    Store.open(tmp_path / "r").close()
    with sqlite3.connect(tmp_path / "r/records.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StorageError, match="newer version") as caught:
        Store.open(tmp_path / "r")
    assert "upgrade" in caught.value.hint


def test_a_damaged_database_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r/records.db").write_bytes(b"not a database" * 100)
    with pytest.raises(StorageError, match="not a database"):
        Store.open(tmp_path / "r")


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "r")
    store.close()
    store.close()
    with pytest.raises(StorageError, match="closed"):
        store.records.images()


def test_the_layouts_index_follows_the_names(store: Store) -> None:
    def index() -> dict[str, str]:
        document = json.loads((store.root / "content/index.json").read_bytes())
        key = "org.opencontainers.image.ref.name"
        return {entry["annotations"][key]: entry["digest"] for entry in document["manifests"]}

    one, two = image(1), image(2)
    store.records.put_image(one)
    store.records.put_image(two)
    store.set_name("docker.io/library/a:1", one.manifest.digest)
    store.set_name("localhost:5000/x/b:2", two.manifest.digest)
    assert index() == {"a:1": one.manifest.digest, "localhost:5000/x/b:2": two.manifest.digest}
    written = (store.root / "content/index.json").stat()
    store.set_name("docker.io/library/a:1", one.manifest.digest)
    assert (store.root / "content/index.json").stat().st_ino == written.st_ino, "nothing changed"
    store.set_name("docker.io/library/a:1", two.manifest.digest)
    assert index()["a:1"] == two.manifest.digest
    assert store.remove_name("localhost:5000/x/b:2")
    assert not store.remove_name("localhost:5000/x/b:2")
    assert set(index()) == {"a:1"}
    assert store.delete_image(two.manifest.digest)
    assert index() == {}


def test_an_image_comes_with_its_names_at_once(store: Store) -> None:
    one, target = image(1), digest_of(b"index")
    store.put_image(one, ["docker.io/library/a:1", "docker.io/library/b:1"], target)
    assert store.records.get_image(one.manifest.digest) == one
    assert [(entry.name[-3:], entry.target_digest) for entry in store.records.names()] == [
        ("a:1", target),
        ("b:1", target),
    ]
    changes = store.records.name_changes()
    assert not store.records.put_image(one, ["docker.io/library/a:1"], target)
    assert store.records.name_changes() == changes, "nothing changed"
    with pytest.raises(InvalidDigestError):
        store.put_image(msgspec.structs.replace(one, config_digest="x"), ["docker.io/library/c:1"])
    assert store.records.get_name("docker.io/library/c:1") is None


def test_who_deletes_images_knows_what_work_goes_on_with(store: Store) -> None:
    one, two = image(1), image(2)
    for number, record in enumerate((one, two)):
        store.put_image(record, [f"docker.io/library/a:{number}"])
    with store.leases.hold([one.manifest.digest]):
        every = {record.manifest.digest for record in store.records.images()}
        store.delete_images(lambda protected: every - protected)
    assert store.records.images() == [one]
    assert [entry.name for entry in store.records.names()] == ["docker.io/library/a:0"]
    assert not store.index_differs()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("{id}", True), ("{id7}", True), ("", False), ("sha256:", True), ("zz", False)],
)
def test_an_image_knows_its_id(text: str, expected: bool) -> None:
    one = image(1)
    text = text.format(id=one.config_digest, id7=one.config_digest[7:14])
    assert one.has_id(text) is expected
