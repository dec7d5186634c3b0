from __future__ import annotations

from typing import Any

import pytest

from jupyter_containers.build.interpret import typed
from jupyter_containers.build.parser import parse
from jupyter_containers.build.plan import Plan, make_plan
from jupyter_containers.errors import BuildError, ContainersError
from jupyter_containers.oci.descriptor import Platform

AMD = Platform("amd64", "linux")


def plan(text: str, target: str = "", platform: Platform = AMD, **build_args: str) -> Plan:
    parsed = parse(text)
    return make_plan(
        typed(parsed), parsed.escape, build_args=build_args, target=target, platform=platform
    )


DIAMOND = """
FROM base AS a
FROM a AS b
FROM scratch AS c
FROM scratch AS unused
RUN --mount=type=bind,from=c,target=/x true
FROM scratch AS d
COPY --from=b /x /y
COPY --from=2 /x /y
COPY --from=image:tag /x /y
"""


@pytest.mark.parametrize(
    ("target", "needed"),
    [("", (0, 1, 2, 4)), ("a", (0,)), ("B", (0, 1)), ("unused", (2, 3))],
)
def test_only_needed_stages(target: str, needed: tuple[int, ...]) -> None:
    assert plan(DIAMOND, target).needed == needed


def test_a_target_has_a_name() -> None:
    with pytest.raises(BuildError, match="target stage '0' could not be found"):
        plan(DIAMOND, "0")


def test_from_expands_global_arguments() -> None:
    text = "ARG V=1\nARG N=img:$V\nFROM ${N:-x} AS a\nFROM --platform=$BUILDPLATFORM $T\n"
    text = "ARG T\n" + text
    stages = plan(text, T="t", V="2").stages
    assert [stage.image for stage in stages] == ["img:2", "t"]
    assert stages[1].platform == Platform.host()


def test_predefined_arguments() -> None:
    known = plan("FROM a", platform=Platform("arm", "linux", "v7"), TARGETARCH="mine").global_args
    assert known["TARGETPLATFORM"] == "linux/arm/v7"
    assert (known["TARGETVARIANT"], known["TARGETARCH"]) == ("v7", "mine")
    assert known["BUILDOS"] == "linux"


def test_platform_of_a_stage_is_inherited() -> None:
    text = "FROM --platform=linux/arm64 a AS x\nFROM x\nFROM b\n"
    assert [str(stage.platform) for stage in plan(text).stages] == [
        "linux/arm64", "linux/arm64", "linux/amd64"
    ]  # fmt: skip


def test_a_later_stage_of_the_same_name_hides_the_earlier() -> None:
    made = plan("FROM one AS x\nFROM two AS x\nFROM x\n")
    assert made.stages[2].base == 1
    assert made.findings == ()


@pytest.mark.parametrize(
    ("text", "target", "message", "hint"),
    [
        ("", "", "has no FROM", ""),
        ("ARG a", "", "has no FROM", ""),
        ("RUN x\nFROM a", "", "RUN precedes FROM", "begin with FROM"),
        ("FROM $X", "", "should not be blank", "declare the variable before FROM"),
        ("FROM ${X", "", "missing '}'", ""),
        ("FROM --platform=!! a", "", "not a platform", ""),
        ("FROM a AS build", "biuld", "'biuld' could not be found", "did you mean build?"),
        ("FROM a", "x", "could not be found", "no stage has a name"),
        ("FROM a\nCOPY --from=0 a b", "", "not an earlier stage", ""),
        ("FROM a\nCOPY --from=7 a b", "", "not an earlier stage", ""),
        ("FROM a AS x\nCOPY --from=x a b", "", "must come before", ""),
        ("FROM a\nCOPY --from=x a b\nFROM b AS x\nFROM 0\nCOPY --from=0 a b", "", "must come", ""),
    ],
)
def test_plans_that_fail(text: str, target: str, message: str, hint: str) -> None:
    with pytest.raises(ContainersError) as caught:
        plan(text, target)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_an_undefined_variable_in_from_is_found() -> None:
    (finding,) = plan("FROM a$X").findings
    assert (finding.rule.name, finding.message) == (
        "UndefinedArgInFrom",
        "FROM argument 'X' is not declared",
    )


ENVIRONMENTS: list[tuple[str, dict[str, str], str]] = [
    ("ARG A\nENV O=[$A]", {}, "[]"),
    ("ARG A\nENV O=[$A]", {"A": "x"}, "[x]"),
    ("ARG A=d\nENV O=[$A]", {"A": "x"}, "[x]"),
    ("ARG A=d\nENV O=[$A]", {"A": ""}, "[]"),
    ("ENV O=[$A]\nARG A=d", {"A": "x"}, "[]"),
    ("ARG A=d\nENV A=e\nENV O=[$A]", {"A": "x"}, "[e]"),
    ("ARG A=d\nENV A=e\nARG A\nENV O=[$A]", {"A": "x"}, "[x]"),
    ("ARG A=d\nENV A=e\nARG A\nENV O=[$A]", {}, "[e]"),
    ("ENV A=e\nARG A=d\nENV O=[$A]", {}, "[d]"),
    ("ENV A=e\nARG A=d\nENV A=f\nENV O=[$A]", {}, "[f]"),
    ("ARG A=1 B=$A\nENV O=[$B]", {}, "[1]"),
    ("ENV O=[$HTTP_PROXY]", {"HTTP_PROXY": "p"}, "[]"),
    ("ARG HTTP_PROXY\nENV O=[$HTTP_PROXY]", {"HTTP_PROXY": "p"}, "[p]"),
    ("ENV O=[$TARGETOS]", {}, "[]"),
    ("ARG TARGETOS\nENV O=[$TARGETOS]", {}, "[linux]"),
    ("ARG TARGETOS=mine\nENV O=[$TARGETOS]", {}, "[mine]"),
]


@pytest.mark.parametrize(("text", "build_args", "expected"), ENVIRONMENTS)
def test_arguments_and_environment(
    bench: Any, text: str, build_args: dict[str, str], expected: str
) -> None:
    result = bench.build(f"FROM scratch\n{text}\n", build_arg=build_args)
    env = dict(entry.split("=", 1) for entry in result.config.config.env)
    assert env["O"] == expected
