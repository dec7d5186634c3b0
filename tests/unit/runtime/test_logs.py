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
    return b"".join(item.data for item in read_log(path, **options))


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


def rotated(folder: Path) -> Path:
    """Return a log of three files with two lines each, the oldest with the highest number."""
    log = folder / "container.log"
    for suffix, numbers in ((".2", (1, 2)), (".1", (3, 4)), ("", (5, 6))):
        text = "".join(f"2026-01-01T00:00:00+00:00 stdout F {number}\n" for number in numbers)
        Path(f"{log}{suffix}").write_text(text)
    return log


def test_rotated_files_are_read_as_one(tmp_path: Path) -> None:
    log = rotated(tmp_path)
    assert [line.data for line in read_log(log)] == [b"%d\n" % number for number in range(1, 7)]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 6, 9])
def test_the_tail_spans_files(tmp_path: Path, count: int) -> None:
    lines = [line.data for line in read_log(rotated(tmp_path), tail=count)]
    assert lines == [b"%d\n" % number for number in range(1, 7)][max(0, 6 - count) :]


def test_a_rotation_while_following_loses_and_doubles_nothing(tmp_path: Path) -> None:
    log = rotated(tmp_path)
    looks = 0

    def ended() -> bool:
        nonlocal looks
        looks += 1
        if looks in (2, 3):
            for number in (2, 1):
                Path(f"{log}.{number}").rename(f"{log}.{number + 1}")
            log.rename(f"{log}.1")
            log.write_text(f"2026-01-01T00:00:00+00:00 stdout F {looks + 5}\n")
        return looks > 4

    found = [line.data for line in read_log(log, follow=True, ended=ended)]
    assert found == [b"%d\n" % number for number in range(1, 9)]
