"""An engine for the user of these tests: root, or a user whose engine runs in a worker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers import Engine
from jupyter_containers.engine import Engine as RootEngine


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RootEngine]:
    """Yield an engine with busybox; the runtime is that of $JUPYTER_CONTAINERS_RUNTIME."""
    if not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        pytest.skip("needs pure cgroup v2: scripts/test --vm")
    folder = tmp_path_factory.mktemp("store")
    with Engine(root=folder / "root", run_root=folder / "run") as engine:
        engine.images.bootstrap("busybox")
        yield engine


@pytest.fixture
def is_root() -> bool:
    return os.geteuid() == 0
