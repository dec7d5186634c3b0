from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.options.build import BuildOptions, SecretSource
from jupyter_containers.options.context import ContextSource


def test_build_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_HOST", "1")
    options = BuildOptions.of("ctx", tag="app:1", build_arg=["A=b", "FROM_HOST", "GONE"], label="l")
    assert (options.context, options.tags) == (ContextSource("folder", "ctx"), ("app:1",))
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


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (".", "folder"),
        ("https://github.com/a/b.git#main:sub", "git"),
        ("git@github.com:a/b", "git"),
        ("github.com/a/b", "git"),
        ("https://example.com/a.tar.gz", "url"),
        (b"tar", "archive"),
        ({"a": "b"}, "files"),
    ],
)
def test_contexts(value: object, kind: str) -> None:
    assert BuildOptions.of(value).context.kind == kind


def test_named_contexts() -> None:
    options = BuildOptions.of(build_context=["Base=docker-image://a:1", "l=oci-layout:///x:t"])
    assert options.build_contexts == {
        "base": ContextSource("image", "a:1"),
        "l": ContextSource("layout", "/x:t"),
    }
    with pytest.raises(InvalidArgumentError, match="invalid build context"):
        BuildOptions.of(build_context=["x"])


@pytest.mark.parametrize("name", ["../a", "a/../../b", "", "/", "a\0"])
def test_a_file_cannot_leave_the_context(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid file name"):
        BuildOptions.of({name: b""})


def test_entitlements_and_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/agent")
    options = BuildOptions.of(allow="network.host", ssh=["default", "k=/a,/b"])
    assert options.allow == {"network.host"}
    assert options.ssh == {"default": (Path("/agent"),), "k": (Path("/a"), Path("/b"))}
    with pytest.raises(InvalidArgumentError, match="unknown entitlement"):
        BuildOptions.of(allow="x")
    monkeypatch.delenv("SSH_AUTH_SOCK")
    with pytest.raises(InvalidArgumentError, match="SSH_AUTH_SOCK is not set"):
        BuildOptions.of(ssh="default")
