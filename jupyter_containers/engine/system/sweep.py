"""The sweep at every start of an engine: finishes or removes what dead processes left."""

from __future__ import annotations

from jupyter_containers.engine.containers.sweep import SweptLifecycle, builder_alive
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.lazy_modules import shutil
from jupyter_containers.store.faults import tolerated


def sweep(context: EngineContext, lifecycle: SweptLifecycle) -> None:
    """Finish or remove downloads, containers and build steps whose process has died."""
    workbench = context.workbench
    found = list(workbench.iterdir()) if workbench.is_dir() else []
    dead = [folder for folder in found if not builder_alive(folder.name)]
    for folder in dead:
        context.runtime.abandon(folder.name)
    context.store.sweep()
    # On a full or read-only disk the caller's verb must still run: it may free space.
    with tolerated():
        lifecycle.sweep()
    for folder in dead:
        shutil.rmtree(folder, ignore_errors=True)
