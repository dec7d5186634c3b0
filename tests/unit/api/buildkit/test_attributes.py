"""Attributes of a solve as the builder's options."""

from __future__ import annotations

import pytest

from jupyter_containers.api.buildkit.attributes import (
    Wanted,
    cache_place,
    check_frontend,
    check_syntax,
    entitlements,
)
from jupyter_containers.api.buildkit.messages import Exporter, SolveRequest
from jupyter_containers.errors import ContainersError, InvalidArgumentError, UnsupportedError


def test_attributes_are_flags() -> None:
    found = Wanted.of(
        {
            "filename": "app/Dockerfile",
            "build-arg:A": "1",
            "label:l": "m",
            "context:base": "docker-image://busybox",
            "target": "t",
            "platform": "linux/amd64,linux/arm64",
            "force-network-mode": "sandbox",
            "add-hosts": "a=1.2.3.4,b=::1",
            "shm-size": "65536",
            "ulimit": "nofile=1:2",
            "no-cache": "",
            "image-resolve-mode": "pull",
            "cache-imports": '[{"Type":"registry","Attrs":{"ref":"r/i"}}]',
            "vcs:revision": "abc",
            "cgroup-parent": "",
            "attest:provenance": "mode=min,inline-only=true",
        }
    )
    assert found.filename == "app/Dockerfile"
    assert found.named == {"base": "docker-image://busybox"}
    assert found.flags == {
        "build_args": {"A": "1"},
        "labels": {"l": "m"},
        "target": "t",
        "platform": "linux/amd64,linux/arm64",
        "network": "bridge",
        "add_host": ["a:1.2.3.4", "b:::1"],
        "shm_size": "65536",
        "ulimit": ["nofile=1:2"],
        "no_cache": True,
        "pull": True,
        "cache_from": ["type=registry,ref=r/i"],
    }
    assert Wanted.of({"no-cache": "a,b"}).flags["no_cache_filter"] == ["a,b"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("magic", "1"),
        ("cgroup-parent", "/x"),
        ("attest:sbom", ""),
        ("attest:provenance", "mode=max"),
        ("cache-imports", "no JSON"),
        ("cache-imports", '{"a": 1}'),
        ("cache-imports", '[{"Type": "gha", "Attrs": {"scope": "s"}}]'),
        ("cache-imports", '[{"Type": "local", "Attrs": {"src": 1}}]'),
        ("cache-imports", '[{"Type": ["registry"]}]'),
        ("cache-imports", '[{"Type": "registry", "Attrs": {"ref": "x,dest=/etc"}}]'),
    ],
)
def test_what_would_change_the_result_is_refused(name: str, value: str) -> None:
    with pytest.raises(ContainersError):
        Wanted.of({name: value})


@pytest.mark.parametrize("name", ["docker/dockerfile:1", "docker.io/docker/dockerfile@sha256:a"])
def test_dockers_own_syntax_is_ours(name: str) -> None:
    check_syntax(f"# escape=`\n# syntax = {name}\nFROM x\n".encode(), {})
    check_frontend(SolveRequest(frontend="gateway.v0", frontend_attrs={"source": name}))


def test_other_frontends_are_refused() -> None:
    for text in (b"#syntax=example.org/f:1\nFROM x\n", b"\xef\xbb\xbf# SYNTAX=f\n"):
        with pytest.raises(UnsupportedError, match=r"frontend .* is a separate program"):
            check_syntax(text, {})
    with pytest.raises(UnsupportedError, match="example"):
        check_syntax(b"FROM x\n", {"BUILDKIT_SYNTAX": "example"})
    check_syntax(b"FROM x\n# syntax=example.org/f\n", {})  # no directive there
    for request in (
        SolveRequest(frontend="gateway.v0", frontend_attrs={"source": "example/f"}),
        SolveRequest(frontend="other"),
        SolveRequest(definition=b"x"),
        SolveRequest(frontend="dockerfile.v0", frontend_inputs={"a": b""}),
        SolveRequest(frontend="dockerfile.v0", source_policy=b"x"),
    ):
        with pytest.raises(UnsupportedError):
            check_frontend(request)


def test_entitlements_and_caches_are_named() -> None:
    assert entitlements(SolveRequest(entitlements=["network.host"] * 2)) == ["network.host"]
    with pytest.raises(InvalidArgumentError):
        entitlements(SolveRequest(entitlements=["device"]))
    assert cache_place(Exporter(type="inline", attrs={"mode": "max"})) == "type=inline,mode=max"


def test_a_local_cache_is_no_path_of_this_machine() -> None:
    text = '[{"Type": "local", "Attrs": {"src": "/etc", "digest": "sha256:1"}}]'
    found = Wanted.of({"cache-imports": text})
    assert "cache_from" not in found.flags
    assert [one.attrs["src"] for one in found.caches] == ["/etc"]
