"""What holds for all tests: a machine's own shared images are none of theirs."""

from __future__ import annotations

import os

import pytest

from tests.integration.bases import BaseImages

# Also for the kernels, commands and helpers that tests start.
os.environ.setdefault("JUPYTER_CONTAINERS_ADDITIONAL_STORES", "")


@pytest.fixture(scope="session")
def base_images(tmp_path_factory: pytest.TempPathFactory) -> BaseImages:
    """Return what brings images that take long to make into a store."""
    return BaseImages.of_run(tmp_path_factory)
