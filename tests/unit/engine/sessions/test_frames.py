"""Frames of sessions: the input from a container is bounded, and raises no other error."""

from __future__ import annotations

import ast
import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.engine.containers import inside_python
from jupyter_containers.engine.sessions import python_agent, python_displays
from jupyter_containers.engine.sessions.frames import Frame, FrameReader, encoded
from jupyter_containers.errors import SessionProtocolError

LIMIT = 1000


def test_frames_arrive_whatever_the_pieces() -> None:
    sent = encoded("stream", b"\x00\xff" * 20, {"name": "stdout"}) + encoded("done", b"", {"id": 1})
    for size in (1, 3, 7, len(sent)):
        reader = FrameReader(LIMIT)
        pieces = [sent[start : start + size] for start in range(0, len(sent), size)]
        assert [frame for piece in pieces for frame in reader.feed(piece)] == [
            Frame("stream", {"name": "stdout"}, b"\x00\xff" * 20),
            Frame("done", {"id": 1}),
        ]


def test_a_frame_that_is_too_long_is_refused_before_it_arrives() -> None:
    with pytest.raises(SessionProtocolError, match="no more than"):
        list(FrameReader(LIMIT).feed(struct.pack(">II", 2, LIMIT + 1)))
    with pytest.raises(SessionProtocolError, match="no more than"):
        list(FrameReader(LIMIT).feed(struct.pack(">II", 1 << 31, 0)))


@pytest.mark.parametrize(
    "text", [b"{", b"[1]", b'"x"', b'{"type": 5}', b"{}", b"\xff", b"[" * 9000]
)
def test_what_is_no_frame_is_refused(text: bytes) -> None:
    with pytest.raises(SessionProtocolError):
        list(FrameReader(LIMIT).feed(struct.pack(">II", len(text), 0) + text))


@given(st.binary(max_size=200))
def test_any_bytes_end_in_frames_or_in_that_error(data: bytes) -> None:
    reader = FrameReader(LIMIT)
    try:
        for frame in reader.feed(data):
            assert isinstance(frame.type, str)
    except SessionProtocolError:
        pass


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(json_values)
def test_a_field_of_another_type_is_its_default(value: object) -> None:
    frame = Frame("x", json.loads(json.dumps({"field": value})))
    assert isinstance(frame.get("field", ""), str)
    assert isinstance(frame.get("field", {}), dict)
    assert isinstance(frame.get("missing", 7), int)


def test_the_agent_is_a_program_for_python_3_6() -> None:
    programs = {python_agent: (3, 6), python_displays: (3, 6), inside_python: (3, 7)}
    for module, version in programs.items():
        text = Path(str(module.__file__)).read_text()
        ast.parse(text, feature_version=version)
        assert "jupyter_containers" not in text, "it runs in images without this package"
