"""The engine that the integration tests of this folder share, with its images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from tests.integration.bases import BaseImages
from tests.integration.build_bench import Bench
from tests.integration.engine_fixtures import (
    BUSYBOX,
    Place,
    Traces,
    demolish,
    fresh_engine,
    settled,
    traces,
)
from tests.integration.forker import Forker, started
from tests.integration.registry_server import DockerRegistry, ScriptedRegistry, missing_registry
from tests.integration.served_image import ServedImage


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Return where the shared engine's store is, for engines of other processes."""
    return Place.under(tmp_path_factory.mktemp("engine"))


@pytest.fixture(scope="session")
def engine(place: Place) -> Iterator[Engine]:
    """Yield the shared engine; ``busybox`` is in its store."""
    if os.geteuid() != 0:
        pytest.skip("needs root: mount namespaces, networks and cgroups")
    with place.engine() as shared:
        try:
            shared.images.bootstrap(BUSYBOX)
            yield shared
        finally:
            demolish(shared)


@pytest.fixture
def busybox(engine: Engine) -> Iterator[str]:
    """Return the image's name; containers of the test are removed, and leave nothing behind."""
    before: Traces = traces(engine)
    earlier = {container.id for container in engine.containers(all=True)}
    yield BUSYBOX
    for container in engine.containers(all=True):
        if container.id not in earlier:
            engine.containers.remove(container.id, force=True, volumes=True)
    left = settled(engine, before)
    assert not left, f"left behind: {left}"


@pytest.fixture(scope="session")
def debian(engine: Engine, base_images: BaseImages) -> str:
    """Return the name of a Debian image; making it takes some ten seconds, once."""
    base_images.bring(engine, "debian:bookworm-slim")
    return "debian:bookworm-slim"


@pytest.fixture(scope="session")
def python(engine: Engine, base_images: BaseImages) -> str:
    """Return the name of an image with Python and pip; making it takes half a minute, once."""
    base_images.bring(engine, "python:3.11-slim")
    return "python:3.11-slim"


@pytest.fixture(scope="session")
def forker() -> Iterator[Forker]:
    """Yield a helper that forks children sharing no lock with this process."""
    with started() as running:
        yield running


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    if missing_registry():
        pytest.skip(missing_registry())
    with DockerRegistry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine with an empty store and no credentials of the user."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with fresh_engine(tmp_path / "own") as engine:
        yield engine


@pytest.fixture
def served() -> ServedImage:
    return ServedImage()


@pytest.fixture
def scripted(served: ServedImage) -> Iterator[ScriptedRegistry]:
    with ScriptedRegistry(served) as running:
        yield running


@pytest.fixture
def bench(engine: Engine, busybox: str, tmp_path: Path) -> Bench:
    """Return a build context and the shared engine."""
    del busybox  # asked for: it is in the store, and the test leaves nothing behind
    context = tmp_path / "context"
    context.mkdir()
    return Bench(engine, context)
