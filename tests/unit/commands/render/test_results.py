from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from jupyter_containers.commands.render.results import (
    Document,
    Lines,
    Log,
    Outcome,
    Table,
    Text,
    log_bytes,
)
from jupyter_containers.commands.render.table import Column
from jupyter_containers.errors import UnsupportedError
from jupyter_containers.runtime.logs import LogLine

COLUMNS = (Column("ID", "CONTAINER ID"), Column("Names", "NAMES"))


def table(*names: str) -> Table[str]:
    return Table(
        names, COLUMNS, lambda name: [{"ID": "1", "Names": name, "Hidden": "h"}], "nothing"
    )


def test_a_table_is_a_list_that_shows_columns() -> None:
    found = table("web", "db")
    assert found == ["web", "db"]
    assert str(found) == "CONTAINER ID   NAMES\n1              web\n1              db"
    assert str(table()) == "CONTAINER ID   NAMES"


def test_html_is_escaped_and_says_when_it_is_empty() -> None:
    html = table("<script>")._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "nothing" in table()._repr_html_()
    assert "nothing" not in html


def test_a_cell_may_hold_several_values_that_each_stay_whole() -> None:
    columns = (Column("Found", ""), Column("Ports", "PORTS"))
    ports = ["127.0.0.1:80->80/tcp", "443/tcp"]
    shown = Table([1], columns, lambda _: [{"Found": "✗", "Ports": ports}])
    assert "127.0.0.1:80->80/tcp, 443/tcp" in str(shown)
    html = shown._repr_html_()
    assert '<span style="white-space:nowrap">127.0.0.1:80-&gt;80/tcp</span>, ' in html


def test_control_sequences_do_not_reach_a_terminal() -> None:
    assert "\x1b" not in str(table("a\x1b[2Jb\nc"))


def test_to_dataframe() -> None:
    frame = table("web").to_dataframe()
    assert frame.to_dict("records") == [{"ID": "1", "Names": "web"}]


def test_to_dataframe_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UnsupportedError, match="pandas") as caught:
        table("web").to_dataframe()
    assert caught.value.capability == "pandas"


def test_plain_values_show_themselves() -> None:
    assert repr(Lines(["a", "b"])) == "a\nb"
    assert repr(Lines([0, 137])) == "0\n137"
    assert repr(Text("x 'y'")) == "x 'y'"
    assert repr(Document([{"Id": "é"}])) == '[\n    {\n        "Id": "é"\n    }\n]'


@dataclass
class Line:
    time: datetime
    stream: str
    data: bytes


def test_log() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    lines = [Line(moment, "stdout", b"\x1b[31mred\x1b[0m\n"), Line(moment, "stderr", b"<bad>\n")]
    log = Log(lines)
    assert log.data == b"\x1b[31mred\x1b[0m\n<bad>\n"
    assert log.stream("stderr") == b"<bad>\n"
    assert repr(log) == "red\n<bad>"
    assert "&lt;bad&gt;" in log._repr_html_()
    assert str(Log(lines[1:], timestamps=True)) == "2026-01-02T03:04:05.000000000Z <bad>\n"


def test_outcome() -> None:
    outcome = Outcome(0, b"a\nb\n", b"", "id")
    assert outcome.output == "a\nb\n"
    assert outcome.lines == ["a", "b"]
    assert outcome == Outcome(0, b"a\nb\n", b"", "id", shown=lambda: True)
    assert "exit code" not in outcome._repr_html_()
    assert "exit code 3" in Outcome(3)._repr_html_()


def test_a_log_line_has_dockers_time_and_details() -> None:
    line = LogLine("2026-01-31T13:00:00.12+01:00", "stdout", b"x\n")
    assert log_bytes(line, True) == b"2026-01-31T12:00:00.120000000Z x\n"
    assert log_bytes(line, True, "a=1") == b"2026-01-31T12:00:00.120000000Z a=1 x\n"
    assert log_bytes(line, False, "") == b" x\n"


def test_a_long_log_keeps_and_shows_its_end() -> None:
    lines = [LogLine("2026-01-31T13:00:00+01:00", "stdout", b"x" * 999_999 + b"\n")] * 40
    log = Log(lines)
    assert (len(log), log.left_out) == (16, 24_000_000)
    assert len(repr(log)) < 1_100_000
    assert "MB before this are not shown" in log._repr_html_()


def test_a_long_outcome_is_shown_shortened() -> None:
    outcome = Outcome(0, b"line\n" * 1_000_000)
    assert len(repr(outcome)) < 10_000
    assert "5000000 bytes" in repr(outcome)
    assert len(outcome._repr_html_()) < 1_200_000
    assert "4.0 MB before this are not shown" in outcome._repr_html_()
    assert len(outcome.output) == 5_000_000
