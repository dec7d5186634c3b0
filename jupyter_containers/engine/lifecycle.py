"""The life of one container: start, look, end, clean up.

A container belongs to nobody's process.  What is true is in the kernel and in the monitor's exit
file; records say ``running`` until someone looks.  :meth:`Lifecycle.settle` is that look: it turns
a container whose process has ended into an ``exited`` record and gives back what it held.  Every
engine does it when it meets such a container, and conmon starts one (``reap``) at the end of a
detached container, so that no kernel need be alive.  One lock a container, held across every
change of its state.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from jupyter_containers.engine.assembly import assemble
from jupyter_containers.engine.bundle import Bundle
from jupyter_containers.engine.companions import Companions
from jupyter_containers.engine.connections import Connection, Connections
from jupyter_containers.engine.interrupts import deferred
from jupyter_containers.engine.reap import exit_command, unattended_command
from jupyter_containers.engine.records import ContainerRecord, StateRecord
from jupyter_containers.engine.restarts import (
    delay_of,
    end_waiter,
    restarts,
    start_waiter,
)
from jupyter_containers.engine.rooms import Rooms
from jupyter_containers.engine.sharing import forget_mounts, mount_folder, share
from jupyter_containers.errors import (
    ContainerNotFoundError,
    ContainersError,
    OCIRuntimeError,
    UnsupportedError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.oci.state import Status, require
from jupyter_containers.options import RunOptions
from jupyter_containers.options.run import log_rotation
from jupyter_containers.options.values import parse_signal
from jupyter_containers.runtime import cgroups, monitor, substitutes
from jupyter_containers.runtime.attach import Attachment
from jupyter_containers.runtime.mounts import PrivateMounts, detach, detach_below
from jupyter_containers.runtime.resources import limits

LOST = 255  # the exit code of a container whose monitor was killed with it
_KILL_SECONDS = 10.0
_MONITOR_SECONDS = 5.0  # from the end of a container until its monitor has told the exit code


class Lifecycle:
    """What happens to containers between create and remove."""

    def __init__(self, rooms: Rooms, connections: Connections) -> None:
        self._rooms, self._connections = rooms, connections
        self._hostnames = connections.hostnames
        self._companions = Companions(rooms)

    def bundle(self, container_id: str) -> Bundle:
        """Return the container's folder."""
        return Bundle(self._rooms.settings.root / "containers" / container_id)

    @contextmanager
    def locked(self, container_id: str, cancel: CancelToken | None = None) -> Iterator[None]:
        """Hold the container's lock: no other thread or process changes its state meanwhile."""
        with self._rooms.store.locks.hold(f"container-{container_id}", cancel):
            yield

    def note(self, record: ContainerRecord, action: str, **more: str) -> None:
        """Write down what happened to a container, with Docker's attributes."""
        labels = {**record.config.labels, **(record.options.labels or {})}
        attributes = {**labels, "image": record.options.image, "name": record.name, **more}
        self._rooms.journal.record("container", action, record.id, attributes)

    def renamed(self, record: ContainerRecord, former: str) -> None:
        """Let the networks know a container by its new name, and write it down."""
        self._hostnames.rename(record, former)
        self.note(record, "rename", oldName=f"/{former}")

    def start(
        self,
        record: ContainerRecord,
        *,
        attach: bool,
        hold_stdin: bool = False,
        before_start: Callable[[], None] | None = None,
    ) -> tuple[ContainerRecord, Attachment | None]:
        """Start a container; return its new record and, when asked, its attached streams.

        Attaching happens before the first instruction runs, so no output is lost;
        ``before_start`` is called then too.  On an error nothing of the start is left; the record
        keeps the exit code and the message.
        """
        with self.locked(record.id):
            record = self._fresh(record.id)
            status = record.state.status
            if status.up and not attach and status is not Status.PAUSED:
                return record, None
            require(record.name, record.state.status, "start")
            try:
                with self._rooms.quotas.starting(self._rooms, record.id, record.options):
                    return self._start(record, attach, hold_stdin, before_start)
            except BaseException as error:
                with deferred():
                    self._not_started(record.id, error)
                raise

    def _start(
        self,
        record: ContainerRecord,
        attach: bool,
        hold_stdin: bool,
        before_start: Callable[[], None] | None,
        restarted: StateRecord | None = None,
    ) -> tuple[ContainerRecord, Attachment | None]:
        rooms, bundle = self._rooms, self.bundle(record.id)
        bundle.create()
        if attach:
            self.note(record, "attach")
        with self._connections.connecting(record) as connection, PrivateMounts() as mounts:
            mounts.overlay(rooms.store.snapshots.mount(record.chain_id, record.id), bundle.rootfs)
            shared = share(rooms, record, mounts)
            spec = mounts.call(assemble, rooms, record, bundle, connection, self._hostnames, shared)
            if few := substitutes.processors(record.options, rooms.host):
                mounts.call(os.sched_setaffinity, 0, few)  # what is started there inherits it
            created = mounts.call(
                rooms.monitor.create,
                record.id,
                bundle.folder,
                terminal=record.options.tty,
                interactive=record.options.interactive,
                # Who leaves a terminal may come back to it.
                keep_stdin_open=not hold_stdin or record.options.tty,
                log_max_bytes=self._log_bytes(record),
                log_driver=record.options.log_driver,
                exit_command=self._exit_command(record, attach=attach),
                pass_fds=connection.reservation.fds if connection.reservation else (),
            )
            attachment = None
            try:
                record = self._record_running(record, created, connection, restarted)
                if attach:
                    attachment = Attachment(bundle.folder)
                if before_start is not None:
                    before_start()
                connection.finish()
                rooms.runtime.start(record.id)
                self.note(record, "start")
                if companions := self._companions.begin(record, bundle.folder, spec):
                    record = self._update(record.id, companions=companions)
            except BaseException:
                with deferred():
                    if attachment is not None:
                        attachment.close()
                    with suppress(ContainersError):
                        rooms.runtime.delete(record.id, force=True)
                    self._update(record.id, status=Status.CREATED)
                raise
        return record, attachment

    def _exit_command(self, record: ContainerRecord, *, attach: bool) -> tuple[str, ...]:
        # Whoever waits in the foreground settles it, but need not live until a restart is due.
        if attach and not restarts(record):
            return unattended_command(self._rooms, record.id, self.bundle(record.id).folder)
        return exit_command(self._rooms, record.id)

    def _log_bytes(self, record: ContainerRecord) -> int:
        """Return at which size the monitor itself begins the log anew; 0 for never."""
        size, files = log_rotation(record.options)
        if files > 1:
            return 0  # a companion does it
        return size or self._rooms.settings.log_max_bytes

    def _record_running(
        self,
        record: ContainerRecord,
        created: monitor.MonitorState,
        connection: Connection,
        restarted: StateRecord | None,
    ) -> ContainerRecord:
        state = StateRecord(
            status=Status.RUNNING,
            process=created.container,
            monitor=created.conmon,
            started=time.time(),
            restart_count=restarted.restart_count + 1 if restarted else 0,
            restart_delay=restarted.restart_delay if restarted else 0.0,
        )
        return self._rooms.containers.update(
            record.id,
            lambda current: msgspec.structs.replace(
                current,
                state=state,
                endpoints=connection.endpoints,
                ports=connection.ports,
                owner=None,
            ),
        )

    def running(self, record: ContainerRecord) -> bool:
        """Return True while the container's first process lives."""
        process = record.state.process
        return record.state.status.alive and process is not None and process.alive

    def look(self, record: ContainerRecord) -> ContainerRecord | None:
        """Return the record as it is true now; None when the container removed itself."""
        if not record.state.status.alive or self.running(record):
            return record
        return self.settle(record.id)

    def settle(self, container_id: str) -> ContainerRecord | None:
        """Record the end of a container that has ended; return None when that removed it."""
        with deferred(), self.locked(container_id):
            record = self._rooms.containers.get(container_id)
            if record is None or not record.state.status.alive or self.running(record):
                return record
            record = self._ended(record)
            if record.options.rm:
                self._remove(record, volumes=True, given_back=True)
                return None
            return record

    def _testament(self, container_id: str) -> Path:
        """Return the file that tells those who wait how a container that is gone ended."""
        folder = self._rooms.settings.run_root / "ended"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / container_id

    def _last_state(self, container_id: str) -> StateRecord:
        """Return how a container ended that another process removed meanwhile."""
        try:
            return msgspec.json.decode(self._testament(container_id).read_bytes(), type=StateRecord)
        except FileNotFoundError as error:
            short = container_id[:12]
            raise ContainerNotFoundError(f"container {short} was removed meanwhile") from error

    def end(self, container_id: str) -> StateRecord:
        """Settle a container whose process has ended and return its final state.

        For the one who ran it in the foreground: unlike :meth:`settle` it tells the exit code
        also of a container that is gone: one that removes itself, by our hand or another's.
        """
        with deferred(), self.locked(container_id):
            record = self._rooms.containers.get(container_id)
            if record is None:
                return self._last_state(container_id)
            alive = record.state.status.alive
            if alive:
                record = self._ended(record)
            if record.options.rm:
                self._remove(record, volumes=True, given_back=alive)
        if record.state.status is Status.RESTARTING and record.state.waiter is None:
            # Its monitor may have been started before it had a restart policy.
            start_waiter(exit_command(self._rooms, container_id))
        return record.state

    def _ended(self, record: ContainerRecord) -> ContainerRecord:
        rooms, bundle = self._rooms, self.bundle(record.id)
        states = monitor.MonitorState(record.state.monitor, record.state.process, 0)
        status = monitor.wait(bundle.folder, states, timeout=_MONITOR_SECONDS)
        if status is None:
            # Another client is attached and does not read: the monitor waits for it, for ever.
            if record.state.monitor is not None:
                record.state.monitor.signal(signal.SIGKILL)
            status = monitor.wait(bundle.folder, states)
        group = rooms.runtime.cgroup_path(record.id)
        oom = status.oom_killed or cgroups.oom_kills(rooms.runtime.layout, group) > 0
        rooms.runtime.delete(record.id, force=True)
        self._connections.release(record.id, record.endpoints, record.ports)
        self._companions.end(record)
        ended = self._update(
            record.id,
            status=Status.EXITED,
            exit_code=LOST if status.code is None else status.code,
            oom_killed=oom,
            finished=_finished(bundle),
            error="" if status.code is not None else "the monitor was killed",
            companions=(),
        )
        if oom:
            self.note(ended, "oom")
        seconds = max(0.0, ended.state.finished - ended.state.started)
        self.note(ended, "die", exitCode=str(ended.state.exit_code), execDuration=str(int(seconds)))
        delay = None if record.options.rm else delay_of(record.options.restart, ended.state)
        return ended if delay is None else self._due(record.id, delay)

    def _due(self, container_id: str, delay: float) -> ContainerRecord:
        return self._update(
            container_id,
            status=Status.RESTARTING,
            restart_delay=delay,
            restart_at=time.time() + delay,
            waiter=None,
        )

    def claim_restart(self, container_id: str) -> float | None:
        """Return the seconds until a restart that this process is to make; None for none."""
        with self.locked(container_id):
            record = self._rooms.containers.get(container_id)
            if record is None or record.state.status is not Status.RESTARTING:
                return None
            me, waiter = self._rooms.process, record.state.waiter
            if waiter is not None and waiter != me and waiter.alive:
                return None
            if waiter != me:
                self._update(container_id, waiter=me)
            return max(0.0, record.state.restart_at - time.time())

    def restart(self, container_id: str) -> None:
        """Start a container that is due, from the process that waited for it."""
        with self.locked(container_id):
            record = self._rooms.containers.get(container_id)
            if record is None or record.state.status is not Status.RESTARTING:
                return
            # Conmon may have started this process: inside the mount namespace of the last run.
            detach_below(self.bundle(container_id).folder, mount_folder(self._rooms, container_id))
            try:
                self._start(record, False, False, None, restarted=record.state)
            except BaseException as error:
                with deferred():
                    self._update(container_id, status=Status.EXITED)
                    self._not_started(container_id, error)
                raise

    def _give_up_restart(self, record: ContainerRecord) -> None:
        """Leave a container that waits for its restart stopped."""
        with deferred(), self.locked(record.id):
            current = self._rooms.containers.get(record.id)
            if current is None or current.state.status is not Status.RESTARTING:
                return
            if current.state.waiter is not None:
                end_waiter(current.state.waiter)
            self._update(record.id, status=Status.EXITED, stopped_by_user=True, waiter=None)

    def note_health(self, container_id: str, status: str) -> None:
        """Write down a container's new health."""
        record = self._rooms.containers.get(container_id)
        if record is not None:
            self.note(record, f"health_status: {status}")

    def note_exec_end(self, record: ContainerRecord, exec_id: str, code: int) -> None:
        """Write down that a command in a container has ended."""
        self.note(record, "exec_die", execID=exec_id, exitCode=str(code))

    def note_detached_end(self, container_id: str, exec_id: str, folder: Path) -> None:
        """Write down the end of a detached exec whose exit code is in ``folder``; remove that."""
        import shutil

        record, code = self._rooms.containers.get(container_id), monitor.read_exit(folder)
        if record is not None and code is not None:
            self.note_exec_end(record, exec_id, code)
        shutil.rmtree(folder, ignore_errors=True)

    def wait(self, record: ContainerRecord, cancel: CancelToken) -> int:
        """Wait until the container has ended; return its exit code."""
        if record.state.process is not None and record.state.status.alive:
            record.state.process.wait(cancel=cancel)
            settled = self.settle(record.id)
            if settled is None:
                return self._last_state(record.id).exit_code
            record = settled
        return record.state.exit_code

    def signal(self, record: ContainerRecord, number: int) -> None:
        """Send a signal to the container's first process."""
        require(record.name, record.state.status, "kill")
        own = record.options.stop_signal or record.config.stop_signal
        ends = number == signal.SIGKILL or not own or number == parse_signal(own)
        if ends and restarts(record):
            # As with Docker: who kills a container does not want it back.
            self._update(record.id, stopped_by_user=True)
        self._kill(record, number)

    @contextmanager
    def kept(self, record: ContainerRecord) -> Iterator[None]:
        """Keep a container that removes itself at its end from doing so meanwhile (restart)."""
        if not record.options.rm:
            yield
            return
        self._set_rm(record.id, False)
        try:
            yield
        finally:
            self._set_rm(record.id, True)

    def _set_rm(self, container_id: str, rm: bool) -> None:
        self._rooms.containers.update(
            container_id,
            lambda current: msgspec.structs.replace(
                current, options=msgspec.structs.replace(current.options, rm=rm)
            ),
        )

    def _kill(self, record: ContainerRecord, number: int) -> None:
        if number == signal.SIGKILL:
            self._rooms.runtime.kill_all(record.id)
        elif record.state.process is not None:
            self._rooms.runtime.signal(record.state.process, number)
        self.note(record, "kill", signal=str(number))

    def stop(self, record: ContainerRecord, timeout: float, number: int) -> None:
        """End a container: its stop signal, ``timeout`` seconds of grace, then KILL.

        A negative timeout waits for ever.  A container that does not run is left as it is.
        """
        process = record.state.process
        if not self.running(record) or process is None:
            looked = self.look(record)
            if looked is not None:
                self._give_up_restart(looked)
            return
        if record.state.status is Status.PAUSED:
            self.unpause(record)
        self._update(record.id, stopped_by_user=True)
        self._kill(record, number)
        if not process.wait(timeout=None if timeout < 0 else timeout):
            self._kill(record, signal.SIGKILL)
            process.wait(timeout=_KILL_SECONDS)
        self.settle(record.id)
        self.note(record, "stop")

    def update(self, record: ContainerRecord, options: RunOptions) -> None:
        """Give a container other limits or another restart policy; at once when it runs."""
        rooms = self._rooms
        options = rooms.quotas.capped(options)
        with self.locked(record.id):
            current = self._fresh(record.id)
            wanted = limits(options, rooms.host, default_pids_limit=rooms.settings.pids_limit)
            if self.running(current) and wanted != limits(
                current.options, rooms.host, default_pids_limit=rooms.settings.pids_limit
            ):
                rooms.runtime.update(record.id, wanted)
            changed = rooms.containers.update(
                record.id, lambda item: msgspec.structs.replace(item, options=options)
            )
            self.note(changed, "update")

    @property
    def can_pause(self) -> bool:
        """Whether containers have a control group in which processes can be frozen."""
        return "freezer" in self._rooms.host.cgroups.controllers

    def pause(self, record: ContainerRecord) -> None:
        """Freeze all processes of a running container."""
        with self.locked(record.id):
            require(record.name, self._fresh(record.id).state.status, "pause")
            if not self.can_pause:
                raise UnsupportedError(
                    "pause needs a control group to freeze, which this user has not got",
                    capability="cgroup controller freezer",
                    provided_by="root, or a cgroup v2 that is delegated to this user",
                )
            self._rooms.runtime.pause(record.id)
            self._companions.hold(record, still=True)
            self._update(record.id, status=Status.PAUSED)
            self.note(record, "pause")

    def unpause(self, record: ContainerRecord) -> None:
        """Let a paused container go on."""
        with self.locked(record.id):
            require(record.name, self._fresh(record.id).state.status, "unpause")
            self._rooms.runtime.resume(record.id)
            self._companions.hold(record, still=False)
            self._update(record.id, status=Status.RUNNING)
            self.note(record, "unpause")

    def remove(self, record: ContainerRecord, *, force: bool, volumes: bool) -> None:
        """Remove a container with its files; a live one only with ``force``."""
        while True:
            if self.running(record):
                if not force:
                    require(record.name, record.state.status, "remove")
                self._kill(record, signal.SIGKILL)
                if record.state.process is not None:
                    record.state.process.wait(timeout=_KILL_SECONDS)
            if record.state.status.alive and self.settle(record.id) is None:
                return
            if record.state.status is Status.RESTARTING and not force:
                require(record.name, record.state.status, "remove")
            self._give_up_restart(record)
            with deferred(), self.locked(record.id):
                current = self._rooms.containers.get(record.id)
                if current is None:
                    return
                if not self.running(current):
                    self._remove(current, volumes=volumes)
                    return
            record = current  # another process has started it meanwhile

    def remove_unused(self, record: ContainerRecord) -> bool:
        """Remove a container for a prune; False when it runs or somebody is about to start it."""
        with deferred(), self.locked(record.id):
            current = self._rooms.containers.get(record.id)
            owned = current is not None and current.owner is not None and current.owner.alive
            if current is None or owned or current.state.status.up or current.phase != "ready":
                return False
            self._remove(current, volumes=False)
            return True

    def _remove(self, record: ContainerRecord, *, volumes: bool, given_back: bool = False) -> None:
        """Delete in an order that a sweep can finish: mark, files, record.

        ``given_back`` is for one that removes itself at its end, just now: what it held of the
        machine is free already, and its caller need not wait until its files are deleted.
        """
        import shutil

        rooms, bundle = self._rooms, self.bundle(record.id)
        if record.state.status is Status.EXITED:
            self._testament(record.id).write_bytes(msgspec.json.encode(record.state))
        self._update(record.id, status=Status.REMOVING, remove_volumes=volumes)
        if not given_back:
            self._companions.end(record)
            rooms.runtime.delete(record.id, force=True)
            self._connections.release(record.id, record.endpoints, record.ports)
        rooms.store.snapshots.discard(record.id, soon=given_back)
        detach(bundle.rootfs)
        forget_mounts(rooms, record.id)
        rooms.store.remove_tree(bundle.folder, soon=given_back)
        for mount in record.mounts if volumes else ():
            if mount.anonymous and not self._mounted_elsewhere(mount.name, record.id):
                shutil.rmtree(rooms.settings.root / "volumes" / mount.name, ignore_errors=True)
                volume = rooms.volumes.by_name(mount.name)
                if volume is not None:
                    rooms.volumes.delete(volume.id)
        rooms.containers.delete(record.id)
        if record.phase == "ready":
            self.note(record, "destroy")

    def _not_started(self, container_id: str, error: BaseException) -> None:
        """Leave a container to itself whose start failed: it stays, as with Docker."""
        code = error.exit_code if isinstance(error, OCIRuntimeError) else 125
        if isinstance(error, ContainersError):
            self._update(container_id, exit_code=code, error=error.message)
        self._rooms.containers.update(
            container_id, lambda current: msgspec.structs.replace(current, owner=None)
        )

    def _mounted_elsewhere(self, volume: str, container_id: str) -> bool:
        return any(
            mount.name == volume
            for other in self._rooms.containers.all()
            if other.id != container_id
            for mount in other.mounts
        )

    def _fresh(self, container_id: str) -> ContainerRecord:
        record = self._rooms.containers.get(container_id)
        if record is None:
            raise ContainerNotFoundError(f"container {container_id[:12]} was removed meanwhile")
        return record

    def _update(self, container_id: str, **changes: object) -> ContainerRecord:
        return self._rooms.containers.update(
            container_id,
            lambda record: msgspec.structs.replace(
                record, state=msgspec.structs.replace(record.state, **changes)
            ),
        )


def _finished(bundle: Bundle) -> float:
    try:
        return (bundle.folder / "persist" / "exit").stat().st_mtime
    except OSError:
        return time.time()
