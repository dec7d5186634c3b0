"""One layer that arrives in two forms, plain and compressed: each image keeps the blob it names.

Seen to fail while a plain layer counted as present as soon as its compressed form was: ``save`` and
``push`` of the plain image ended with "blob … is not in the store", in both orders of arrival
where the compressed one came first.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from tests.integration.registry_server import DockerRegistry, ScriptedRegistry
from tests.integration.served_image import CONFIG, MANIFEST, ServedImage, digest, member, tar

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

LAYER = tar(member("a", b"first" * 5000))
UPPER = tar(member("b", b"second" * 5000))
PLAIN, GZIP = "example.test/plain:1", "example.test/gzip:1"
Bring = Callable[[Engine], None]


def layout(name: str, *, compress: bool) -> bytes:
    """Return an archive of an image of two layers, plain or compressed; its digest is its own."""
    layers = [gzip.compress(one, 1, mtime=0) if compress else one for one in (LAYER, UPPER)]
    kind = "application/vnd.oci.image.layer.v1.tar" + ("+gzip" if compress else "")
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": {"form": kind}},
        "rootfs": {"type": "layers", "diff_ids": [digest(LAYER), digest(UPPER)]},
    }
    files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}

    def blob(data: bytes, media_type: str) -> dict[str, Any]:
        files[f"blobs/sha256/{digest(data)[7:]}"] = data
        return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": blob(json.dumps(config).encode(), CONFIG),
        "layers": [blob(layer, kind) for layer in layers],
    }
    named = {"io.containerd.image.name": name}
    entry = {**blob(json.dumps(manifest).encode(), MANIFEST), "annotations": named}
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path, data in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def load_plain(engine: Engine) -> None:
    engine.images.load(layout(PLAIN, compress=False))


def load_gzip(engine: Engine) -> None:
    engine.images.load(layout(GZIP, compress=True))


def sendable(engine: Engine, name: str, registry: DockerRegistry, tmp_path: Path) -> None:
    """Save and push the image, and check that a fresh store takes it back."""
    saved = tmp_path / "saved.tar"
    engine.images.save(name, saved)
    with tarfile.open(saved) as archive:
        for entry in archive.getmembers():
            if entry.name.startswith("blobs/sha256/"):
                file = archive.extractfile(entry)
                assert file is not None
                assert digest(file.read())[7:] == Path(entry.name).name
    target = f"{registry.host}/forms:{name.partition('/')[2].replace(':', '-')}"
    engine.images.tag(name, target)
    engine.push(target)
    engine.images.remove(target)


@pytest.mark.parametrize(
    ("first", "second"), [(load_plain, load_gzip), (load_gzip, load_plain)], ids=["plain", "gzip"]
)
@pytest.mark.parametrize("gone", [PLAIN, GZIP])
def test_each_image_keeps_the_form_that_it_names(
    own: Engine, registry: DockerRegistry, tmp_path: Path, first: Bring, second: Bring, gone: str
) -> None:
    first(own)
    second(own)
    for name in (PLAIN, GZIP):
        sendable(own, name, registry, tmp_path)
    own.system.prune()
    own.images.remove(gone)
    own.system.prune(all=False)
    (left,) = {PLAIN, GZIP} - {gone}
    sendable(own, left, registry, tmp_path)
    assert own.system.check().problems == ()
    own.images.remove(left)
    own.system.prune()
    assert own._context.store.content.digests() == []


@pytest.mark.parametrize("pulled_first", [True, False])
def test_a_plain_archive_and_a_compressed_pull(
    own: Engine, registry: DockerRegistry, tmp_path: Path, pulled_first: bool
) -> None:
    served = ServedImage()
    served.image([LAYER, UPPER], "1", level=9, Labels={"form": "served"})
    with ScriptedRegistry(served) as scripted:
        name = f"{scripted.host}/app:1"
        steps: list[Bring] = [lambda engine: engine.pull(name) and None, load_plain]
        for step in steps if pulled_first else reversed(steps):
            step(own)
    for each in (PLAIN, name):
        sendable(own, each, registry, tmp_path)
    own.system.prune()
    own.images.remove(name)
    own.system.prune()
    sendable(own, PLAIN, registry, tmp_path)
    assert own.system.check().problems == ()


def test_a_repair_makes_the_plain_form_of_the_compressed(
    own: Engine, registry: DockerRegistry, tmp_path: Path
) -> None:
    """A store of before, in which the plain blobs are missing, is mended without a registry.

    Seen to fail while the repair gave the image up.
    """
    load_gzip(own)
    load_plain(own)
    for layer in (LAYER, UPPER):
        own._context.store.content.path(digest(layer)).unlink()
    report = own.system.check(repair=True)
    assert {problem.kind for problem in report.repaired} == {"missing blob"}
    assert report.problems == ()
    sendable(own, PLAIN, registry, tmp_path)
