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
