from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jupyter_containers.commands.render.ansi import ansi_to_html, visible_lines


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("plain", "plain"),
        ("<b>&\"'", "&lt;b&gt;&amp;&quot;&#x27;"),
        ("\x1b[31mred\x1b[0m x", '<span style="color:#d14343">red</span> x'),
        ("\x1b[1;32mok\x1b[m", '<span style="color:#2a8f4d;font-weight:bold">ok</span>'),
        ("\x1b[38;5;196mx", '<span style="color:#ff0000">x</span>'),
        ("\x1b[38;2;1;2;3mx", '<span style="color:#010203">x</span>'),
        ("\x1b[38;2;999;2;3mx", '<span style="color:#ff0203">x</span>'),
        ("\x1b[41mx\x1b[49my", '<span style="background-color:#d1434355">x</span>y'),
        ("\x1b[31m<i>", '<span style="color:#d14343">&lt;i&gt;</span>'),
        ("a\x1b[2Kb\x1b[1Ac", "abc"),
        ("\x1b]8;;http://evil\x07link\x1b]8;;\x07", "link"),
        ("\x1b]0;title\x1b\\x", "x"),
        ("bell\x07 null\x00", "bell null"),
        ("\x1b[38;5", ""),
        ("\x1b[" + "1" * 5000 + "mx", "x"),
        ("\x1b[" + "1;" * 5000 + "31mx", '<span style="font-weight:bold">x</span>'),
        ("\x1b[²mx", "²mx"),
    ],
)
def test_html(text: str, html: str) -> None:
    found = ansi_to_html(text)
    assert found == html or (html == "" and "<" not in found)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.lists(
        st.one_of(
            st.text(st.sampled_from("\x1b[]m;0138245<>&\"' a\x07\n\\²\x9b:?P_^")),
            st.text(max_size=5),
            st.builds(
                "\x1b[{}{}{}".format,
                st.sampled_from("0123456789;:?"),
                st.integers(0, 10**12).flatmap(lambda n: st.just(str(n) * (n % 600))),
                st.sampled_from("mHJKABCDhl\x07"),
            ),
        )
    ).map("".join)
)
@example("\x1b[" + "9" * 5000 + "m<b>")
@example("\x1b[38;2;" + "9" * 5000 + ";1;1mx")
@example("\x1b[48;5;" + "9" * 5000 + "mx")
@example("\x1b[38;2;\x1b[m")
@example("\x1b]" * 2000)
@example("\x1bP" * 2000)
@example("\ud800\x1b[31m\udfff")
def test_html_is_always_safe_and_balanced(text: str) -> None:
    html = ansi_to_html(text)
    assert html.count("<span") == html.count("</span>")
    rest = re.sub(r'<span style="[a-z0-9:;#.-]+">|</span>', "", html)
    assert "<" not in rest
    assert ">" not in rest
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", html)
    visible_lines(text)


def test_a_redrawn_line_shows_its_last_state() -> None:
    assert visible_lines("10%\r50%\r100%\ndone\r\nend\r") == "100%\ndone\nend"
