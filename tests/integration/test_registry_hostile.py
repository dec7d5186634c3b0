"""A registry that means harm: what it sends is refused by name or kept inside, and nothing is left.

Two tables: layers whose archives attack the file system, and registries whose documents and bodies
lie.  Every row ends with the same look around: nothing outside the store was touched, nothing was
recorded, and the same engine pulls an honest image afterwards.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import (
    ArchiveError,
    ContainersError,
    ImageNotFoundError,
    RegistryError,
    UnsupportedError,
    VerificationError,
)
from jupyter_containers.store.compression import Limits
from tests.integration.registry_server import Answer, Asked, ScriptedRegistry
from tests.integration.served_image import INDEX, MANIFEST, ServedImage, digest, member, tar

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

Member = tuple[tarfile.TarInfo, bytes]


def link(name: str, target: str) -> Member:
    return member(name, type=b"2", linkname=target)


def hard(name: str, target: str) -> Member:
    return member(name, type=b"1", linkname=target)


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A folder beside the store that nothing may touch."""
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "secret").write_text("secret")
    before = (folder / "secret").stat()
    passwd = Path("/etc/passwd").stat()
    yield folder
    after = (folder / "secret").stat()
    assert os.listdir(folder) == ["secret"]
    assert (folder / "secret").read_text() == "secret"
    assert (after.st_nlink, after.st_mode, after.st_mtime_ns, after.st_uid) == (
        before.st_nlink,
        before.st_mode,
        before.st_mtime_ns,
        before.st_uid,
    )
    now = Path("/etc/passwd").stat()
    assert (now.st_nlink, now.st_mtime_ns, now.st_mode) == (
        passwd.st_nlink,
        passwd.st_mtime_ns,
        passwd.st_mode,
    )
    assert not Path("/escaped").exists()


def escaped(engine: Engine, folder: Path) -> list[Path]:
    """Return the files called ``escaped`` that are not inside a layer."""
    layers = engine.settings.root / "layers"
    return [path for path in folder.rglob("escaped") if layers not in path.parents]


def nothing_left(engine: Engine) -> None:
    root = engine.settings.root
    assert engine.images() == []
    assert os.listdir(root / "staging") == []
    assert engine._rooms.store.snapshots.layers.incomplete() == []
    engine.prune(all=True)
    assert engine._rooms.store.content.digests() == []


def honest(engine: Engine, served: ServedImage, scripted: ScriptedRegistry) -> None:
    scripted.script = served
    served.lies.clear()
    image = served.image([tar(member("fine", b"1"))], "honest")
    assert engine.pull(f"{scripted.host}/fine:honest").digest == image["digest"]


# -- archives -------------------------------------------------------------------------------------

CHAIN = [link(f"l{n}", f"l{n + 1}") for n in range(100)]
DEEP = "/".join("d" * 200 for _ in range(20))

