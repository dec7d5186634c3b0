"""The sweep at every engine's start: finish or remove what dead processes left behind.

A killed engine loses nothing, because records name their owner and conmon keeps exit codes.  The
sweep settles every container (:meth:`Lifecycle.look`), removes resources without a record, starts
the missing waiters of due restarts, and after a boot starts the containers whose policy requires
it.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from jupyter_containers.engine.containers.exit_command import exit_command
from jupyter_containers.engine.containers.lifecycle import LOST, Lifecycle
from jupyter_containers.engine.containers.restarts import (
    FIRST_DELAY,
    boot_id,
    known_boot,
    remember_boot,
    restarts_at_boot,
    start_waiter,
)
from jupyter_containers.engine.interrupts import deferred
from jupyter_containers.engine.records import ContainerRecord
from jupyter_containers.errors import ContainersError
from jupyter_containers.network.sysctl import leads_to_loopback
from jupyter_containers.oci.state import Status

_FINAL_STATE_SECONDS = 600.0


class SweptLifecycle(Lifecycle):
    """A lifecycle with the sweep."""

    def _after_boot(self) -> None:
        """Settle containers that ended with the machine; restart those whose policy says so."""
        context = self._context
        for record in context.containers.all():
            with deferred(), self.locked(record.id):
                current = context.containers.get(record.id)
                if current is None or current.phase != "ready":
                    continue
                was_alive = current.state.status.alive
                if was_alive or current.state.status is Status.RESTARTING:
                    current = self._lost(current)
                if current.options.rm and was_alive:
                    self._remove(current, volumes=True)
                elif restarts_at_boot(current):
                    self._due(current.id, FIRST_DELAY)

    def _lost(self, record: ContainerRecord) -> ContainerRecord:
        """Record the end of a container whose machine stopped; its processes cannot exist."""
        self._context.runtime.forget(record.id)
        self._connections.release(record.id, record.endpoints, record.ports)
        return self._update(
            record.id,
            status=Status.EXITED,
            exit_code=LOST if record.state.status.alive else record.state.exit_code,
            finished=time.time(),
            process=None,
            monitor=None,
            waiter=None,
            companions=(),
        )

    def restarted(self) -> bool:
        """Return whether the machine was restarted since the last sweep."""
        return boot_id() != known_boot(self._context.settings.layout.boot_id)

    def sweep(self) -> None:
        """Finish or remove what dead processes left half done."""
        context = self._context
        if (boot := boot_id()) != known_boot(context.settings.layout.boot_id):
            with context.store.locks.hold("boot"):  # two engines may start at the same time
                if known_boot(context.settings.layout.boot_id) not in ("", boot):
                    self._after_boot()
                remember_boot(context.settings.layout.boot_id, boot)
        for record in context.containers.all():
            looked = self.look(record)
            if looked is not None and looked.state.status is Status.RESTARTING:
                waiter = looked.state.waiter
                if waiter is None or not waiter.alive:
                    start_waiter(exit_command(context, looked.id))
        self._sweep_runtime()
        self._sweep_addresses()
        self._sweep_loopback()
        self._sweep_names()
        self._sweep_final_states()
        self._sweep_folders()

    def _sweep_runtime(self) -> None:
        """Remove containers known to the runtime that no record says are alive."""
        folder = self._context.settings.layout.runtime
        names = sorted(os.listdir(folder)) if folder.is_dir() else []
        for name in names:
            record = self._context.containers.get(name)
            if record is not None and _holds_resources(record):
                continue
            if record is None and self._context.containers.known(name):
                continue  # its record is damaged: a repair decides
            if record is None and name.startswith("build-") and builder_alive(name):
                continue
            with self.locked(name):
                record = self._context.containers.get(name)
                if record is None or not record.state.status.alive:
                    self._context.runtime.delete(name, force=True)

    def _sweep_addresses(self) -> None:
        """Release the addresses of ended containers whose claimant is dead."""
        claims = self._context.endpoints.all()  # before the records: a start claims first
        held = {record.id for record in self._context.containers.all() if _holds_resources(record)}
        held |= {item.id for item in self._context.containers.damaged()}
        for claim in claims:
            if claim.container_id not in held and not claim.owner.alive:
                self._context.firewall.unpublish(claim.container_id)
                self._context.endpoints.delete(claim.id)

    def _sweep_loopback(self) -> None:
        """Close loopback access of bridges on which no port is published."""
        if not self._context.host.users.initial:
            return  # the loopback of a user's namespace is empty
        networks = self._context.networks.all()
        opened = [network for network in networks if leads_to_loopback(network.interface)]
        if opened:
            self._context.bridge.settle_loopback(opened)

    def _sweep_names(self) -> None:
        """Restart the name server of networks if it was killed."""
        with suppress(ContainersError, OSError):
            self._connections.names.look()

    def _sweep_folders(self) -> None:
        """Remove bundles without a record, and leftover files of execs."""
        import shutil

        from jupyter_containers.runtime.execute import sweep_scratch

        parent = self._context.settings.layout.containers
        for folder in parent.iterdir() if parent.is_dir() else ():
            if not self._context.containers.known(folder.name):
                shutil.rmtree(folder, ignore_errors=True)
                continue
            record = self._context.containers.get(folder.name)
            if record is not None and record.state.status.alive:
                sweep_scratch(folder)

    def _sweep_final_states(self) -> None:
        folder = self._context.settings.layout.ended
        for file in folder.iterdir() if folder.is_dir() else ():
            with suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime > _FINAL_STATE_SECONDS:
                    file.unlink()


def _holds_resources(record: ContainerRecord) -> bool:
    """Return whether a container may hold resources of the machine: it runs or is being started."""
    return record.state.status.alive or record.owner is not None


def builder_alive(name: str) -> bool:
    """Return whether the process that runs the build step ``build-<pid>-<start>-…`` lives."""
    from jupyter_containers.runtime.process import ProcessIdentity

    parts = name.split("-")
    try:
        return ProcessIdentity(int(parts[1]), int(parts[2])).alive
    except (IndexError, ValueError):
        return False
