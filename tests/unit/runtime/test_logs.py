from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from jupyter_containers.errors import OperationCancelledError
from jupyter_containers.events import CancelToken
from jupyter_containers.runtime.logs import parse_record, read_log

RECORDS = [
    ("00", "stdout", "F", "one"),
    ("01", "stderr", "F", "two"),
    ("02", "stdout", "P", "thr"),
    ("03", "stdout", "F", "ee"),
    ("04", "stdout", "F", ""),
    ("05", "stderr", "F", "five words here"),
]


def line(second: str, stream: str, tag: str, text: str) -> bytes:
    return f"2026-01-02T03:04:{second}.123456789+00:00 {stream} {tag} {text}\n".encode()


def write(path: Path, records: list[tuple[str, str, str, str]]) -> Path:
    path.write_bytes(b"".join(line(*record) for record in records))
    return path


def text(path: Path, **options: object) -> bytes:
    return b"".join(item.data for item in read_log(path, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, b"one\ntwo\nthree\n\nfive words here\n"),
        ({"stderr": False}, b"one\nthree\n\n"),
        ({"stdout": False}, b"two\nfive words here\n"),
        ({"tail": 0}, b""),
        ({"tail": 1}, b"five words here\n"),
        ({"tail": 3}, b"three\n\nfive words here\n"),
        ({"tail": 2, "stderr": False}, b"three\n\n"),
        ({"tail": 99}, b"one\ntwo\nthree\n\nfive words here\n"),
    ],
)
def test_reading(tmp_path: Path, options: dict[str, object], expected: bytes) -> None:
    assert text(write(tmp_path / "log", RECORDS), **options) == expected


def test_times(tmp_path: Path) -> None:
    path = write(tmp_path / "log", RECORDS)
    at = datetime.fromisoformat("2026-01-02T03:04:03+00:00")
    assert text(path, since=at) == b"ee\n\nfive words here\n"
    assert text(path, until=at) == b"one\ntwo\nthr"


def test_missing_and_malformed(tmp_path: Path) -> None:
    assert text(tmp_path / "none") == b""
    assert parse_record(b"") is None
    assert parse_record(b"nonsense without a stream") is None
    record = parse_record(b"2026-01-02T03:04:05.1+00:00 stdout F")
    assert record is not None
    assert record.data == b"\n"


def test_tail_of_a_large_log_equals_the_end_of_all(tmp_path: Path) -> None:
    records = [
        ("00", "stdout" if n % 3 else "stderr", "F", f"{n} " + "x" * (n % 700)) for n in range(2000)
    ]
    path = write(tmp_path / "log", records)
    lines = text(path).splitlines(keepends=True)
    for count in (1, 5, 499, 1999, 2000, 2001):
        assert text(path, tail=count).splitlines(keepends=True) == lines[-count:]


def test_follow_sees_additions_rotation_and_the_end(tmp_path: Path) -> None:
    path = write(tmp_path / "log", RECORDS[:1])
    calls = iter(range(100))

    def ended() -> bool:
        call = next(calls)
        if call == 1:
            with open(path, "ab") as file:
                file.write(line("09", "stdout", "F", "added")[:-3])
        elif call == 2:
            with open(path, "ab") as file:
                file.write(line("09", "stdout", "F", "added")[-3:])
        elif call == 3:
            write(tmp_path / "next", [("10", "stdout", "F", "rotated")]).replace(path)
        return call >= 4

    assert text(path, follow=True, ended=ended) == b"one\nadded\nrotated\n"


def test_follow_is_cancelled(tmp_path: Path) -> None:
    token = CancelToken()
    items = read_log(
        write(tmp_path / "log", RECORDS[:1]), follow=True, ended=lambda: False, cancel=token
    )
    assert next(items).data == b"one\n"
    token.cancel()
    with pytest.raises(OperationCancelledError):
        next(items)
