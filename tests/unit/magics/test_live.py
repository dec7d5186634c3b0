from __future__ import annotations

import io

from jupyter_containers.magics.live import LiveOutput


def test_characters_cut_in_two_are_put_together_and_streams_kept_apart() -> None:
    out, err = io.StringIO(), io.StringIO()
    live = LiveOutput(out, err)
    live("stdout", b"h\xc3")
    live("stderr", b"bad \xff\n")
    assert out.getvalue() == "h"
    live("stdout", b"\xa9llo\n\xe2\x82")
    live.close()
    assert out.getvalue() == "hé" + "llo\n\ufffd"
    assert err.getvalue() == "bad \ufffd\n"


def test_a_long_output_is_cut_and_its_end_is_shown() -> None:
    out, err = io.StringIO(), io.StringIO()
    live = LiveOutput(out, err, limit=1000)
    for number in range(5000):
        live("stdout", b"line %04d\n" % number)
    assert len(out.getvalue()) == 1000
    live.close("%container logs x has them")
    assert out.getvalue().endswith("line 4998\nline 4999\n")
    assert len(out.getvalue()) < 6000
    assert err.getvalue() == (
        "\n… 0.0 MB of output are left out here (%container logs x has them) …\n"
    )


def test_lines_are_counted_too() -> None:
    out, err = io.StringIO(), io.StringIO()
    live = LiveOutput(out, err, lines=100)
    for number in range(0, 5000, 40):
        live("stdout", b"".join(b"%d\n" % each for each in range(number, number + 40)))
    assert out.getvalue().splitlines()[-1] == "99"
    assert out.getvalue().count("\n") == 100
    live.close()
    assert "are left out here" in err.getvalue()
    assert out.getvalue().endswith("\n4998\n4999\n")


def test_a_little_more_than_the_limit_is_shown_whole() -> None:
    out, err = io.StringIO(), io.StringIO()
    live = LiveOutput(out, err, limit=10)
    live("stdout", b"0123456789abc")
    live.close()
    assert out.getvalue() == "0123456789abc"
    assert err.getvalue() == ""


def test_a_terminal_gets_everything() -> None:
    out = io.StringIO()
    live = LiveOutput(out, out, limit=None)
    live("stdout", b"x" * 3_000_000)
    live.close()
    assert len(out.getvalue()) == 3_000_000
