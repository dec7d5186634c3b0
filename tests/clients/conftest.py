"""A service with a local mirror of Docker Hub, and the clients in a virtual environment of theirs.

``scripts/test --clients`` runs these tests; they are no part of the default run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from tests.clients.mirror import filled
from tests.integration.api_client import Client
from tests.integration.bases import BaseImages
from tests.integration.engine_fixtures import fresh_engine
from tests.integration.registry_server import DockerRegistry, missing_registry

VENV = Path(__file__).resolve().parents[2] / ".clients"


@pytest.fixture(scope="session")
def venv() -> Path:
    """Return the folder of the clients' programs."""
    if not (VENV / "made-from").exists():
        pytest.skip("needs the clients: scripts/setup clients")
    return VENV / "bin"


@pytest.fixture(scope="session")
def mirrored(tmp_path_factory: pytest.TempPathFactory, base_images: BaseImages) -> Iterator[Engine]:
    """Yield an engine that pulls from a mirror with alpine, busybox and hello-world."""
    if os.geteuid() != 0:
        pytest.skip("needs root: mount namespaces, networks and cgroups")
    if missing_registry():
        pytest.skip(missing_registry())
    folder = tmp_path_factory.mktemp("clients")
    with DockerRegistry(folder / "registry") as registry:
        mirror = (f"http://{registry.host}",)
        with fresh_engine(folder / "engine", registry_mirrors=mirror) as engine:
            filled(engine, registry.host)
            yield engine


@pytest.fixture(scope="session")
def client(mirrored: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("api")
    with mirrored.api(f"unix://{folder}/d.sock") as url:
        yield Client(url, folder)
