"""A store for the notebooks that contains only their own objects."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.integration.engine_fixtures import Place, demolish


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Yield the notebooks' store; remove its containers and networks at the end."""
    if os.geteuid() != 0:
        pytest.skip("needs root: mount namespaces, networks and cgroups")
    place = Place.under(tmp_path_factory.mktemp("notebooks"))
    yield place
    with place.engine() as engine:
        demolish(engine)
