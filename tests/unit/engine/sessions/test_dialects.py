"""Messages of sessions in other languages than Python: marks between the text of streams."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.engine.sessions import r, shell
from jupyter_containers.engine.sessions.dialects import Marked
from jupyter_containers.engine.sessions.frames import Frame, encoded
from jupyter_containers.engine.sessions.languages import LANGUAGES, language_of
from jupyter_containers.errors import InvalidArgumentError, SessionProtocolError

LIMIT = 1000


def marked() -> tuple[Marked, bytes]:
    """Return a dialect whose process is ready and runs a request, and its mark."""
    dialect = Marked(LIMIT, encoded)
    mark = b"\x1e" + dialect.mark.encode()
    assert [frame.type for frame in dialect.feed("stdout", mark + b'{"type":"ready","pid":7}\n')]
    dialect.encode("run", b"", {"code": ""})
    return dialect, mark


def in_pieces(dialect: Marked, data: bytes, size: int) -> list[Frame]:
    """Return the frames of data that arrives in pieces, text of streams together."""
    found: list[Frame] = []
    for start in range(0, len(data), size):
        for frame in dialect.feed("stdout", data[start : start + size]):
            if frame.type == "stream" and found and found[-1].type == "stream":
                found[-1] = Frame("stream", frame.fields, found[-1].body + frame.body)
            else:
                found.append(frame)
    return found


def test_text_and_messages_arrive_whatever_the_pieces() -> None:
    """A mark whose line comes later is no text."""
    for size in (1, 3, 25, 26, 27, 1000):
        dialect, mark = marked()
        sent = b"text\x1e\x1ef" + mark + b'{"type":"clear"}\nmore' + mark
        sent += (
            b'{"type":"value","file":"v.txt","body":true}\nbody\n\x1e' + mark + b'{"type":"end"}\n'
        )
        assert in_pieces(dialect, sent, size) == [
            Frame("stream", {"name": "stdout"}, b"text\x1e\x1ef"),
            Frame("clear", {}),
            Frame("stream", {"name": "stdout"}, b"more"),
            Frame("value", {"file": "v.txt"}, b"body\n\x1e"),
        ]


def test_a_request_is_done_when_both_streams_say_so() -> None:
    dialect, mark = marked()
    done = b'{"type":"done","number":1,"status":3}\n'
    assert list(dialect.feed("stdout", mark + b'{"type":"done","number":0}\n')) == []  # a stale one
    assert list(dialect.feed("stdout", mark + done)) == []
    assert dialect.interrupt[-1].startswith("kill -INT -7 ")
    last = list(dialect.feed("stderr", b"late" + mark + b'{"type":"sync","number":1}\n'))
    assert [frame.type for frame in last] == ["stream", "error", "done"]
    assert last[1].fields["value"] == "the cell ended with 3"
    assert dialect.interrupt == ()


@pytest.mark.parametrize("pid", [1, 0, -1, "2; rm"])
def test_a_forged_process_number_is_never_signalled(pid: object) -> None:
    dialect = Marked(LIMIT, encoded)
    text = json.dumps({"type": "ready", "pid": pid}).encode()
    list(dialect.feed("stdout", b"\x1e" + dialect.mark.encode() + text + b"\n"))
    dialect.encode("run", b"", {})
    assert dialect.interrupt == ()


@given(st.binary(max_size=300))
def test_forged_messages_end_in_one_error(data: bytes) -> None:
    dialect, mark = marked()
    try:
        list(dialect.feed("stdout", mark + data + b"\n"))
    except SessionProtocolError:
        return
    with pytest.raises(SessionProtocolError):
        list(dialect.feed("stdout", mark + b'{"type":"value","body":true}\n' + b"x" * (LIMIT + 1)))


def test_a_shell_takes_values_as_they_are() -> None:
    values: dict[str, tuple[Any, str]] = {
        "text": ("it's $HOME `x` \\ \n\"", "it's $HOME `x` \\ \n\""),
        "number": (2.5, "2.5"),
        "lines": ([1, "a b", None], "1\na b\n"),
        "nested": ({"a": [1]}, '{"a": [1]}'),
    }
    for value, expected in values.values():
        line = shell.write("push", json.dumps(value).encode(), {"name": "x", "file": "x.json"})
        script = b"__session_done() { :; }\n" + line + b'printf %s "$x"'
        assert subprocess.check_output(["sh"], input=script).decode() == expected
    with pytest.raises(InvalidArgumentError, match="no name of a shell's variable"):
        shell.write("pull", b"", {"name": "x; reboot"})


def test_a_lists_of_one_kind_is_a_vector_of_r() -> None:
    assert r.literal([1, None, 2.5]) == "c(1L, NA, 2.5)"
    assert r.literal(['a\\"', None]) == 'c("a\\\\\\"", NA)'
    assert r.literal([True, 1]) == "list(TRUE, 1L)"
    assert r.literal({"a`": [], "b": None, "c": 2**40}) == (
        'structure(list(list(), NULL, 1099511627776.), names = c("a`", "b", "c"))'
    )


def test_the_language_is_that_of_the_images_command() -> None:
    for words, name in (
        (("python3",), "python"),
        (("/usr/bin/R",), "r"),
        (("node", "a.js"), "node"),
    ):
        found = language_of(words)
        assert found is not None
        assert found.name == name
    assert language_of(("bash",)) is None
    assert language_of(()) is None
    assert list(LANGUAGES) == ["python", "r", "node", "shell"]
