"""A registry that means harm: archives that attack the file system stay inside or are refused.

Every row ends with the same look around (:mod:`.hostile`).
"""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import (
    ArchiveError,
)
from jupyter_containers.store.compression import Limits, zstd_module
from tests.integration.engine_fixtures import busybox_program
from tests.integration.hostile import Member, escaped, hard, honest, link, nothing_left
from tests.integration.registry_server import ScriptedRegistry
from tests.integration.served_image import MANIFEST, ServedImage, digest, member, tar

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


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


CHAIN = [link(f"l{n}", f"l{n + 1}") for n in range(100)]
DEEP = "/".join("d" * 200 for _ in range(20))

# Rows: the layers' members ({victim} stands for the folder), and the error's text about the
# entry; empty if the archive is accepted and stays inside.
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
    # Link names are shared by all rows of the table, so they are restored afterwards.
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
        own.images.remove(name)
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
    own.images.bootstrap("busybox")
    program = busybox_program(own)
    shell = tar(member("bin/sh", program), *devices)
    served.image([shell], "1")
    name = f"{scripted.host}/devices:1"
    own.pull(name)
    script = "cat </disk; cat </kmem; echo done"
    result = own.run(name, ["/bin/sh", "-c", script], rm=True, network="none")
    assert result.stdout == b"done\n"
    text = result.stderr.decode()
    assert text.count("Operation not permitted") == 2
    assert stat.S_IMODE(own.settings.root.stat().st_mode) == 0o700, "nor may others reach them"


def test_whiteouts_hide_what_is_below_and_nothing_else(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry
) -> None:
    own.images.bootstrap("busybox")
    program = busybox_program(own)
    base = tar(member("bin/sh", program), member("d/old", b""), member("gone", b""))
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
    assert result.stdout == b"/d/new /kept /gone*\n"


@pytest.mark.parametrize("kind", ["gzip", "zstd", "gzip in gzip", "many entries", "many members"])
def test_bombs(own: Engine, served: ServedImage, scripted: ScriptedRegistry, kind: str) -> None:
    """The limits are those of the store, made small, so that the test is."""
    compress = zstd_module().compress

    snapshots = own._context.store.snapshots
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
