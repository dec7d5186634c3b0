from __future__ import annotations

import json
import re
from typing import Any

import pytest

from jupyter_containers.commands.execute import execute
from jupyter_containers.commands.session import Session
from jupyter_containers.engine.journal import JournalEvent
from jupyter_containers.errors import InvalidArgumentError

EVENT = JournalEvent(
    7, 1_700_000_000_123_456_789, "container", "die", "abc", {"name": "n", "exitCode": "3"}
)


def perform(engine: Any, *words: str) -> tuple[Any, str]:
    seen: list[bytes] = []
    session = Session(
        provide_engine=lambda: engine, on_output=lambda stream, data: seen.append(data)
    )
    return execute(session, words), b"".join(seen).decode()


def test_a_line_is_dockers(fake_engine: Any) -> None:
    fake_engine.answers["system.events"] = [EVENT]
    result, text = perform(fake_engine, "events", "--since", "10m", "-f", "type=container")
    assert result is None
    assert re.fullmatch(
        r"2023-11-1\dT\d\d:\d\d:20\.123456789(Z|[+-]\d\d:\d\d)"
        r" container die abc \(exitCode=3, name=n\)\n",
        text,
    )
    _, _, flags = fake_engine.last
    assert flags["filters"] == {"type": ["container"]}
    assert flags["since"] is not None


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("{{.Type}} {{.Action}} {{.ID}} {{.Time}}", "container die abc 1700000000\n"),
        ("{{.Actor.Attributes.exitCode}}", "3\n"),
        ("{{.Status}} {{.From}}", "die \n"),
    ],
)
def test_templates(fake_engine: Any, form: str, text: str) -> None:
    fake_engine.answers["system.events"] = [EVENT]
    assert perform(fake_engine, "system", "events", "--format", form)[1] == text


def test_json_is_the_document_of_the_api(fake_engine: Any) -> None:
    fake_engine.answers["system.events"] = [EVENT]
    for form in ("json", "{{json .}}"):
        assert json.loads(perform(fake_engine, "events", "--format", form)[1]) == EVENT.document()


def test_without_an_output_the_lines_are_the_value(fake_engine: Any) -> None:
    fake_engine.answers["system.events"] = [EVENT]
    lines = execute(Session(provide_engine=lambda: fake_engine), ["events"])
    assert len(lines) == 1


def test_a_time_that_is_none_is_refused(fake_engine: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="since"):
        perform(fake_engine, "events", "--since", "soon")
