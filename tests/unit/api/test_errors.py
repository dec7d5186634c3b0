"""Errors of the engine in Docker's words and status codes."""

from __future__ import annotations

import pytest

from jupyter_containers.api.errors import answer_of
from jupyter_containers.errors import UnsupportedError


@pytest.mark.parametrize(
    ("kind", "word", "status"), [("volume", "volume", 404), ("log", "logging", 400)]
)
def test_a_driver_that_is_not_here_is_a_plugin_that_is_not_found(
    kind: str, word: str, status: int
) -> None:
    error = UnsupportedError("not known", capability=f"{kind} driver x", provided_by="another")
    message = f'error looking up {word} plugin x: plugin "x" not found'
    assert (answer_of(error).status, answer_of(error).document) == (status, {"message": message})
