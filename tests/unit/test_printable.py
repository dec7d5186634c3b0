from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_containers.errors import ContainersError
from jupyter_containers.printable import escaped, one_line, printable

OSC52 = "\x1b]52;c;cm0gLXJmIC8=\x07"
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u2028-\u202e]")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain ünï ✓ 汉", "plain ünï ✓ 汉"),
        ("\x1b[31mred\x1b[0m\ttab\n", "red\ttab\n"),
        (f"a{OSC52}b", "ab"),
        ("a\x1b]52;c;cm0=\x1b\\b", "ab"),
        ("a\x1b]52;c;open\nnext line", "a\nnext line"),
        ("a\x1bPdcs\nnext", "a\nnext"),
        ("a\x9b31mb\x9d52;c;x\x9c", "a31mb52;c;x"),
        ("good\rbad", "good bad"),
        ("a\r\nb", "a\nb"),
        ("user\u202eexe.txt", "user\ufffdexe.txt"),
        ("caf\udce9 \ud800", "caf\ufffd \ufffd"),
        ("bell\x07 back\x08 null\x00", "bell back null"),
        ("\x1b\x07[31m", "[31m"),
    ],
)
def test_what_is_left(text: str, expected: str) -> None:
    assert printable(text) == expected


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text() | st.text("\x1b[]P_^\\\x07;0m\n\r\t\x9b\u202e\udc80ab"))
def test_nothing_that_acts_on_a_terminal_is_left(text: str) -> None:
    plain = printable(text)
    assert not _FORBIDDEN.search(plain)
    assert printable(plain) == plain
    plain.encode()
    line = one_line(text, 100)
    assert "\n" not in line
    assert len(line) <= 103


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text() | st.text('\x7f\x9b\u202e\udc80\\"'))
def test_json_keeps_its_value(text: str) -> None:
    document = escaped(json.dumps({text: [text]}, ensure_ascii=False))
    assert json.loads(document) == {text: [text]}
    assert printable(document) == document


def test_long_text_is_fast_and_short_in_a_message() -> None:
    began = time.thread_time()
    for text in ("\x1b]" * 100_000, "\x1b[" + "0" * 200_000, "\x1b" * 200_000, "a" * 200_000):
        printable(text)
        assert len(str(ContainersError(f"cannot read {text}: why"))) < 2100
    assert time.thread_time() - began < 2


def test_errors_say_what_was_quoted_without_control_characters() -> None:
    """Seen to fail with messages as they were given: OSC 52 stands in the report."""
    error = ContainersError(f"no image {OSC52}x\nforged: all is well", hint=f"see {OSC52}y")
    error.done = (f"a{OSC52}",)
    assert str(error) == "no image x forged: all is well"
    assert error.hint == "see y"
    assert "\x1b" not in error.report()
    assert error.args == (error.message,)
