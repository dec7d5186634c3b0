from __future__ import annotations

import pytest

from jupyter_containers.engine.images.recipes import Recipe, bootstrap_hint, recipe_of
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.oci.reference import Reference


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("busybox", Recipe("busybox")),
        ("busybox:1.36", Recipe("busybox")),
        ("debian", Recipe("debian", "bookworm")),
        ("debian:12", Recipe("debian", "bookworm")),
        ("debian:13-slim", Recipe("debian", "trixie", True)),
        ("debian:bookworm-slim", Recipe("debian", "bookworm", True)),
        ("docker.io/library/debian:trixie", Recipe("debian", "trixie")),
        ("python", Recipe("python", "bookworm", True, "3.11")),
        ("python:3.11-slim", Recipe("python", "bookworm", True, "3.11")),
        ("python:3.13-slim", Recipe("python", "trixie", True, "3.13")),
        ("python:3.11-slim-bookworm", Recipe("python", "bookworm", True, "3.11")),
    ],
)
def test_recipes(name: str, recipe: Recipe) -> None:
    assert recipe_of(Reference.parse(name)) == recipe


@pytest.mark.parametrize(
    "name", ["alpine", "debian:potato", "python:2.7", "python:3.11-slim-trixie", "me/busybox"]
)
def test_what_cannot_be_made(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="cannot bootstrap") as caught:
        recipe_of(Reference.parse(name))
    assert "python:3.11-slim" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("debian:bookworm-slim", "bootstrap debian:bookworm-slim"),
        ("python:3.11-slim", "bootstrap python:3.11-slim"),
        ("alpine", ""),
        ("localhost:5000/debian:bookworm", ""),
    ],
)
def test_a_base_that_can_be_made_here_is_offered(name: str, hint: str) -> None:
    found = bootstrap_hint(Reference.parse(name))
    assert hint in found
    assert bool(found) == bool(hint)
