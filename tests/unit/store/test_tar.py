from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.errors import ArchiveError
from jupyter_containers.store.compression import Limits
from jupyter_containers.store.tarread import ByteStream, Entry, TarReader
from jupyter_containers.store.tarwrite import END, encode_header


def read(data: bytes, chunk: int = 700) -> list[tuple[Entry, bytes]]:
    source = io.BytesIO(data)
    reader = TarReader(ByteStream(lambda: source.read(chunk)), Limits())
    return [(entry, b"".join(bytes(p) for p in reader.data())) for entry in reader]


names = st.binary(min_size=1, max_size=300).filter(
    lambda b: b"\0" not in b and not b.endswith(b"/")
)


@given(
    name=names,
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 2**32 - 2),
    mtime=st.integers(-(10**18), 2**62),
    data=st.binary(max_size=2000),
    xattrs=st.dictionaries(
        st.binary(min_size=1, max_size=20).filter(lambda b: b"=" not in b and b"\0" not in b),
        st.binary(max_size=50),
        max_size=3,
    ),
)
def test_what_is_written_is_read(
    name: bytes, mode: int, uid: int, mtime: int, data: bytes, xattrs: dict[bytes, bytes]
) -> None:
    header = encode_header(
        name, "0", mode=mode, uid=uid, gid=uid, size=len(data), mtime_ns=mtime, xattrs=xattrs
    )
    archive = header + data + bytes(-len(data) % 512) + END
    [(entry, got)] = read(archive)
    assert (entry.name, entry.mode, entry.uid, entry.gid) == (name, mode, uid, uid)
    assert (entry.mtime_ns, entry.xattrs, got) == (mtime, xattrs, data)


@given(st.binary(max_size=2048), st.integers(0, 511), st.integers(0, 255))
def test_garbage_is_refused_with_a_typed_error(data: bytes, at: int, byte: int) -> None:
    good = bytearray(encode_header(b"n" * 120, "0", mode=0o644, size=10) + bytes(512) + END)
    good[at] = byte
    for archive in (data, bytes(good)):
        with contextlib.suppress(ArchiveError):
            read(archive)


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_the_standard_library_and_we_read_each_other(form: int) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        info = tarfile.TarInfo("a" * 90 + "/" + "b" * 90)
        info.size, info.uid, info.mtime = 5, 70, 123
        archive.addfile(info, io.BytesIO(b"hello"))
    [(entry, data)] = read(buffer.getvalue())
    assert (entry.name, entry.uid, entry.mtime_ns, data) == (
        info.name.encode(),
        70,
        123 * 10**9,
        b"hello",
    )

    ours = encode_header(b"n" * 200, "0", mode=0o640, uid=2**31, size=3, mtime_ns=1_500_000_000)
    with tarfile.open(fileobj=io.BytesIO(ours + b"abc" + bytes(509) + END)) as archive:
        [member] = archive.getmembers()
        assert (member.name, member.uid, member.mode, member.mtime) == (
            "n" * 200,
            2**31,
            0o640,
            1.5,
        )


@pytest.mark.skipif(shutil.which("tar") is None, reason="needs GNU tar")
@pytest.mark.parametrize(
    "options",
    [
        ["--format=gnu"],
        ["--format=posix", "--sparse-version=0.0"],
        ["--format=posix", "--sparse-version=0.1"],
        ["--format=posix", "--sparse-version=1.0"],
    ],
)
def test_sparse_files_of_gnu_tar(options: list[str], tmp_path: Path) -> None:
    from jupyter_containers.store.extract import extract_archive

    source = tmp_path / "s"
    source.mkdir()
    with (source / "sparse").open("wb") as file:
        for index in range(40):
            file.seek(index * 100_000)
            file.write(b"data%d" % index)
        file.truncate(5_000_000)
    (source / "after").write_text("after")
    packed = subprocess.run(
        ["tar", "-cS", *options, "-C", source, "sparse", "after"], check=True, capture_output=True
    ).stdout
    assert len(packed) < 1_000_000
    (tmp_path / "out").mkdir()
    extract_archive(io.BytesIO(packed), tmp_path / "out")
    assert (tmp_path / "out/sparse").read_bytes() == (source / "sparse").read_bytes()
    assert (tmp_path / "out/after").read_text() == "after"


def _bad(change: Callable[[bytearray], None]) -> bytes:
    header = bytearray(encode_header(b"f", "0", mode=0o644))
    change(header)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + END


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (b"x" * 512, "not a tar archive"),
        (b"x" * 100, "ends in"),
        (_bad(lambda h: h.__setitem__(156, ord("Q"))), "unknown type"),
        (_bad(lambda h: h.__setitem__(slice(108, 116), b"\x80" + b"\xff" * 7)), "out of range"),
        (_bad(lambda h: h.__setitem__(slice(108, 116), b"\xff" * 8)), "negative"),
        (_bad(lambda h: h.__setitem__(slice(124, 136), b"zzzzzzzzzzz\0")), "number belongs"),
        (encode_header(b"x", "x", mode=0, size=2**31) + END, "over the limit"),
        (encode_header(b"x", "x", mode=0, size=9) + b"99 a=b\n\0\0".ljust(512, b"\0"), "malformed"),
    ],
)
def test_malformed_headers_say_what_is_wrong(archive: bytes, reason: str) -> None:
    with pytest.raises(ArchiveError, match=reason):
        read(archive)
