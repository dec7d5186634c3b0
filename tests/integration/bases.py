"""Images that take long to make: made once for the tests of all workers."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine

# The bootstrap of an image makes missing bases too; a Debian takes 30 s of processor time.
_MADE_FROM = {"python:3.11-slim": ("debian:bookworm-slim",)}


class BaseImages:
    """Archives of images, in ``folder``; the first user of an image creates its archive."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of_run(cls, factory: pytest.TempPathFactory) -> BaseImages:
        """Return those of this run of the tests, which its processes share."""
        folder = factory.getbasetemp()
        return cls(folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder)

    def bring(self, engine: Engine, *names: str, dockerfile: str = "") -> None:
        """Bring images into an engine's store: bootstrapped, or built from the Dockerfile."""
        for name in names:
            archive = self._folder / f"{name.replace(':', '-')}.tar"
            with (self._folder / f"{archive.name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not archive.exists():
                    if dockerfile:
                        engine.build(dockerfile=dockerfile, tag=name)
                    else:
                        self.bring(engine, *_MADE_FROM.get(name, ()))
                        engine.images.bootstrap(name)
                    partial = archive.with_suffix(".partial")
                    engine.images.save([name], partial)
                    partial.rename(archive)
            if not any(name in image.names for image in engine.images()):
                engine.images.load(archive)
