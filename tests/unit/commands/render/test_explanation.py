"""The rendering of an explanation."""

from jupyter_containers.commands.render.explanation import Explained
from jupyter_containers.engine.containers.explain import Explanation, Line, Section

LONG = " ".join(["CHOWN"] * 30)
VALUE = Explanation(
    "f" * 64,
    "web",
    "nginx <1>",
    False,
    (Section("Privileges", "What it may do.", (Line("capabilities", LONG, "all"),)),),
)


def test_text_has_a_title_and_folds_what_is_long() -> None:
    lines = str(Explained(VALUE)).splitlines()
    assert lines[0] == "web, a container of nginx <1> (not running: start it to see the rest)"
    assert max(map(len, lines)) < 120
    assert sum("CHOWN" in line for line in lines) > 1


def test_html_is_static_and_escaped() -> None:
    page = Explained(VALUE)._repr_html_()
    assert "nginx &lt;1&gt;" in page
    assert "<script" not in page
    assert LONG in page


def test_the_value_is_the_engines() -> None:
    assert Explained(VALUE).section("Privileges").lines[0].outside == "all"
