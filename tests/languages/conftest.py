"""One image with R and Node, made once; ``scripts/test --languages`` runs these tests.

They are no part of the default run: the packages take two minutes.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jupyter_containers.engine import Engine
from tests.integration.bases import BaseImages
from tests.integration.engine_fixtures import fresh_engine

IMAGE = "languages:test"
DOCKERFILE = """\
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends r-base-core nodejs python3 \\
 && rm -rf /var/lib/apt/lists/*
"""


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory, base_images: BaseImages) -> Iterator[Engine]:
    """Yield an engine that has the image."""
    with fresh_engine(tmp_path_factory.mktemp("languages")) as engine:
        base_images.bring(engine, "debian:bookworm-slim")
        base_images.bring(engine, IMAGE, dockerfile=DOCKERFILE)
        yield engine