# Rows: the layers' members ({victim} stands for the folder), and what the error says about the
# entry; empty where the archive is taken and simply stays inside.
ARCHIVES: dict[str, tuple[list[list[Member]], str]] = {
    "dots": ([[member("../../../../../../../escaped", b"x")]], ""),
    "dots in the middle": ([[member("a/../../../../../../escaped", b"x")]], ""),
    "an absolute name": ([[member("/escaped", b"x")]], ""),
    "a name of slashes and dots": ([[member("////.//..//escaped", b"x")]], ""),
    "a link to the outside": ([[link("d", "{victim}"), member("d/escaped", b"x")]], "d/escaped"),
    "a link upwards": (
        [[link("d", "../../../../../../.."), member("d/escaped", b"x")]],
        "",
    ),
    "a link to a link": (
        [[link("a", ".."), link("b", "a/../{victim}"), member("b/escaped", b"x")]],
        "b/escaped",
    ),
    "a link over a link": (
        [[link("a", "{victim}"), link("a/b", "{victim}"), member("a/b/escaped", b"x")]],
        "a/b",
    ),
    "100 links to the outside": (
        [[*CHAIN, link("l100", "{victim}"), member("l0/escaped", b"x")]],
        "l0/escaped",
    ),
    "a link to itself": ([[link("l", "l"), member("l/escaped", b"x")]], "l/escaped"),
    "a file through a link": (
        [[link("f", "{victim}/secret"), member("f", b"overwritten")]],
        "",
    ),
    "a folder through a link": (
        [[link("d", "{victim}"), member("d", type=b"5", mode=0o777)]],
        "",
    ),
    "a link of the layer below": (
        [[link("d", "{victim}")], [member("d/escaped", b"x")]],
        "",
    ),
    "a hard link to the outside": ([[hard("h", "{victim}/secret")]], "h"),
    "a hard link upwards": ([[hard("h", "../../../../../../../etc/passwd")]], "h"),
    "a hard link through a link": (
        [[link("d", "{victim}"), hard("h", "d/secret"), member("h", b"overwritten")]],
        "h",
    ),
    "a hard link to a link": (
        [[link("l", "{victim}/secret"), hard("h", "l"), member("h", b"overwritten")]],
        "",
    ),
    "a hard link to the layer below": ([[member("f", b"1")], [hard("h", "f")]], "h"),
    "a hard link to itself": ([[hard("h", "h")]], ""),
    "a whiteout upwards": ([[member("f", b"1")], [member(".wh...", b"")]], r"\.wh\.\.\."),
    "a whiteout of nothing": ([[member("f", b"1")], [member("a/.wh.", b"")]], r"a/\.wh\."),
    "a whiteout through a link": (
        [[link("d", "{victim}")], [member("d/.wh.secret", b"")]],
        "",
    ),
    "an opaque folder through a link": (
        [[member("f", b"1")], [link("d", "{victim}"), member("d/.wh..wh..opq", b"")]],
        "d/",
    ),
    "a name twice": (
        [[member("n", b"1"), link("n", "{victim}/secret"), member("n", b"2")]],
        "",
    ),
    "a folder in place of a link": (
        [[link("n", "{victim}"), member("n", type=b"5"), member("n/escaped", b"x")]],
        "",
    ),
    "a file as a folder": ([[member("f", b"x"), member("f/escaped", b"x")]], "f/escaped"),
    "a long name": ([[member("x" * 300, b"x")]], "x{40}"),
    "a deep name": ([[member(f"{DEEP}/f", b"x")]], ""),
    "a very long link": ([[link("l", "y" * 5000)]], "entry 'l'"),
    "100,000 folders deep": ([[member("/".join("a" * 30_000), b"x")]], "a/"),
    "a name with a line break": ([[member("a\nb\x1b[31m/../../escaped", b"x")]], ""),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_archives_stay_inside(
    own: Engine,
    served: ServedImage,
    scripted: ScriptedRegistry,
    victim: Path,
    tmp_path: Path,
    kind: str,
) -> None:
    layers, entry = ARCHIVES[kind]
    packed = []
    for members in layers:
        for info, _ in members:
            info.linkname = info.linkname.replace("{victim}", str(victim))
        packed.append(tar(*members))
    # Linknames are shared by all runs of the table: what was put in is taken out again.
    for members in layers:
        for info, _ in members:
            info.linkname = info.linkname.replace(str(victim), "{victim}")
    served.image(packed, "1")
    blobs = [d for d, data in served.blobs.items() if data[:2] == b"\x1f\x8b"]
    name = f"{scripted.host}/evil:1"
    if entry:
        with pytest.raises(ArchiveError, match=entry) as caught:
            own.pull(name)
        assert any(blob[7:19] in str(caught.value) for blob in blobs), "the layer is named"
        assert "\n" not in caught.value.message
        assert "\x1b" not in caught.value.message
        nothing_left(own)
    else:
        own.pull(name)
        own.remove_image(name)
    assert escaped(own, tmp_path) == []
    honest(own, served, scripted)


def raw_layer(*blocks: bytes) -> bytes:
    return b"".join(blocks) + bytes(1024)


def header(name: bytes, size: int, kind: bytes = b"0", **fields: Any) -> bytes:
    info = tarfile.TarInfo("x")
    info.size, info.type = 0, kind
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[0:100] = name[:100].ljust(100, b"\0")
    block[124:136] = fields.get("raw_size", b"%011o\0" % size)
    block[148:156] = b" " * 8
    total = sum(block)
    block[148:156] = b"%06o\0 " % total
    return bytes(block)


def pax(records: bytes) -> bytes:
    return header(b"pax", len(records), b"x") + records + bytes(-len(records) % 512)


def record(key: bytes, value: bytes) -> bytes:
    body = b" " + key + b"=" + value + b"\n"
    size = len(body)
    while len(str(size).encode() + body) != size:
        size = len(str(size).encode() + body)
    return str(size).encode() + body


MALFORMED: dict[str, bytes] = {
    "a size below zero": raw_layer(header(b"f", 0, raw_size=b"\xff" * 12)),
    "a size of 2^80": raw_layer(header(b"f", 0, raw_size=b"\x80" + b"\x7f" * 11)),
    "more bytes than there are": raw_layer(header(b"f", 10**9)),
    "a pax size below zero": raw_layer(pax(record(b"size", b"-5")), header(b"f", 0)),
    "a pax path with a NUL": raw_layer(pax(record(b"path", b"a\0b")), header(b"f", 0)),
    "a pax length that lies": raw_layer(pax(b"999 path=x\n"), header(b"f", 0)),
    "a pax header of 64 MiB": raw_layer(header(b"pax", 64 * 2**20, b"x")),
    "a GNU name of 64 MiB": raw_layer(header(b"long", 64 * 2**20, b"L")),
    "a wrong checksum": raw_layer(b"f".ljust(512, b"\1")),
    "a sparse map that overlaps": raw_layer(
        pax(
            record(b"GNU.sparse.major", b"0")
            + record(b"GNU.sparse.minor", b"1")
            + record(b"GNU.sparse.name", b"f")
            + record(b"GNU.sparse.size", b"10")
            + record(b"GNU.sparse.map", b"0,8,4,8")
        ),
        header(b"f", 16),
        bytes(512),
    ),
    "a sparse map beyond the end": raw_layer(
        pax(
            record(b"GNU.sparse.major", b"0")
            + record(b"GNU.sparse.minor", b"1")
            + record(b"GNU.sparse.name", b"f")
            + record(b"GNU.sparse.size", b"10")
            + record(b"GNU.sparse.map", b"1000000000000000,8")
        ),
        header(b"f", 8),
        bytes(512),
    ),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_archives_are_refused(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry, kind: str
) -> None:
    served.image([MALFORMED[kind]], "1")
    with pytest.raises(ArchiveError, match=r"layer [0-9a-f]{12}"):
        own.pull(f"{scripted.host}/evil:1")
    nothing_left(own)
    honest(own, served, scripted)


def test_sparse_and_pax_forms_that_are_honest(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry
) -> None:
    long = "n" * 200 + "/" + "ü" * 100
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo(long)
        info.size = 1
        archive.addfile(info, io.BytesIO(b"1"))
    sparse = raw_layer(
        pax(
            record(b"GNU.sparse.major", b"0")
            + record(b"GNU.sparse.minor", b"1")
            + record(b"GNU.sparse.name", b"holes")
            + record(b"GNU.sparse.size", b"1000000")
            + record(b"GNU.sparse.map", b"999996,4")
        ),
        header(b"f", 4),
        b"tail".ljust(512, b"\0"),
    )
    served.image([stream.getvalue(), sparse], "1")
    own.pull(f"{scripted.host}/forms:1")
    [holes] = (own.settings.root / "layers").rglob("holes")
    assert holes.stat().st_size == 1_000_000
    assert holes.read_bytes().endswith(b"\0tail")
    [name] = (own.settings.root / "layers").rglob("n" * 200 + "/*")
    assert name.read_bytes() == b"1"


def test_devices_of_a_layer_open_nothing(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry
) -> None:
    devices = [
        member("disk", type=b"4", devmajor=8, devminor=0, mode=0o666),
        member("kmem", type=b"3", devmajor=1, devminor=1, mode=0o666),
    ]
    own.bootstrap("busybox")
    [program] = (own.settings.root / "layers").glob("*/bin/busybox")
    shell = tar(member("bin/sh", program.read_bytes()), *devices)
    served.image([shell], "1")
    name = f"{scripted.host}/devices:1"
    own.pull(name)
    script = "cat </disk; cat </kmem; echo done"
    result = own.run(name, ["/bin/sh", "-c", script], rm=True, network="none")
    assert result.stdout == b"done\n"  # type: ignore[union-attr]
    text = result.stderr.decode()  # type: ignore[union-attr]
    assert text.count("Operation not permitted") == 2
    assert stat.S_IMODE(own.settings.root.stat().st_mode) == 0o700, "nor may others reach them"


def test_whiteouts_hide_what_is_below_and_nothing_else(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry
) -> None:
    own.bootstrap("busybox")
    [program] = (own.settings.root / "layers").glob("*/bin/busybox")
    base = tar(member("bin/sh", program.read_bytes()), member("d/old", b""), member("gone", b""))
    above = tar(
        member("d/new", b""),
        member("d/.wh..wh..opq", b""),
        member("kept", b""),
        member(".wh.kept", b""),
        member(".wh.gone", b""),
    )
    served.image([base, above], "1")
    own.pull(f"{scripted.host}/w:1")
    result = own.run(
        f"{scripted.host}/w:1",
        ["/bin/sh", "-c", "echo /d/* /kept* /gone*"],
        rm=True,
        network="none",
    )
    assert result.stdout == b"/d/new /kept /gone*\n"  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["gzip", "zstd", "gzip in gzip", "many entries", "many members"])
def test_bombs(own: Engine, served: ServedImage, scripted: ScriptedRegistry, kind: str) -> None:
    """The limits are those of the store, made small, so that the test is."""
    from backports.zstd import compress

    snapshots = own._rooms.store.snapshots
    snapshots._limits = Limits(entries=1000, ratio=100, ratio_floor=8 * 2**20, bytes=64 * 2**20)
    zeros = tar(member("zeros", bytes(48 * 2**20)))
    if kind == "many entries":
        zeros = tar(*(member(f"f{n}") for n in range(1001)))
    packed = compress(zeros) if kind == "zstd" else gzip.compress(zeros, 9)
    if kind == "gzip in gzip":
        packed = gzip.compress(packed, 9)
    if kind == "many members":
        packed = gzip.compress(zeros[: 24 * 2**20], 9) + gzip.compress(zeros[24 * 2**20 :], 9)
    served.image([zeros], "1")
    manifest = json.loads(served.manifests["1"][1])
    manifest["layers"] = [{**manifest["layers"][0], **served.blob(packed)}]
    served.document(manifest, MANIFEST, "1")
    with pytest.raises(ArchiveError, match=f"layer {digest(packed)[7:19]}"):
        own.pull(f"{scripted.host}/bomb:1")
    nothing_left(own)
    snapshots._limits = Limits()
    honest(own, served, scripted)


# -- documents and bodies -------------------------------------------------------------------------

Twist = Callable[[ServedImage, dict[str, Any]], Any]


def manifest_of(served: ServedImage) -> dict[str, Any]:
    served.image([tar(member("f", b"x" * 5000))], "1")
    document: dict[str, Any] = json.loads(served.manifests["1"][1])
    return document


def serve(served: ServedImage, document: Any, kind: str = MANIFEST) -> None:
    served.document(document, kind, "1")


def huge(served: ServedImage, document: dict[str, Any]) -> None:
    serve(served, {**document, "annotations": {"a": "x" * (5 * 2**20)}})


def many_layers(served: ServedImage, document: dict[str, Any]) -> None:
    serve(served, {**document, "layers": document["layers"] * 2000})


def both_kinds(served: ServedImage, document: dict[str, Any]) -> None:
    serve(served, {**document, "manifests": []})


def an_index_said_to_be_a_manifest(served: ServedImage, document: dict[str, Any]) -> None:
    entry = served.document(document, MANIFEST)
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
    serve(served, index, MANIFEST)


def a_manifest_said_to_be_an_index(served: ServedImage, document: dict[str, Any]) -> None:
    serve(served, document, INDEX)


def an_index_in_an_index(served: ServedImage, document: dict[str, Any]) -> None:
    del document
    platform = {"architecture": "amd64", "os": "linux"}
    inner = served.document({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}, INDEX)
    served.index([(inner, platform)], "1")


def an_index_of_itself(served: ServedImage, document: dict[str, Any]) -> None:
    platform = {"architecture": "amd64", "os": "linux"}
    entry = served.document(document, MANIFEST)
    served.index([(entry, platform)], "1")
    served.manifests[entry["digest"]] = served.manifests["1"]


def schema_1(served: ServedImage, document: dict[str, Any]) -> None:
    kind = "application/vnd.docker.distribution.manifest.v1+prettyjws"
    serve(served, {"schemaVersion": 1, "fsLayers": [], "history": []}, kind)


def a_helm_chart(served: ServedImage, document: dict[str, Any]) -> None:
    chart = {"mediaType": "application/vnd.cncf.helm.config.v1+json", **served.blob(b'{"name":1}')}
    serve(served, {**document, "config": chart})


def a_layer_for_a_configuration(served: ServedImage, document: dict[str, Any]) -> None:
    serve(served, {**document, "config": {**document["config"], **_place(document["layers"][0])}})


def a_configuration_for_a_layer(served: ServedImage, document: dict[str, Any]) -> None:
    serve(served, {**document, "layers": [{**document["layers"][0], **_place(document["config"])}]})


def _place(entry: dict[str, Any]) -> dict[str, Any]:
    return {"digest": entry["digest"], "size": entry["size"]}


def a_digest_with_a_path(served: ServedImage, document: dict[str, Any]) -> None:
    layer = {**document["layers"][0], "digest": "sha256:../../../../../../etc/passwd"}
    serve(served, {**document, "layers": [layer]})


def an_unknown_algorithm(served: ServedImage, document: dict[str, Any]) -> None:
    layer = {**document["layers"][0], "digest": "md5:" + "0" * 32}
    serve(served, {**document, "layers": [layer]})


def a_size_below_zero(served: ServedImage, document: dict[str, Any]) -> None:
    serve(served, {**document, "layers": [{**document["layers"][0], "size": -1}]})


def a_size_that_is_text(served: ServedImage, document: dict[str, Any]) -> None:
    serve(served, {**document, "layers": [{**document["layers"][0], "size": "5000"}]})


def numbers_for_texts(served: ServedImage, document: dict[str, Any]) -> None:
    serve(served, {**document, "layers": [{**document["layers"][0], "mediaType": 5}]})


def nested_for_ever(served: ServedImage, document: dict[str, Any]) -> None:
    del document
    data = b"[" * 100_000
    served.manifests["1"] = (MANIFEST, data)


def no_json(served: ServedImage, document: dict[str, Any]) -> None:
    del document
    served.manifests["1"] = (MANIFEST, b"<html>sign in to the hotel's network</html>")


def wrong_bytes_of_a_manifest(served: ServedImage, document: dict[str, Any]) -> None:
    platform = {"architecture": "amd64", "os": "linux"}
    entry = served.document(document, MANIFEST)
    served.index([(entry, platform)], "1")
    kind, data = served.manifests[entry["digest"]]
    served.manifests[entry["digest"]] = (kind, data + b" ")


def fewer_diff_ids(served: ServedImage, document: dict[str, Any]) -> None:
    serve(served, {**document, "layers": document["layers"] * 2})


def a_foreign_layer(served: ServedImage, document: dict[str, Any]) -> None:
    layer = document["layers"][0]
    del served.blobs[layer["digest"]]
    kind = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    place = "http://169.254.169.254/latest/meta-data"
    serve(served, {**document, "layers": [{**layer, "mediaType": kind, "urls": [place]}]})


DOCUMENTS: dict[Twist, tuple[type[ContainersError], str]] = {
    huge: (VerificationError, "larger than 4 MiB"),
    many_layers: (VerificationError, "2001 entries"),
    both_kinds: (VerificationError, "both an index and an image"),
    an_index_said_to_be_a_manifest: (VerificationError, "says that it is"),
    a_manifest_said_to_be_an_index: (VerificationError, "says that it is"),
    an_index_in_an_index: (VerificationError, "index inside an index"),
    an_index_of_itself: (VerificationError, "digest"),
    schema_1: (UnsupportedError, "schema 1"),
    a_helm_chart: (UnsupportedError, "helm"),
    a_layer_for_a_configuration: (VerificationError, "JSON"),
    a_configuration_for_a_layer: (ContainersError, "layer|digest"),
    a_digest_with_a_path: (ContainersError, "not a digest"),
    an_unknown_algorithm: (ContainersError, "not a digest"),
    a_size_below_zero: (ContainersError, "negative"),
    a_size_that_is_text: (VerificationError, "malformed"),
    numbers_for_texts: (VerificationError, "malformed"),
    nested_for_ever: (VerificationError, "JSON"),
    no_json: (VerificationError, "JSON"),
    wrong_bytes_of_a_manifest: (VerificationError, "digest"),
    fewer_diff_ids: (VerificationError, "2 layers"),
    a_foreign_layer: (ContainersError, "no blob"),
}


@pytest.mark.parametrize("twist", DOCUMENTS, ids=lambda twist: twist.__name__)
def test_documents_that_lie(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry, twist: Twist
) -> None:
    error, words = DOCUMENTS[twist]
    twist(served, manifest_of(served))
    with pytest.raises(error, match=words) as caught:
        own.pull(f"{scripted.host}/evil:1")
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 500
    nothing_left(own)
    honest(own, served, scripted)


def endless() -> Iterator[bytes]:
    while True:
        yield bytes(65536)


@pytest.mark.parametrize("where", ["manifests", "blobs"])
@pytest.mark.parametrize("length", ["", "100000000000"])
def test_endless_bodies(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry, where: str, length: str
) -> None:
    manifest_of(served)

    def script(asked: Asked) -> Answer:
        answer = served(asked)
        if f"/{where}/" in asked.path and asked.method == "GET":
            headers = {**answer.headers, **({"Content-Length": length} if length else {})}
            return Answer(answer.status, headers, endless())
        return answer

    scripted.script = script
    with pytest.raises((VerificationError, RegistryError)):
        own.pull(f"{scripted.host}/evil:1")
    partial = sum(path.stat().st_size for path in own.settings.root.rglob("*") if path.is_file())
    assert partial < 20 * 2**20, "what is over the announced size is not kept"
    nothing_left(own)
    honest(own, served, scripted)


def test_a_redirect_gets_no_credentials_and_its_bytes_are_verified(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = served.image([tar(member("f", b"x" * 5000))], "1")
    seen: list[str | None] = []

    def elsewhere(asked: Asked) -> Answer:
        seen.append(asked.headers.get("Authorization"))
        return served(asked)

    with ScriptedRegistry(elsewhere, name="localhost") as other:

        def script(asked: Asked) -> Answer:
            if not asked.headers.get("Authorization"):
                return Answer(401, {"WWW-Authenticate": 'Basic realm="x"'})
            if "/blobs/" in asked.path:
                return Answer(307, {"Location": f"{other.url}{asked.path}"})
            return served(asked)

        scripted.script = script
        own.login(scripted.host, "ada", "s3cret")
        assert own.pull(f"{scripted.host}/app:1").digest == image["digest"]
        assert seen == [None] * len(seen) != []
        own.prune(all=True)
        served.lies = {d: data[:-1] + b"!" for d, data in served.blobs.items()}
        with pytest.raises(VerificationError):
            own.pull(f"{scripted.host}/app:1")


@pytest.mark.parametrize(
    "tag", ["../../../x", "a/b", "a@sha256:" + "0" * 64, "a b", "\x1b[31m", "", "x" * 200, 5, {}]
)
def test_tags_and_repositories_that_are_none(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry, tag: Any
) -> None:
    """They would become addresses, and names in the store that nobody could read again."""

    def listing(asked: Asked) -> Answer:
        if asked.path.endswith("/tags/list"):
            return Answer(200, {}, json.dumps({"name": "app", "tags": ["1", tag]}).encode())
        if asked.path.endswith("/_catalog"):
            return Answer(200, {}, json.dumps({"repositories": [f"{tag}//"]}).encode())
        return served(asked)

    served.image([tar(member("f", b"1"))], "1")
    scripted.script = listing
    with pytest.raises(VerificationError, match="no such name"):
        own.pull(f"{scripted.host}/app", all_tags=True)
    with pytest.raises(VerificationError, match="no such name"):
        own.registry_repositories(scripted.host)
    assert own.images() == []


def test_a_platform_that_is_not_offered_names_those_that_are(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry
) -> None:
    served.index([], "1")
    with pytest.raises(ImageNotFoundError, match="no image for"):
        own.pull(f"{scripted.host}/evil:1")
