from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_containers.oci.descriptor import MANIFEST, Descriptor, Platform, encode_json
from jupyter_containers.oci.image import new_manifest
from jupyter_containers.store import ImageRecord, Roots, Store
from jupyter_containers.store.owner import Owner


def test_a_lease_protects_until_its_end(store: Store) -> None:
    with store.leases.hold(["a"]) as lease:
        lease.add("b", "")
        assert store.leases.protected() == {"a", "b"}
        epoch = store.leases.epoch()
    assert store.leases.protected() == frozenset()
    assert store.leases.epoch() == epoch + 1


def test_a_dead_owner_protects_nothing_and_is_swept(store: Store, tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from jupyter_containers.store import Store\n"
        "s = Store.open(Path(sys.argv[1])); held = s.leases.hold(['x']); held.__enter__()\n"
        "assert s.leases.protected() == {'x'}; os._exit(0)"
    )
    project = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", code, store.root], check=True, timeout=30, cwd=project)
    assert store.leases.protected() == frozenset()
    assert store.sweep().leases == 1
    assert store.sweep().leases == 0


def test_owners_are_told_apart_by_their_start(store: Store) -> None:
    me = Owner.current()
    assert me.alive
    assert Owner.parse(str(me)) == me
    assert not Owner(me.pid, me.started + 1, me.boot).alive
    assert not Owner(me.pid, me.started, "00000000").alive
    assert Owner.parse("x") is None


def _image(store: Store, label: str, make_tar: object) -> ImageRecord:
    import io

    layer = store.snapshots.import_tar(io.BytesIO(make_tar(("file", label, label))))
    config = store.content.put(b'{"label":"%s"}' % label.encode(), "application/json")
    manifest = store.content.put(encode_json(new_manifest(config, (layer.blob,))), MANIFEST)
    record = ImageRecord(
        Descriptor(MANIFEST, manifest.digest, manifest.size),
        config.digest,
        Platform("amd64", "linux"),
        chain_ids=(layer.chain_id,),
    )
    store.records.put_image(record)
    return record


def test_prune_removes_exactly_what_nothing_reaches(store: Store, make_tar: object) -> None:
    keep, drop = _image(store, "keep", make_tar), _image(store, "drop", make_tar)
    leased, cached, used = (_image(store, n, make_tar) for n in ("leased", "cached", "used"))
    stray = store.content.put(b"stray", "text/plain")
    store.records.cache_put("key", b"", cached.chain_id)
    for image in (drop, leased, cached, used):
        store.records.delete_image(image.manifest.digest)

    def roots() -> Roots:
        found = store.collector.recorded_roots()
        return Roots(found.digests, found.chain_ids | {used.chain_id})

    with store.leases.hold([leased.manifest.digest, leased.chain_id]):
        found = store.collector.unreferenced(roots())
        assert [layer.chain_id for layer in found.layers] == [drop.chain_id]
        removed = store.collector.prune(roots)
    assert removed == found
    assert removed.bytes > 0
    assert not store.content.has(stray.digest)
    assert not store.content.has(drop.manifest.digest)
    assert not store.snapshots.has(drop.chain_id)
    for image in (keep, leased, cached, used):
        assert store.snapshots.has(image.chain_id)
    for image in (keep, leased):
        assert store.content.has(image.manifest.digest)
        assert store.content.has(image.config_digest)
    assert len(os.listdir(store.snapshots.root)) == 1 + 4
    again = store.collector.prune(roots)
    assert [layer.chain_id for layer in again.layers] == [leased.chain_id]


def test_prune_looks_again_when_a_lease_ended_meanwhile(store: Store) -> None:
    """A pull records its image and ends its lease between the look and the deletion."""
    blob = store.content.put(b"new", "text/plain")
    calls = []

    def roots() -> Roots:
        calls.append(1)
        if len(calls) > 1:
            return Roots(frozenset({blob.digest}))
        with store.leases.hold([blob.digest]):
            pass
        return Roots()

    store.collector.prune(roots)
    assert len(calls) == 2
    assert store.content.has(blob.digest)


def test_a_layer_below_another_is_not_removed(store: Store, make_tar: object) -> None:
    from jupyter_containers.errors import InUseError

    base = _image(store, "base", make_tar).chain_id
    upper = store.snapshots.prepare("k", base)
    (upper / "f").write_text("x")
    top = store.snapshots.commit("k", base)
    with pytest.raises(InUseError):
        store.snapshots.remove(base)
    with store.leases.hold([top.chain_id]):
        assert not store.snapshots.remove(top.chain_id)
    assert store.snapshots.remove(top.chain_id)
    assert store.snapshots.remove(base)
    assert not store.snapshots.remove(base)
