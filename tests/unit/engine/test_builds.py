from __future__ import annotations

import os
import re

import pytest

from jupyter_containers.engine.builds import _base_hint
from jupyter_containers.engine.lifecycle import builder_alive
from jupyter_containers.engine.naming import step_name
from jupyter_containers.oci.reference import Reference


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
    found = _base_hint(Reference.parse(name))
    assert hint in found
    assert bool(found) == bool(hint)


def test_a_step_name_tells_whether_its_builder_lives() -> None:
    name = step_name()
    assert name != step_name()
    assert builder_alive(name)
    assert not builder_alive(re.sub(r"-\d+-", f"-{os.getpid()}-1", name, count=1))
    assert not builder_alive("build-nonsense")
