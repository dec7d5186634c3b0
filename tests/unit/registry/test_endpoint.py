from __future__ import annotations

import pytest

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.registry.endpoint import (
    Endpoint,
    TrustPolicy,
    is_loopback,
    mirrors_for,
    origin,
    redacted,
    with_query,
)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST:5000", True),
        ("127.0.0.1:5000", True),
        ("127.8.9.10", True),
        ("[::1]:5000", True),
        ("localhost.example.org", False),
        ("127.0.0.1.example.org", False),
        ("10.0.0.1", False),
        ("128.0.0.1", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
    assert TrustPolicy().allows_plain(host) is expected


@pytest.mark.parametrize(
    ("listed", "host", "expected"),
    [
        ("reg.lan", "reg.lan", True),
        ("reg.lan", "reg.lan:5000", True),
        ("reg.lan:5000", "reg.lan:5000", True),
        ("reg.lan:5000", "reg.lan:5001", False),
        ("reg.lan:5000", "reg.lan", False),
        ("Reg.LAN", "reg.lan", True),
        ("reg.lan", "my-reg.lan", False),
        ("10.1.0.0/16", "10.1.2.3:5000", True),
        ("10.1.0.0/16", "10.2.2.3:5000", False),
        ("10.1.0.0/16", "reg.lan", False),
    ],
)
def test_listed_as_insecure(listed: str, host: str, expected: bool) -> None:
    assert TrustPolicy((listed,)).is_listed(host) is expected


def test_a_network_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        TrustPolicy(("reg.lan/path",)).is_listed("10.0.0.1")


def test_docker_hub_has_another_host_than_name() -> None:
    assert Endpoint.of_registry("docker.io").host == "registry-1.docker.io"
    assert Endpoint.of_registry("quay.io").host == "quay.io"


@pytest.mark.parametrize(
    ("text", "host", "scheme", "prefix"),
    [
        ("mirror.lan:5000", "mirror.lan:5000", "", ""),
        ("mirror.lan/hub", "mirror.lan", "", "/hub"),
        ("https://mirror.lan/", "mirror.lan", "https", ""),
        ("https://mirror.lan/v2/", "mirror.lan", "https", ""),
        ("http://127.0.0.1:1/a/b", "127.0.0.1:1", "http", "/a/b"),
    ],
)
def test_mirrors(text: str, host: str, scheme: str, prefix: str) -> None:
    made = Endpoint.of_mirror(text)
    assert (made.host, made.scheme, made.prefix) == (host, scheme, prefix)


@pytest.mark.parametrize("text", ["ftp://mirror.lan", "https://", "https://u:secret@mirror.lan"])
def test_what_is_no_mirror(text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        Endpoint.of_mirror(text)
    assert "secret" not in str(caught.value)


def test_mirrors_belong_to_docker_hub_unless_another_registry_is_named() -> None:
    entries = ["https://a.lan", "quay.io=https://b.lan", "c.lan:5000"]
    assert mirrors_for("docker.io", entries) == ("https://a.lan", "c.lan:5000")
    assert mirrors_for("quay.io", entries) == ("https://b.lan",)
    assert mirrors_for("ghcr.io", entries) == ()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://u:p@host:1/path?token=x#y", "https://host:1/path"),
        ("https://host", "https://host"),
        ("https://host?token=x", "https://host"),
        ("/v2/?x", "/v2/"),
    ],
)
def test_redaction(url: str, expected: str) -> None:
    assert redacted(url) == expected


def test_origins_compare_with_default_ports() -> None:
    assert origin("https://HOST/x") == origin("https://host:443/y")
    assert origin("http://host") != origin("https://host")


def test_a_query_is_added_behind_the_one_that_is_there() -> None:
    assert with_query("/u?_state=a%3D%3D", [("digest", "sha256:ab")]) == (
        "/u?_state=a%3D%3D&digest=sha256:ab"
    )
    assert with_query("/u", [("a", "b c")]) == "/u?a=b+c"
