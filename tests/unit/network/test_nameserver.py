"""The messages of the name server of networks, without any network."""

from __future__ import annotations

import os
import random
import struct
from pathlib import Path

import pytest

from jupyter_containers.network.nameserver import Names, Question, _reverse

HOSTS = """127.0.0.1\tlocalhost
10.0.0.2\tweb shared 1234567890ab
fd00::2\tweb shared
10.0.0.3\tWeb2 shared # a comment
not-an-address\tbad
10.0.0.9
"""
A, PTR, MX, AAAA = 1, 12, 15, 28


def query(name: str, kind: int = A, *, extra: bytes = b"", count: int = 1) -> bytes:
    labels = b"".join(bytes([len(one)]) + one.encode() for one in name.split(".") if one)
    header = struct.pack("!6H", 77, 0x0100, count, 0, 0, 1 if extra else 0)
    return header + labels + b"\0" + struct.pack("!2H", kind, 1) + extra


@pytest.fixture
def names(tmp_path: Path) -> Names:
    (tmp_path / "hosts").write_text(HOSTS)
    return Names(os.open(tmp_path / "hosts", os.O_RDONLY))


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("web", A, [bytes([10, 0, 0, 2])]),
        ("WEB2", A, [bytes([10, 0, 0, 3])]),
        ("1234567890ab", A, [bytes([10, 0, 0, 2])]),
        ("web", AAAA, [bytes.fromhex("fd000000000000000000000000000002")]),
        ("web2", AAAA, []),  # it is known, without such an address: no error, as musl wants it
        ("web2", MX, []),
        ("2.0.0.10.in-addr.arpa", PTR, [b"\x03web\0"]),
        (f"2.{'0.' * 28}0.d.f.ip6.arpa".replace("0.0.d.f", "0.0.d.f"), PTR, [b"\x03web\0"]),
        ("bad", A, None),
        ("nosuch", A, None),
        ("9.0.0.10.in-addr.arpa", PTR, None),
    ],
)
def test_answers(names: Names, name: str, kind: int, expected: list[bytes] | None) -> None:
    if name.endswith("ip6.arpa"):
        name = _reverse(bytes.fromhex("fd000000000000000000000000000002"))
    found = names.records(Question(query(name, kind)))
    assert (None if found is None else [record[12:] for record in found]) == expected


def test_an_alias_of_several_takes_turns(names: Names) -> None:
    first = [(names.records(Question(query("shared"))) or [b""])[0][12:] for _ in range(4)]
    assert first[0] != first[1] == first[3]
    assert first[0] == first[2]


def test_the_file_is_read_again(names: Names, tmp_path: Path) -> None:
    assert names.records(Question(query("late"))) is None
    with open(tmp_path / "hosts", "r+") as file:  # in place, as the engine writes it
        file.write("10.0.0.7\tlate\n" + HOSTS)
    assert names.records(Question(query("late")))


def test_an_answer_that_is_too_long_is_truncated() -> None:
    question = Question(query("web"))
    records = [bytes(16)] * 40
    answer = question.answer(records, limit=512)
    flags, _, count = struct.unpack_from("!3H", answer, 2)
    assert (flags & 0x0200, count) == (0x0200, 0)
    assert struct.unpack_from("!H", question.answer(records), 6) == (40,)
    option = struct.pack("!BHHIH", 0, 41, 4096, 0, 0)
    extended = Question(query("web", extra=option))
    assert extended.limit == 1232
    assert extended.answer(records, limit=extended.limit).endswith(
        struct.pack("!BHHIH", 0, 41, 1232, 0, 0)
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 11,
        query("web", count=2),
        query("web")[:-1],
        query("web")[:12] + b"\xc0\x0c\0\1\0\1",  # a name that points at itself
        query("web")[:12] + b"\x3f" + b"a" * 20,  # a label that goes beyond the message
        struct.pack("!H", 1) + b"\x81\x80" + query("web")[4:],  # an answer
    ],
)
def test_what_is_no_query(data: bytes) -> None:
    with pytest.raises((ValueError, IndexError, struct.error)):
        Question(data)


def test_any_bytes_are_a_question_or_refused() -> None:
    source = random.Random(23)
    good = query("web.example.org", extra=b"\0\0\x29\x10\0\0\0\0\0\0\0")
    for _ in range(20_000):
        data = bytearray(good[: source.randrange(len(good) + 1)])
        for _ in range(source.randrange(4)):
            if data:
                data[source.randrange(len(data))] = source.randrange(256)
        try:
            question = Question(bytes(data))
        except (ValueError, IndexError, struct.error):
            continue
        assert len(question.answer([])) <= len(good) + 11
