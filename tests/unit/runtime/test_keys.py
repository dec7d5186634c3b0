from __future__ import annotations

import pytest

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.runtime.keys import DetachedError, DetachKeys, parse_keys


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("ctrl-a", b"\x01"),
        ("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\x00\x1b\x1c\x1d\x1e\x1f"),
        ("a,b", b"ab"),
        ("", b""),
    ],
)
def test_words_are_dockers(text: str, keys: bytes) -> None:
    assert parse_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-1", "alt-a", "ab", ","])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid detach keys"):
        parse_keys(text)


def test_what_only_begins_like_the_sequence_is_passed_on() -> None:
    keys = DetachKeys()
    assert keys.feed(b"a\x10") == b"a"
    assert keys.feed(b"b") == b"\x10b"
    assert keys.feed(b"\x10\x10") == b"\x10"
    with pytest.raises(DetachedError) as caught:
        keys.feed(b"\x11rest")
    assert caught.value.typed == b""


def test_what_came_before_the_sequence_is_told() -> None:
    with pytest.raises(DetachedError) as caught:
        DetachKeys().feed(b"ls\x10\x11")
    assert caught.value.typed == b"ls"


def test_no_sequence_never_detaches() -> None:
    assert DetachKeys("").feed(b"\x10\x11") == b"\x10\x11"
