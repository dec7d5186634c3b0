"""Resets a store: releases its resources on the machine, then removes its folders."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_containers.engine.system.record_repair import remove_bridge
from jupyter_containers.errors import NotFoundError, StorageError, UnsupportedError
from jupyter_containers.layout import USER_FOLDER
from jupyter_containers.lazy_modules import shutil
from jupyter_containers.network.resolver import NameService
from jupyter_containers.runtime import cgroups
from jupyter_containers.store.faults import storage_errors

if TYPE_CHECKING:
    from jupyter_containers.engine.context import EngineContext
    from jupyter_containers.engine.records import StateRecord


_PATIENCE_SECONDS = 10.0


def reset(context: EngineContext, remove: Callable[[str], None]) -> list[Path]:
    """Remove a store and all its resources; return the removed folders.

    ``remove`` stops and removes a container by its ID.  The folder with an ordinary user's
    namespaces stays: the process that created them removes it.
    """
    records = context.containers.all()
    for record in records:
        with suppress(NotFoundError):  # it has removed itself
            remove(record.id)
    with suppress(UnsupportedError):  # without a runtime nothing runs
        for container_id in context.runtime.container_ids():  # containers with damaged records
            context.runtime.delete(container_id, force=True)
            context.firewall.unpublish(container_id)
    # A user who cannot change networks has only records of them.
    if "CAP_NET_ADMIN" in context.host.kernel_capabilities:
        for network in context.networks.all():
            # The kernel may still be removing the interfaces of containers that just ended.
            context.bridge.remove_bridge(network, with_ports=True)
        for document in context.networks.damaged():
            remove_bridge(context, document, with_ports=True)
    for record in records:
        _wait_for(record.state)
    _wait_for_names(NameService(context.settings.layout.names, context.settings.layout.names_lock))
    parent = context.runtime.cgroup_parent
    cgroups.remove(context.host.cgroups, parent)
    settings = context.settings
    context.close()
    gone = []
    with storage_errors("remove the store"):
        for folder in (settings.root, settings.run_root):
            for entry in folder.iterdir() if folder.is_dir() else ():
                if entry.name == USER_FOLDER and folder == settings.run_root:
                    continue
                if entry.is_dir() and not entry.is_symlink():
                    _remove_tree(entry)
                else:
                    entry.unlink()
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
            gone.append(folder)
    return gone


def _remove_tree(folder: Path) -> None:
    """Remove a folder into which the monitor of an unrecorded container may still write."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            shutil.rmtree(folder)
            return
        except FileNotFoundError:
            if not folder.exists():
                return
        except OSError as error:
            if error.errno != errno.ENOTEMPTY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _wait_for_names(service: NameService) -> None:
    """Wait until the name server has noticed that no container is left."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while service.known and service.alive:
        if time.monotonic() > deadline:
            raise StorageError("the name server is still running", hint="try again: system reset")
        time.sleep(0.01)


def _wait_for(state: StateRecord) -> None:
    """Wait until a container's monitor and sidecars have ended: they write to the store."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    keepers = [state.monitor, state.waiter, *state.companions]
    while any(keeper is not None and keeper.alive for keeper in keepers):
        if time.monotonic() > deadline:
            raise StorageError(
                "a container's monitor is still running", hint="try again: system reset"
            )
        time.sleep(0.01)
