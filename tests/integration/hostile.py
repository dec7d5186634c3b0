"""Shared parts of tests with hostile registries: the check of remains.

Nothing outside the store was touched, nothing was recorded, and the same engine pulls an honest
image afterwards.
"""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

from jupyter_containers.engine import Engine
from tests.integration.registry_server import ScriptedRegistry
from tests.integration.served_image import ServedImage, member, tar

Member = tuple[tarfile.TarInfo, bytes]


def link(name: str, target: str) -> Member:
    return member(name, type=b"2", linkname=target)


def hard(name: str, target: str) -> Member:
    return member(name, type=b"1", linkname=target)


def escaped(engine: Engine, folder: Path) -> list[Path]:
    """Return the files called ``escaped`` that are not inside a layer."""
    layers = engine.settings.root / "layers"
    return [path for path in folder.rglob("escaped") if layers not in path.parents]


def nothing_left(engine: Engine) -> None:
    root = engine.settings.root
    assert engine.images() == []
    assert os.listdir(root / "staging") == []
    assert engine._context.store.snapshots.layers.incomplete() == []
    engine.system.prune(all=True)
    assert engine._context.store.content.digests() == []


def honest(engine: Engine, served: ServedImage, scripted: ScriptedRegistry) -> None:
    scripted.script = served
    served.lies.clear()
    image = served.image([tar(member("fine", b"1"))], "honest")
    assert engine.pull(f"{scripted.host}/fine:honest").digest == image["digest"]
