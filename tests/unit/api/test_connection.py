"""Answers as they go over the wire."""

from __future__ import annotations

from typing import Any, cast

import pytest

from jupyter_containers.api.call import Answer, Call, VanishedError, encoded
from jupyter_containers.api.connection import _answered
from jupyter_containers.api.errors import answer_of
from jupyter_containers.api.files import go_mode
from jupyter_containers.api.routes import Route
from jupyter_containers.api.streams import frame
from jupyter_containers.errors import (
    ContainerNotFoundError,
    InUseError,
    InvalidArgumentError,
    StorageError,
    UnsupportedError,
)
from jupyter_containers.options.restart import RestartPolicy


class _Fake:
    begun = False


def answered(monkeypatch: pytest.MonkeyPatch, work: Any, *, begun: bool = False) -> Answer | None:
    call = _Fake()
    call.begun = begun
    route = Route("GET", "/x", "m:f")
    monkeypatch.setattr(Route, "function", property(lambda _: work))
    return _answered(cast("Call", call), route)


def failing(error: Exception) -> Any:
    def work(call: Call) -> None:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidArgumentError("a"), 400),
        (ContainerNotFoundError("a"), 404),
        (InUseError("a"), 409),
        (UnsupportedError("a", capability="c", provided_by="p"), 501),
        (StorageError("a"), 500),
    ],
)
def test_errors_have_dockers_statuses(error: Any, status: int) -> None:
    assert answer_of(error).status == status


def test_words_that_clients_look_for() -> None:
    assert answer_of(ContainerNotFoundError("no such container: x")).document == {
        "message": "No such container: x"
    }
    assert answer_of(InvalidArgumentError("bad", hint="do")).document == {"message": "bad (do)"}


def test_an_answer_that_broke_off_is_not_ended_as_a_whole_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Seen to fail before: half an archive ended like a whole one."""
    with pytest.raises(VanishedError):
        answered(monkeypatch, failing(StorageError("disk")), begun=True)
    with pytest.raises(VanishedError):
        answered(monkeypatch, failing(ValueError("bug")), begun=True)


def test_a_defect_is_answered_with_500(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = answered(monkeypatch, failing(ValueError("bug")))
    assert answer is not None
    assert (answer.status, answer.document) == (
        500, {"message": "internal error: ValueError: bug"},
    )  # fmt: skip
    # Also one that no JSON can be made of.
    answer = answered(monkeypatch, lambda _: {"a": object()})
    assert answer is not None
    assert answer.status == 500


def test_options_as_written_are_texts_in_json() -> None:
    assert encoded({"a": [RestartPolicy("always")]}) == b'{"a":["always"]}'


def test_frames_have_eight_bytes_before_them() -> None:
    assert frame("stderr", b"abc") == b"\x02\0\0\0\0\0\0\x03abc"


def test_modes_are_written_as_go_does() -> None:
    assert go_mode(0o100644) == 0o644
    assert go_mode(0o040755) == 1 << 31 | 0o755
    assert go_mode(0o120777) == 1 << 27 | 0o777
    assert go_mode(0o104755) == 1 << 23 | 0o755
    assert go_mode(0o041777) == 1 << 31 | 1 << 20 | 0o777
