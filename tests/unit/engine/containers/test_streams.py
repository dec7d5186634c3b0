from __future__ import annotations

from jupyter_containers.engine.containers.streams import Capture


def test_keeps_both_streams_and_hands_them_on() -> None:
    seen: list[tuple[str, bytes]] = []
    capture = Capture(lambda stream, data: seen.append((stream, data)))
    capture("stdout", b"a\n")
    capture("stderr", b"b\n")
    capture("stdout", b"c\n")
    assert capture.value("stdout") == b"a\nc\n"
    assert capture.value("stderr") == b"b\n"
    assert seen == [("stdout", b"a\n"), ("stderr", b"b\n"), ("stdout", b"c\n")]
    assert capture.tail(2) == ["b", "c"]
    assert capture.truncated == 0


def test_drops_the_oldest_over_the_limit_and_counts_it() -> None:
    capture = Capture(limit=10)
    for chunk in (b"12345", b"67890", b"abcde"):
        capture("stdout", chunk)
    assert capture.value("stdout") == b"67890abcde"
    assert capture.truncated == 5
    # One chunk is kept whole, however large.
    capture("stdout", bytes(100))
    assert len(capture.value("stdout")) == 100


def test_the_tail_is_text_whatever_came() -> None:
    capture = Capture()
    capture("stdout", b"\xff\xfe\nplain")
    assert capture.tail() == ["��", "plain"]
