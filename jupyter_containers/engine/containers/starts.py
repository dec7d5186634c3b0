"""The start of a container, and recovery from a start whose process died.

A start has an owner.  From its first step until the runtime has started the program, the record
names its *starter* (``owner``, pid and start time) and keeps the previous status, which is also
what Docker shows for a container that is being started::

    created, exited or restarting ─▶ owned ─▶ owned, with processes and addresses ─▶ running

The starter holds the container's lock all the time.  If it dies, the next access takes the lock and
queries the runtime (:meth:`Starts.began`): a program that was started is recorded
(:meth:`Starts.finish`), with its health checks and log rotation; anything less is undone
(:meth:`Starts.take_back`).  Both are idempotent.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from jupyter_containers.engine.bundle import Bundle
from jupyter_containers.engine.containers.exit_command import detached_command, unattended_command
from jupyter_containers.engine.containers.restarts import restarts
from jupyter_containers.engine.containers.security_labels import labels_for, relabel
from jupyter_containers.engine.containers.shared_namespaces import forget_mounts, share
from jupyter_containers.engine.containers.sidecars import Sidecars
from jupyter_containers.engine.containers.spec_builder import assemble
from jupyter_containers.engine.containers.states import States
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.interrupts import deferred
from jupyter_containers.engine.name_files import mount_names, share_names
from jupyter_containers.engine.networks.connections import Connection, Connections
from jupyter_containers.engine.records import ContainerRecord, StateRecord
from jupyter_containers.errors import ContainersError
from jupyter_containers.oci.state import Status
from jupyter_containers.options.run import log_rotation
from jupyter_containers.runtime import rlimit_fallback
from jupyter_containers.runtime.attach import Attachment
from jupyter_containers.runtime.monitor import MonitorState
from jupyter_containers.runtime.mounts import PrivateMounts
from jupyter_containers.runtime.spec import Spec


class Starts:
    """Starts the containers of one store; the caller holds the container's lock."""

    def __init__(
        self,
        context: EngineContext,
        connections: Connections,
        states: States,
        sidecars: Sidecars,
    ) -> None:
        self._context, self._connections = context, connections
        self._states, self._sidecars = states, sidecars

    def start(
        self,
        record: ContainerRecord,
        bundle: Bundle,
        *,
        attach: bool = False,
        attended: bool = False,
        hold_stdin: bool = False,
        before_start: Callable[[], None] | None = None,
    ) -> tuple[ContainerRecord, Attachment | None]:
        """Start a container; return its new record and, if requested, its attached streams.

        On an error the start is undone, except that this process still owns the container.
        """
        context, connections = self._context, self._connections
        record = self._take_ownership(record)
        bundle.create()
        if attach:
            self._states.note(record, "attach")
        with connections.connecting(record) as connection, PrivateMounts() as mounts:
            created, spec = self._create(
                record, bundle, connection, mounts, attended=attended, hold_stdin=hold_stdin
            )
            attachment = None
            try:
                record = self._states.set_run(
                    record.id, created, connection.endpoints, connection.ports
                )
                if attach:
                    attachment = Attachment(bundle.folder)
                if before_start is not None:
                    before_start()
                connection.finish()
                connections.hostnames.refresh(record)
                connection.relay(record.state.process)
                connection.hand_over(partial(connections.names.hand_over, record))
                context.runtime.start(record.id)
                record = self._running(record, bundle, spec, time.time())
            except BaseException:
                with deferred():
                    if attachment is not None:
                        attachment.close()
                    with suppress(ContainersError):
                        context.runtime.delete(record.id, force=True)
                    self._states.clear_run(record.id, owner=context.process)
                raise
        return record, attachment

    def _create(
        self,
        record: ContainerRecord,
        bundle: Bundle,
        connection: Connection,
        mounts: PrivateMounts,
        *,
        attended: bool,
        hold_stdin: bool,
    ) -> tuple[MonitorState, Spec]:
        """Mount the root, write the spec and create the container; its program waits."""
        context = self._context
        labels = labels_for(context, record.options, record.id)
        overlay = context.store.snapshots.mount(record.chain_id, record.id)
        mounts.overlay(overlay, bundle.rootfs, label=labels.mount_option)
        self._mount_names(mounts, bundle, connection, labels.mount_option)
        relabel(context, record.mounts, labels)
        shared = share(context, record, mounts)
        parts = (bundle, connection, self._connections.hostnames, shared, mounts, labels)
        spec = mounts.call(assemble, context, record, *parts)
        if few := rlimit_fallback.processors(record.options, context.host):
            mounts.call(os.sched_setaffinity, 0, few)  # processes started there inherit it
        created = mounts.call(
            context.monitor.create,
            record.id,
            bundle.folder,
            terminal=record.options.tty,
            interactive=record.options.interactive,
            # A client that detaches from a terminal may attach again.
            keep_stdin_open=not hold_stdin or record.options.tty,
            log_max_bytes=self._log_bytes(record),
            log_driver=record.options.log_driver,
            exit_command=self._exit_command(record, bundle, attended=attended),
            pass_fds=connection.reservation.fds if connection.reservation else (),
        )
        return created, spec

    def began(self, record: ContainerRecord) -> bool:
        """Return whether a dead starter had started the container's program."""
        process = record.state.process
        return process is not None and self._context.runtime.started(record.id, process)

    def finish(self, record: ContainerRecord, bundle: Bundle) -> ContainerRecord:
        """Record a program that a dead starter had started; it may have ended since."""
        assert record.state.process is not None  # began() has checked it
        self._sidecars.forget(record.state.process)
        created = bundle.folder / "container.pid"
        began = created.stat().st_mtime if created.exists() else time.time()
        return self._running(record, bundle, bundle.spec(), began)

    def take_back(self, record: ContainerRecord) -> ContainerRecord:
        """Undo a start whose program was not started; restore the previous record."""
        context = self._context
        context.monitor.abandon(record.id)
        context.runtime.delete(record.id, force=True)
        self._connections.reclaim(record.id)
        forget_mounts(context, record.id)
        return self._states.clear_run(record.id, owner=None)

    def _take_ownership(self, record: ContainerRecord) -> ContainerRecord:
        """Return the record, owned by this process and cleared of an earlier run."""
        if self._context.runtime.exists(record.id):
            record = self.take_back(record)  # an earlier failed start that could not be undone
        if record.owner == self._context.process and record.state.process is None:
            return record
        return self._states.clear_run(record.id, owner=self._context.process)

    def _mount_names(
        self, mounts: PrivateMounts, bundle: Bundle, connection: Connection, label: str
    ) -> None:
        if connection.target is None:
            mount_names(mounts, bundle, label)
        else:
            other = Bundle(bundle.folder.parent / connection.target.id)
            share_names(mounts, bundle, connection.target, other.names)

    def _exit_command(
        self, record: ContainerRecord, bundle: Bundle, *, attended: bool
    ) -> tuple[str, ...]:
        # The attending process settles it, but need not live until a restart is due.
        if attended and not restarts(record):
            return unattended_command(self._context, record.id, bundle.folder)
        return detached_command(self._context, record.id, bundle.folder)

    def _log_bytes(self, record: ContainerRecord) -> int:
        """Return the size at which the monitor starts a new log; 0 for never."""
        size, files = log_rotation(record.options)
        if files > 1:
            return 0  # a sidecar does it
        return size or self._context.settings.log_max_bytes

    def _running(
        self, record: ContainerRecord, bundle: Bundle, spec: Spec, began: float
    ) -> ContainerRecord:
        """Return the record of a container whose program was started at the time ``began``."""
        before = record.state
        again = before.status is Status.RESTARTING
        state = StateRecord(
            status=Status.RUNNING,
            process=before.process,
            monitor=before.monitor,
            started=began,
            restart_count=before.restart_count + 1 if again else 0,
            restart_delay=before.restart_delay if again else 0.0,
            companions=self._sidecars.begin(record, bundle.folder, spec),
        )
        with self._context.journal.together():
            running = self._states.change(record.id, state=state, owner=None)
            self._states.note(running, "start")
        return running
