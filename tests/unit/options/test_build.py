from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.options import BuildOptions
from jupyter_containers.options.build import SecretSource


def test_build_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_HOST", "1")
    options = BuildOptions.of("ctx", tag="app:1", build_arg=["A=b", "FROM_HOST", "GONE"], label="l")
    assert (options.context, options.tags) == (Path("ctx"), ("app:1",))
    assert options.build_args == {"A": "b", "FROM_HOST": "1"}
    assert options.labels == {"l": ""}


def test_unknown_build_flags_get_near_matches() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        BuildOptions.of(".", taget="x")
    assert "target" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id=a,src=/x/y", SecretSource(file=Path("/x/y"))),
        ("type=file,id=a,source=/x/y", SecretSource(file=Path("/x/y"))),
        ("id=a,env=HERE", SecretSource(env="HERE")),
        ("type=env,id=a", SecretSource(env="a")),
        ("type=env,id=a,src=HERE", SecretSource(env="HERE")),
        ("id=a", SecretSource(file=Path("a"))),
    ],
)
def test_secrets(text: str, expected: SecretSource) -> None:
    assert BuildOptions.of(".", secret=text).secrets == {"a": expected}


def test_a_secret_named_like_a_variable_is_that_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "x")
    assert BuildOptions.of(".", secret=["id=TOKEN"]).secrets == {"TOKEN": SecretSource(env="TOKEN")}


@pytest.mark.parametrize("text", ["src=/x", "id=", "id=a,from=b", "type=vault,id=a"])
def test_bad_secrets(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid secret"):
        BuildOptions.of(".", secret=[text])
