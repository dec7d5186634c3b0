"""Clients that attach before a start."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_containers.api.state import Expected


class Streams:
    """The streams of a container."""

    closed = False

    def close(self) -> None:
        self.closed = True


def decide(expected: Expected, streams: Any) -> None:
    expected.decide("c", lambda: streams)


def test_a_start_connects_those_who_wait_once() -> None:
    """Seen to fail as two events ``attach``: the waiting thread saw the start, and attached too."""
    expected, streams = Expected(), Streams()
    with expected.expecting("c") as one:
        decide(expected, streams)
        assert not expected.drop("c", one)
        assert one.wait(0)
        assert one.taken() is streams
    assert not streams.closed
    with expected.expecting("c") as one:
        assert expected.drop("c", one)
        decide(expected, Streams())
        assert not one.wait(0)


def test_streams_that_nobody_takes_are_closed() -> None:
    expected, early, late = Expected(), Streams(), Streams()
    with expected.expecting("c"):
        decide(expected, early)
    with expected.expecting("c") as one:
        pass
    one.fulfil(late)  # type: ignore[arg-type]  # a fake
    assert early.closed
    assert late.closed


def test_a_start_that_fails_ends_the_waiting_of_all() -> None:
    expected = Expected()

    def fail() -> None:
        raise OSError

    with expected.expecting("c") as one, expected.expecting("c") as other:
        with pytest.raises(OSError):  # noqa: PT011  # the very one
            expected.decide("c", fail)
        assert one.wait(0)
        assert other.wait(0)
        assert one.taken() is None
