"""Addresses: their handlers and versions, and unknown ones."""

from __future__ import annotations

import pytest

from jupyter_containers.api.errors import StatusError
from jupyter_containers.api.routes import ROUTES, find, split_version


def test_every_route_has_a_handler() -> None:
    assert [route.path for route in ROUTES if not callable(route.function)] == []


def test_names_of_images_have_slashes() -> None:
    route, names = find("GET", "/images/host:5000/a/b:1/json")
    assert (route.handler, names) == ("images:inspect", {"name": "host:5000/a/b:1"})
    assert find("POST", "/images/a%2Fb/tag")[1] == {"name": "a/b"}


def test_a_version_is_taken_off() -> None:
    assert split_version("/v1.43/info") == ((1, 43), "/info")
    assert split_version("/info") == ((1, 51), "/info")
    assert split_version("/v1.43") == ((1, 51), "/v1.43")


@pytest.mark.parametrize(("path", "word"), [("/v1.23/info", "old"), ("/v1.52/info", "new")])
def test_versions_outside_are_refused(path: str, word: str) -> None:
    with pytest.raises(StatusError, match=f"is too {word}") as raised:
        split_version(path)
    assert raised.value.status == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("PATCH", "/info", 404),
        ("POST", "/session", 404),
        ("POST", "/grpc", 404),
        ("GET", "/containers/a/b/json", 404),
        ("POST", "/swarm/leave", 503),
        ("GET", "/services", 503),
    ],
)
def test_what_is_not_here(method: str, path: str, status: int) -> None:
    with pytest.raises(StatusError) as raised:
        find(method, path)
    assert raised.value.status == status
