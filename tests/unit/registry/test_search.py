from __future__ import annotations

import json

import pytest

from jupyter_containers.errors import InvalidArgumentError, RegistryError
from jupyter_containers.registry.client import RegistryClient
from jupyter_containers.registry.search import (
    FoundRepository,
    check_limit,
    search_endpoint,
    split_term,
)
from tests.unit.registry.fakes import FakeResponse, FakeTransport


@pytest.mark.parametrize(
    ("term", "registry", "word"),
    [
        ("busybox", "docker.io", "busybox"),
        ("team/app", "docker.io", "team/app"),
        ("localhost/app", "localhost", "app"),
        ("r.test:5000/a/b", "r.test:5000", "a/b"),
        ("index.docker.io/app", "docker.io", "app"),
    ],
)
def test_terms(term: str, registry: str, word: str) -> None:
    assert split_term(term) == (registry, word)


def test_terms_and_limits_that_are_none() -> None:
    for term in ("", "r.test/"):
        with pytest.raises(InvalidArgumentError):
            split_term(term)
    for limit in (0, 101, -1):
        with pytest.raises(InvalidArgumentError, match="range"):
            check_limit(limit)


def searched(*answers: FakeResponse) -> tuple[RegistryClient, FakeTransport]:
    transport = FakeTransport(*answers)
    end = search_endpoint("docker.io")
    return RegistryClient("docker.io", endpoint=end, transport=transport), transport


def test_docker_hub_is_searched_at_its_own_host() -> None:
    entry = {
        "name": "busybox",
        "description": "a\x1b[31mb",
        "star_count": 7,
        "is_official": True,
        "is_automated": False,
    }
    body = json.dumps({"num_results": 1, "results": [entry, entry]}).encode()
    client, transport = searched(FakeResponse(200, {}, body))
    assert client.search("busy box", 1) == [FoundRepository("busybox", "ab", 7, official=True)]
    assert transport.sent[0].url == "https://index.docker.io/v1/search?q=busy+box&n=1"


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"results": [{}]}', b'{"results": 5}'])
def test_malformed_results(body: bytes) -> None:
    client, _ = searched(FakeResponse(200, {}, body))
    with pytest.raises(RegistryError, match="malformed"):
        client.search("x", 25)


def test_a_registry_without_search_is_looked_through() -> None:
    pages = [
        FakeResponse(404),
        FakeResponse(
            200,
            {"Link": '</v2/_catalog?n=2&last=b>; rel="next"'},
            b'{"repositories":["other/app","b"]}',
        ),
        FakeResponse(200, {}, b'{"repositories":["team/app","my-app"]}'),
    ]
    client, transport = searched(*pages)
    assert [found.name for found in client.search("app", 2)] == ["other/app", "team/app"]
    assert transport.sent[2].url.endswith("/v2/_catalog?n=2&last=b")
