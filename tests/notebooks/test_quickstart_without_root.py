"""The quickstart notebook as ordinary users."""

from __future__ import annotations

import sys

import pytest

from tests.integration.account import CLONE, KINDS, NEEDS, opened
from tests.integration.bases import BaseImages
from tests.integration.engine_fixtures import Place
from tests.notebooks.test_quickstart import NOTEBOOK, on_free_ports

pytestmark = NEEDS
BASES = ("busybox", "debian:bookworm-slim", "python:3.11-slim")


@pytest.mark.parametrize("kind", KINDS)
def test_every_cell_works(kind: str, place: Place, base_images: BaseImages) -> None:
    with place.engine() as engine, opened(kind) as account:
        base_images.bring(engine, *BASES)
        saved = account.home / "bases.tar"
        engine.images.save(BASES, saved)
        saved.chmod(0o644)
        loaded = account.container(f"load -i {saved}")
        assert all(name in loaded for name in BASES)
        (account.home / "quickstart.ipynb").write_text(on_free_ports(NOTEBOOK.read_text()))
        script = [sys.executable, str(CLONE / "scripts/run_notebook.py")]
        done = account.run([*script, "quickstart.ipynb", "result.ipynb"], timeout=300)
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
        summary = done.stdout.decode().partition("\n\n")[2]
        for word in ("built   my-python-app:latest", "pushed  localhost:", "sha256:"):
            assert word in summary
