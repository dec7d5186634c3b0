"""``build --call=cache``: the steps that are cached, and why the others are not."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from jupyter_containers.commands.execute import execute
from jupyter_containers.commands.session import Session
from jupyter_containers.errors import BuildError
from tests.integration.build_bench import Bench

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

TEXT = """\
FROM busybox AS made
COPY source.txt /
RUN cat source.txt > /result
FROM busybox
WORKDIR /app
ENV A=1
RUN echo first > first
COPY --from=made /result .
CMD ["true"]
"""


def told(bench: Bench, text: str, **flags: Any) -> list[tuple[str, str]]:
    """Return the reason of each step that would not be cached."""
    steps = bench.engine.builds.forecast(bench.context, dockerfile=text, **flags)
    return [(step.title.partition("] ")[2], step.reason) for step in steps if not step.cached]


def carried_out(bench: Bench, text: str) -> list[tuple[str, str]]:
    """Build, and return the same for the steps that ran."""
    bench.build(text)
    return [(detail, "") for outcome, detail in bench.steps if outcome == "done" and detail]


def test_it_foretells_what_the_build_then_does(bench: Bench) -> None:
    bench.write("source.txt", "one")
    kept = bench.engine.builds.history(), bench.engine.builds.records()
    before = told(bench, TEXT)
    assert ("RUN cat source.txt > /result", "not built here before") in before
    assert (bench.engine.builds.history(), bench.engine.builds.records()) == kept

    bench.build(TEXT)
    assert told(bench, TEXT) == []
    edited = TEXT.replace("echo first", "echo 1st")
    assert told(bench, edited) == [
        ("RUN echo 1st > first", "the command changed"),
        (
            "COPY --from=made /result .",
            "the parent changed: [stage-1 4/6] RUN echo 1st > first",
        ),
        ('CMD ["true"]', ""),
    ]
    assert [why for _, why in told(bench, edited) if why] == [
        why for why, _ in carried_out(bench, edited)
    ]


def test_a_stage_that_is_made_anew_is_named_and_options_count(bench: Bench) -> None:
    bench.write("source.txt", "three")
    bench.build(TEXT, no_cache=True)
    bench.write("source.txt", "four")
    assert told(bench, TEXT)[:2] == [
        ("COPY source.txt /", "source.txt changed"),
        ("RUN cat source.txt > /result", "the parent changed: [made 2/3] COPY source.txt /"),
    ]
    assert ("COPY --from=made /result .", "what it reads is made anew") in told(bench, TEXT)
    off = told(bench, TEXT, no_cache=True)
    assert ("RUN echo first > first", "the cache is off") in off
    away = "FROM nowhere.invalid/image:1\nRUN true"
    first, second = told(bench, away)
    assert first == ("FROM nowhere.invalid/image:1", "the image is not here: it is pulled first")
    assert second[0] == "RUN true"
    with pytest.raises(BuildError, match="missing"):
        told(bench, "FROM busybox\nCOPY missing /")


def test_the_command_line_shows_it(bench: Bench) -> None:
    session = Session(provide_engine=lambda: bench.engine)
    bench.write("Dockerfile", "FROM busybox\nRUN echo a > /a\nRUN echo b > /b\n")
    bench.engine.build(bench.context)
    bench.write("Dockerfile", "FROM busybox\nRUN echo a > /a\nRUN echo c > /b\n")
    table = execute(session, ["build", "--call=cache", str(bench.context)])
    heads = [line.split()[0] for line in str(table).splitlines()]
    assert heads == ["STEP", "[1/3]", "[2/3]", "[3/3]"]
    assert "RUN echo c > /b   carried out   the command changed" in str(table)
    document = json.loads(
        str(execute(session, ["build", "--call=cache,format=json", str(bench.context)]))
    )
    assert document["steps"][2] == {
        "title": "[3/3] RUN echo c > /b",
        "reason": "the command changed",
        "cached": False,
        "location": {"ranges": [{"start": {"line": 3}, "end": {"line": 3}}]},
    }
