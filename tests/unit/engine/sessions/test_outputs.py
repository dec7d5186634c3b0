"""The outputs of a cell, in nbformat, from frames that the container may forge."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.engine.sessions.frames import Frame
from jupyter_containers.engine.sessions.outputs import Collector, Output
from jupyter_containers.engine.sessions.sandbox import contained
from tests.unit.engine.sessions.test_frames import json_values


def collected(*frames: Frame, limit: int = 10_000) -> tuple[Collector, list[Output]]:
    shown: list[Output] = []
    collector = Collector(shown.append, limit)
    for frame in frames:
        collector.take(frame)
    return collector, shown


def stream(data: bytes, name: str = "stdout") -> Frame:
    return Frame("stream", {"name": name}, data)


def test_text_of_one_stream_is_one_output() -> None:
    letter = "ü".encode()
    collector, shown = collected(stream(b"a"), stream(letter[:1]), stream(letter[1:]))
    assert collector.outputs == [{"output_type": "stream", "name": "stdout", "text": "aü"}]
    assert [output["text"] for output in shown] == ["a", "ü"]
    collector, _ = collected(stream(b"a"), stream(b"b", "stderr"), stream(b"c"))
    assert [output["text"] for output in collector.outputs] == ["a", "b", "c"]
    assert (collector.text("stdout"), collector.text("stderr")) == ("ac", "b")


def test_a_display_is_replaced_under_its_id() -> None:
    first: dict[str, Any] = {"data": {"text/plain": "1"}, "metadata": {}, "display_id": "d"}
    second = first | {"data": {"text/plain": "2"}, "update": True}
    collector, shown = collected(Frame("display", first), Frame("display", second))
    assert [output["data"] for output in collector.outputs] == [{"text/plain": "2"}]
    assert [output["output_type"] for output in shown] == ["display_data", "update_display_data"]
    assert {output["transient"]["display_id"] for output in shown} == {"d"}


def test_outputs_are_cleared_at_once_or_with_the_next() -> None:
    collector, _ = collected(stream(b"a"), Frame("clear", {}))
    assert collector.outputs == []
    collector, shown = collected(stream(b"a"), Frame("clear", {"wait": True}))
    assert [output["text"] for output in collector.outputs] == ["a"]
    collector.take(stream(b"b"))
    assert [output["text"] for output in collector.outputs] == ["b"]
    assert shown[1] == {"output_type": "clear_output", "wait": True}


def test_output_over_the_limit_is_dropped_and_said_once() -> None:
    collector, shown = collected(*[stream(b"x" * 10)] * 50, limit=100)
    assert collector.text("stdout") == "x" * 100
    assert collector.dropped == 400
    assert len(shown) == 11
    assert "longer than 100 bytes" in collector.text("stderr")
    collector.take(Frame("error", {"name": "E", "value": "v", "traceback": ["t"]}))
    assert collector.error is not None  # an error is never dropped


@given(
    st.sampled_from(["stream", "display", "result", "error", "clear", "other"]),
    st.dictionaries(
        st.sampled_from(
            ["data", "metadata", "display_id", "update", "name", "value", "traceback", "wait",
             "count"]
        ),
        json_values,
    ),
    st.binary(max_size=20),
)  # fmt: skip
def test_any_frame_is_an_output_or_nothing(kind: str, fields: dict[str, Any], body: bytes) -> None:
    collector = Collector(lambda output: None, 1000, contained)
    collector.take(Frame(kind, fields, body))
    assert len(collector.outputs) <= 2


def test_what_a_sandbox_shows_cannot_run() -> None:
    script = "<script>top.location='x'</script>\"'"
    shown = contained(
        {
            "text/html": script,
            "text/plain": "p",
            "application/javascript": "alert(1)",
            "application/vnd.jupyter.widget-view+json": {"model_id": "m"},
            "image/png": "aGk=",
        }
    )
    assert set(shown) == {"text/html", "text/plain", "image/png"}
    assert shown["text/html"].startswith('<iframe sandbox="" srcdoc="&lt;meta')
    assert "<script" not in shown["text/html"]
    assert shown["text/html"].count('"') == 6  # the page's own quotes end no attribute
