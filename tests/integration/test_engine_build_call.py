"""``build --call``: the answers are those of Docker 28.5 to the same Dockerfile."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import pytest

from jupyter_containers.commands.execute import execute
from jupyter_containers.commands.session import Session
from jupyter_containers.errors import ChecksFailedError, InvalidArgumentError
from tests.integration.build_bench import Bench

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

TEXT = """\
# BASE picks the base
ARG BASE=busybox
ARG IDLE=1
# base is where all begins
FROM ${BASE} AS base
# VERSION of the app
ARG VERSION=1.0
ARG UNSET
ARG OTHER="a b" TARGETARCH
RUN --mount=type=secret,id=token,required --mount=type=ssh true
RUN --mount=type=secret,target=/x/pw true

# test runs the tests
# on two lines
FROM base AS test
ARG EXTRA=$VERSION
RUN --mount=type=cache,target=/c true

FROM scratch
ARG VERSION
COPY --from=test /x /y

# final is last
FROM base AS final
"""
OUTLINE = """\
TARGET:      test
DESCRIPTION: runs the tests

BUILD ARG   VALUE     DESCRIPTION
BASE        busybox   picks the base
VERSION     9         of the app
UNSET
OTHER       a b
EXTRA       9

SECRET   REQUIRED
token    true
pw

SSH       REQUIRED
default
"""


def ask(bench: Bench, *flags: str) -> Any:
    bench.write("Dockerfile", TEXT)
    return execute(Session(lambda: bench.engine), ["build", *flags, str(bench.context)])


def test_an_outline_shows_what_a_target_takes(bench: Bench) -> None:
    said = ask(bench, "--call=outline", "--target=test", "--build-arg=VERSION=9")
    assert [line.rstrip() for line in str(said).splitlines()] == OUTLINE.splitlines()
    assert "where all begins" not in said._repr_html_()
    assert "runs the tests" in said._repr_html_()
    assert said._repr_html_().count("<table") == 4
    assert said.outline.args[1].line == 7
    assert bench.events == [], "nothing is built"


def test_the_stages_copied_from_count(bench: Bench) -> None:
    bench.write("Dockerfile", TEXT + "FROM scratch\nARG OTHER=mine\nCOPY --from=test /x /y\n")
    outline = bench.engine.builds.outline(bench.context)
    assert [(one.name, one.value) for one in outline.args] == [
        ("BASE", "busybox"), ("VERSION", "1.0"), ("UNSET", ""), ("EXTRA", "1.0"),
        ("OTHER", "mine"),
    ]  # fmt: skip


def test_targets_are_a_table_with_the_default_marked(bench: Bench) -> None:
    said = ask(bench, "--call", "targets")
    assert [line.rstrip() for line in str(said).splitlines()] == [
        "TARGET            DESCRIPTION",
        "base              is where all begins",
        "test              runs the tests",
        "",
        "final (default)   is last",
    ]
    assert [target.base for target in said] == ["${BASE}", "base", "scratch", "base"]


def test_the_answers_are_also_json_in_buildkits_schema(bench: Bench) -> None:
    outline = json.loads(ask(bench, "--call=outline,format=json", "--target=test"))
    assert outline["name"] == "test"
    assert outline["args"][0] == {
        "name": "BASE", "description": "picks the base", "value": "busybox",
        "location": {"ranges": [{"start": {"line": 2}, "end": {"line": 2}}]},
    }  # fmt: skip
    assert outline["secrets"][0]["required"] is True
    assert "required" not in outline["secrets"][1]
    assert base64.b64decode(outline["sources"][0]).decode() == TEXT
    targets = json.loads(ask(bench, "--call=targets,format=json"))["targets"]
    assert [target.get("name") for target in targets] == ["base", "test", None, "final"]
    assert [target.get("default") for target in targets] == [None, None, None, True]


def test_checks_are_a_call(bench: Bench) -> None:
    assert ask(bench, "--call=check") == "Check complete, no warnings found."
    assert ask(bench, "--call=check,format=json").exit_status == 0
    bench.write("Dockerfile", "FROM busybox\nMAINTAINER me\n")
    words = ["build", "--call=check", str(bench.context)]
    with pytest.raises(ChecksFailedError, match="1 warning has been found"):
        execute(Session(lambda: bench.engine), words)
    words[1] += ",format=json"
    found = execute(Session(lambda: bench.engine), words)
    assert found.exit_status == 1
    [warning] = json.loads(found)["warnings"]
    assert warning["ruleName"] == "MaintainerDeprecated"
    assert warning["location"]["ranges"][0]["start"]["line"] == 2


@pytest.mark.parametrize("method", ["nope", "outline,format=xml", "outline,other=1"])
def test_unknown_calls_are_refused(bench: Bench, method: str) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid call"):
        ask(bench, f"--call={method}")
