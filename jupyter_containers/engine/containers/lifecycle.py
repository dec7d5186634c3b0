"""The lifecycle of a container: start, settle, stop, clean up.

No process owns a running container.  Its true state is in the kernel and in the monitor's exit
file; a record says ``running`` until it is settled.  :meth:`Lifecycle.settle` turns a container
whose process has ended into an ``exited`` record and releases its resources.  Every engine does
this on its next access to the container, and conmon starts an exit command for it at the end of a
detached container, so that no kernel need be running.  The same method finishes or undoes a
creation, a start or a removal that a dead process left unfinished.  Each container has one lock,
held during every change of its state.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from jupyter_containers.engine.bundle import Bundle
from jupyter_containers.engine.containers.exit_command import ending, exit_command
from jupyter_containers.engine.containers.pauses import Pauses
from jupyter_containers.engine.containers.restarts import (
    delay_of,
    end_waiter,
    restarts,
    start_waiter,
)
from jupyter_containers.engine.containers.shared_namespaces import forget_mounts
from jupyter_containers.engine.containers.sidecars import Sidecars
from jupyter_containers.engine.containers.sources import mount_folder
from jupyter_containers.engine.containers.starts import Starts
from jupyter_containers.engine.containers.states import States
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.interrupts import deferred
from jupyter_containers.engine.networks.connections import Connections
from jupyter_containers.engine.records import ContainerRecord, StateRecord
from jupyter_containers.errors import (
    ContainerNotFoundError,
    ContainersError,
    DiskFullError,
    OCIRuntimeError,
    ReadOnlyStoreError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.oci.state import Status, require
from jupyter_containers.options import RunOptions
from jupyter_containers.options.values import parse_signal
from jupyter_containers.runtime import cgroups, monitor
from jupyter_containers.runtime.attach import Attachment
from jupyter_containers.runtime.mounts import detach, detach_inside
from jupyter_containers.runtime.process import ProcessIdentity
from jupyter_containers.runtime.resources import limits
from jupyter_containers.store.faults import tolerated

LOST = 255  # the exit code of a container whose monitor was killed with it
_KILL_SECONDS = 10.0
_MONITOR_SECONDS = 5.0  # from the end of a container until its monitor has written the exit code


class Lifecycle:
    """Changes the state of containers between create and remove."""

    def __init__(self, context: EngineContext, connections: Connections) -> None:
        self._context, self._connections = context, connections
        self._hostnames = connections.hostnames
        self._sidecars = Sidecars(context)
        self._states = States(context)
        self._starts = Starts(context, connections, self._states, self._sidecars)
        self._pauses = Pauses(context, self._states, self._sidecars)

    def bundle(self, container_id: str) -> Bundle:
        """Return the container's bundle."""
        return Bundle(self._context.settings.layout.containers / container_id)

    @contextmanager
    def locked(self, container_id: str, cancel: CancelToken | None = None) -> Iterator[None]:
        """Hold the container's lock: no other thread or process can change its state."""
        with self._context.store.locks.hold(_lock(container_id), cancel):
            yield

    def note(self, record: ContainerRecord, action: str, **more: str) -> None:
        """Record an event of a container, with Docker's attributes."""
        self._states.note(record, action, **more)

    def renamed(self, record: ContainerRecord, former: str) -> None:
        """Rename a container in its networks and record the event."""
        self._hostnames.rename(record, former)
        self.note(record, "rename", oldName=f"/{former}")

    def unlink(self, record: ContainerRecord, alias: str) -> None:
        """Remove a link on the default network; to be called with the container's lock."""
        self._hostnames.unlink(record, alias)

    def start(
        self,
        record: ContainerRecord,
        *,
        attach: bool,
        attended: bool = False,
        hold_stdin: bool = False,
        before_start: Callable[[], None] | None = None,
    ) -> tuple[ContainerRecord, Attachment | None]:
        """Start a container; return its new record and, if requested, its attached streams.

        Streams are attached before the first instruction runs, so no output is lost;
        ``before_start`` is called at that point too.  With ``attach`` or ``attended`` this process
        records the end.  On an error the start is undone; the record keeps the exit code and the
        message.
        """
        with self.locked(record.id):
            with deferred():
                record = _require_record(record.id, self._settle(self._fresh(record.id)))
            status = record.state.status
            if status.up and not attach and status is not Status.PAUSED:
                return record, None
            require(record.name, record.state.status, "start")
            try:
                with self._context.quotas.starting(self._context, record.id, record.options):
                    return self._starts.start(
                        record,
                        self.bundle(record.id),
                        attach=attach,
                        attended=attach or attended,
                        hold_stdin=hold_stdin,
                        before_start=before_start,
                    )
            except BaseException as error:
                with deferred():
                    self._record_failure(record.id, error)
                raise

    def running(self, record: ContainerRecord) -> bool:
        """Return whether the container's main process is alive."""
        process = record.state.process
        return record.state.status.alive and process is not None and process.alive

    def look(self, record: ContainerRecord) -> ContainerRecord | None:
        """Return the current record, settled if necessary; None if the container is gone."""
        if self._is_unfinished(record):
            # If it cannot be done now (on a full disk), the next access tries again.
            with suppress(ContainersError):
                return self.settle(record.id)
            return record
        if not record.state.status.alive or self.running(record):
            return record
        try:
            return self.settle(record.id)
        except (DiskFullError, ReadOnlyStoreError):
            # True, even if it cannot be recorded.
            code = monitor.read_exit(self.bundle(record.id).folder)
            state = msgspec.structs.replace(
                record.state, status=Status.EXITED, exit_code=LOST if code is None else code
            )
            return msgspec.structs.replace(record, state=state)

    def _is_unfinished(self, record: ContainerRecord) -> bool:
        """Return whether a dead process left a creation, start, pause or removal unfinished."""
        if record.state.status is Status.REMOVING:
            with self._context.store.locks.attempt(_lock(record.id)) as free:
                return free
        return _is_dead(record.owner) or _is_dead(record.state.pauser)

    def settle(self, container_id: str) -> ContainerRecord | None:
        """Record a container's end, or finish a dead process's work; None if that removed it."""
        with deferred(), self.locked(container_id):
            record = self._context.containers.get(container_id)
            return None if record is None else self._settle(record)

    def _settle(self, record: ContainerRecord) -> ContainerRecord | None:
        if record.state.status is Status.REMOVING:
            self._remove(record, volumes=record.state.remove_volumes)  # the remover held the lock
            return None
        if _is_dead(record.owner):
            resumed = self._resume(record)
            if resumed is None:
                return None
            record = resumed
        if not record.state.status.alive:
            return record
        if self.running(record):
            return self._pauses.end(record) if _is_dead(record.state.pauser) else record
        record = self._record_end(record)
        if record.state.status is Status.REMOVING:
            self._remove(record, volumes=True, given_back=True)
            return None
        return record

    def _resume(self, record: ContainerRecord) -> ContainerRecord | None:
        """Finish or undo a dead owner's work; return None if that removed the container."""
        if record.phase != "ready":
            self._remove(record, volumes=True)
            return None
        if record.state.status.alive:  # it was about to be restarted
            return self._states.change(record.id, owner=None)
        if self._starts.began(record):
            return self._starts.finish(record, self.bundle(record.id))
        record = self._starts.take_back(record)
        if record.options.rm:
            self._remove(record, volumes=True)
            return None
        if record.state.status is Status.RESTARTING:
            start_waiter(exit_command(self._context, record.id))
        return record

    def _final_state_file(self, container_id: str) -> Path:
        """Return the file with the final state of a removed container, for waiting processes."""
        folder = self._context.settings.layout.ended
        folder.mkdir(parents=True, exist_ok=True)
        return folder / container_id

    def _write_final_state(self, container_id: str, state: StateRecord) -> None:
        self._final_state_file(container_id).write_bytes(msgspec.json.encode(state))

    def _read_final_state(self, container_id: str) -> StateRecord:
        """Return the final state of a container that another process removed."""
        try:
            return msgspec.json.decode(
                self._final_state_file(container_id).read_bytes(), type=StateRecord
            )
        except FileNotFoundError as error:
            short = container_id[:12]
            raise ContainerNotFoundError(
                f"container {short} was removed by another process"
            ) from error

    def end(self, container_id: str) -> StateRecord:
        """Settle a container whose process has ended and return its final state.

        This is for the process that ran it in the foreground: unlike :meth:`settle`, it also
        returns the exit code of a container that has been removed, by this process or another.
        """
        with deferred(), self.locked(container_id):
            record = self._context.containers.get(container_id)
            if record is None:
                return self._read_final_state(container_id)
            alive = record.state.status.alive
            if alive:
                record = self._record_end(record)
            if _removes_itself(record):
                self._remove(record, volumes=True, given_back=alive)
        if record.state.status is Status.RESTARTING and record.state.waiter is None:
            # Its monitor may have been started before it had a restart policy.
            start_waiter(exit_command(self._context, container_id))
        return record.state

    def _record_end(self, record: ContainerRecord) -> ContainerRecord:
        context, bundle = self._context, self.bundle(record.id)
        states = monitor.MonitorState(record.state.monitor, record.state.process, 0)
        status = monitor.wait(bundle.folder, states, timeout=_MONITOR_SECONDS)
        if status is None:
            # Another attached client does not read, and the monitor would wait for it for ever.
            if record.state.monitor is not None:
                record.state.monitor.signal(signal.SIGKILL)
            status = monitor.wait(bundle.folder, states)
        group = context.runtime.cgroup_path(record.id)
        oom = status.oom_killed or cgroups.oom_kills(context.runtime.layout, group) > 0
        context.runtime.delete(record.id, force=True)
        self._connections.release(record.id, record.endpoints, record.ports)
        self._sidecars.end(record)
        goes, code = _removes_itself(record), LOST if status.code is None else status.code
        finished = _finish_time(bundle)
        if goes:
            last = msgspec.structs.replace(record.state, exit_code=code, oom_killed=oom)
            self._write_final_state(record.id, last)
        seconds = str(int(max(0.0, finished - record.state.started)))
        with context.journal.together():
            ended = self._update(
                record.id,
                # Record end and removal of a container with ``rm`` in one step: if this process
                # dies, the next access removes it.
                status=Status.REMOVING if goes else Status.EXITED,
                remove_volumes=goes,
                exit_code=code,
                oom_killed=oom,
                finished=finished,
                error="" if status.code is not None else "the monitor was killed",
                companions=(),
                pauser=None,
            )
            if oom:
                self.note(ended, "oom")
            self.note(ended, "die", exitCode=str(code), execDuration=seconds)
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
        """Return the seconds until a restart that this process must make; None if there is none."""
        with self.locked(container_id):
            record = self._context.containers.get(container_id)
            if record is None or record.state.status is not Status.RESTARTING:
                return None
            me, waiter = self._context.process, record.state.waiter
            if waiter is not None and waiter != me and waiter.alive:
                return None
            if waiter != me:
                self._update(container_id, waiter=me)
            return max(0.0, record.state.restart_at - time.time())

    def restart(self, container_id: str) -> None:
        """Start a container whose restart is due, from the process that waited for it."""
        with self.locked(container_id):
            record = self._context.containers.get(container_id)
            if record is None or record.state.status is not Status.RESTARTING:
                return
            # If conmon started this process, it is in the mount namespace of the last run.
            detach_inside(self.bundle(container_id).folder)
            detach_inside(mount_folder(self._context, container_id))
            try:
                self._starts.start(record, self.bundle(container_id))
            except BaseException as error:
                with deferred():
                    self._update(container_id, status=Status.EXITED)
                    self._record_failure(container_id, error)
                raise

    def _give_up_restart(self, record: ContainerRecord) -> None:
        """Cancel the pending restart of a container, leaving it stopped."""
        with deferred(), self.locked(record.id):
            current = self._context.containers.get(record.id)
            if current is None or current.state.status is not Status.RESTARTING:
                return
            if current.state.waiter is not None:
                end_waiter(current.state.waiter)
            self._update(record.id, status=Status.EXITED, stopped_by_user=True, waiter=None)

    def note_health(self, container_id: str, status: str) -> None:
        """Record a container's new health."""
        record = self._context.containers.get(container_id)
        if record is not None:
            self.note(record, f"health_status: {status}")

    def note_exec_end(self, record: ContainerRecord, exec_id: str, code: int) -> None:
        """Record the end of a command in a container."""
        self.note(record, "exec_die", execID=exec_id, exitCode=str(code))

    def note_detached_end(self, container_id: str, exec_id: str, folder: Path) -> None:
        """Record the end of a detached exec and remove ``folder``, which has its exit code."""
        import shutil

        record, code = self._context.containers.get(container_id), monitor.read_exit(folder)
        if record is not None and code is not None:
            self.note_exec_end(record, exec_id, code)
        shutil.rmtree(folder, ignore_errors=True)

    def wait(self, record: ContainerRecord, cancel: CancelToken) -> int:
        """Wait until the container has ended; return its exit code."""
        if record.state.process is not None and record.state.status.alive:
            record.state.process.wait(cancel=cancel)
            settled = self.settle(record.id)
            if settled is None:
                return self._read_final_state(record.id).exit_code
            record = settled
        return record.state.exit_code

    def signal(self, record: ContainerRecord, number: int) -> None:
        """Send a signal to the container's main process."""
        require(record.name, record.state.status, "kill")
        own = record.options.stop_signal or record.config.stop_signal
        ends = number == signal.SIGKILL or not own or number == parse_signal(own)
        if ends and restarts(record):
            # As with Docker, a killed container is not restarted.
            with tolerated():
                self._update(record.id, stopped_by_user=True)
        self._kill(record, number)

    @contextmanager
    def keep(self, record: ContainerRecord) -> Iterator[None]:
        """Keep a container with ``rm`` from being removed at its end, to restart it.

        It is not removed as long as this process, now its owner, lives.
        """
        if not record.options.rm:
            yield
            return
        self._states.change(record.id, owner=self._context.process)
        try:
            yield
        except BaseException:
            with deferred(), suppress(ContainersError):
                self._states.change(record.id, owner=None)
            raise

    def _kill(self, record: ContainerRecord, number: int) -> None:
        if number == signal.SIGKILL:
            self._context.runtime.kill_all(record.id)
        elif record.state.process is not None:
            self._context.runtime.signal(record.state.process, number)
        self.note(record, "kill", signal=str(number))

    @contextmanager
    def _ending(self, container_id: str) -> Iterator[None]:
        """Record the end of a container that the block ends, instead of its exit command."""
        try:
            with ending(self.bundle(container_id).folder):
                yield
        except BaseException:
            with suppress(ContainersError):  # its exit command may have left it to this process
                self.settle(container_id)
            raise

    def stop(self, record: ContainerRecord, timeout: float, number: int) -> None:
        """Stop a container: send its stop signal, and KILL after ``timeout`` seconds.

        A negative timeout waits for ever.  A container that does not run is left alone.
        """
        looked = self.look(record)
        if looked is not None and not self.running(looked):
            self._give_up_restart(looked)  # another process may be starting it
            looked = self._context.containers.get(record.id)
        process = None if looked is None else looked.state.process
        if looked is None or process is None or not self.running(looked):
            return
        if looked.state.status is Status.PAUSED:
            self.unpause(looked)
        # Stop it even on a full disk: its own output may have filled it.
        with tolerated():
            self._update(record.id, stopped_by_user=True)
        with self._ending(record.id):
            self._kill(looked, number)
            if not process.wait(timeout=None if timeout < 0 else timeout):
                self._kill(looked, signal.SIGKILL)
                process.wait(timeout=_KILL_SECONDS)
            with tolerated():
                self.settle(record.id)
        self.note(record, "stop")

    def update(self, record: ContainerRecord, options: RunOptions) -> None:
        """Change a container's limits or restart policy, at once if it runs."""
        context = self._context
        options = context.quotas.capped(options)
        with self.locked(record.id):
            current = self._fresh(record.id)
            wanted = limits(options, context.host, default_pids_limit=context.settings.pids_limit)
            if self.running(current) and wanted != limits(
                current.options, context.host, default_pids_limit=context.settings.pids_limit
            ):
                context.runtime.update(record.id, wanted)
            changed = context.containers.update(
                record.id, lambda item: msgspec.structs.replace(item, options=options)
            )
            self.note(changed, "update")

    @property
    def can_pause(self) -> bool:
        """Whether containers have a control group whose processes can be frozen."""
        return self._pauses.possible

    def pause(self, record: ContainerRecord, *, passing: bool = False) -> None:
        """Freeze all processes of a running container.

        A ``passing`` pause lasts for the duration of some work, at most as long as this process.
        """
        with self.locked(record.id):
            require(record.name, self._fresh(record.id).state.status, "pause")
            self._pauses.begin(record, passing=passing)

    def unpause(self, record: ContainerRecord) -> None:
        """Resume a paused container."""
        with self.locked(record.id):
            current = self._fresh(record.id)
            require(record.name, current.state.status, "unpause")
            self._pauses.end(current)

    def remove(self, record: ContainerRecord, *, force: bool, volumes: bool) -> None:
        """Remove a container with its files; a running one only with ``force``."""
        while True:
            if self.running(record):
                if not force:
                    require(record.name, record.state.status, "remove")
                with self._ending(record.id):
                    self._kill(record, signal.SIGKILL)
                    if record.state.process is not None:
                        record.state.process.wait(timeout=_KILL_SECONDS)
                    if self.settle(record.id) is None:
                        return
            elif record.state.status.alive and self.settle(record.id) is None:
                return
            if record.state.status is Status.RESTARTING and not force:
                require(record.name, record.state.status, "remove")
            self._give_up_restart(record)
            with deferred(), self.locked(record.id):
                current = self._context.containers.get(record.id)
                if current is None:
                    return
                if not self.running(current):
                    self._remove(current, volumes=volumes)
                    return
            record = current  # another process has started it

    def remove_unused(self, record: ContainerRecord) -> bool:
        """Remove a container for a prune; return False if it runs or is about to be started."""
        with deferred(), self.locked(record.id):
            current = self._context.containers.get(record.id)
            owned = current is not None and current.owner is not None and current.owner.alive
            if current is None or owned or current.state.status.up or current.phase != "ready":
                return False
            self._remove(current, volumes=False)
            return True

    def _remove(self, record: ContainerRecord, *, volumes: bool, given_back: bool = False) -> None:
        """Delete in an order that a sweep can finish: mark, files, record.

        ``given_back`` is for a container that removes itself at its end: its resources have been
        released already, and the caller need not wait until its files are deleted.
        """
        context, bundle = self._context, self.bundle(record.id)
        if record.state.status is Status.EXITED:
            with suppress(OSError):  # on a full disk, a waiting process gets no exit code
                self._write_final_state(record.id, record.state)
        if record.state.status is not Status.REMOVING:
            self._mark_removing(record, volumes)
        if not given_back:
            self._sidecars.end(record)
            context.runtime.delete(record.id, force=True)
            self._connections.release(record.id, record.endpoints, record.ports)
        context.store.snapshots.discard(record.id, soon=given_back)
        detach(bundle.rootfs)
        detach(bundle.names)
        forget_mounts(context, record.id)
        context.store.remove_tree(bundle.folder, soon=given_back)
        for mount in record.mounts if volumes else ():
            if mount.anonymous and not self._mounted_elsewhere(mount.name, record.id):
                context.store.remove_tree(context.settings.layout.volumes / mount.name)
                volume = context.volumes.by_name(mount.name)
                if volume is not None:
                    context.volumes.delete(volume.id)
        with context.journal.together():
            context.containers.delete(record.id)
            if record.phase == "ready":
                self.note(record, "destroy")

    def _mark_removing(self, record: ContainerRecord, volumes: bool) -> None:
        try:
            self._update(record.id, status=Status.REMOVING, remove_volumes=volumes)
        except DiskFullError:
            # Its files may use up the disk: delete them first.
            self._context.runtime.delete(record.id, force=True)
            self._context.store.snapshots.discard(record.id)
            self._update(record.id, status=Status.REMOVING, remove_volumes=volumes)

    def _record_failure(self, container_id: str, error: BaseException) -> None:
        """Release a container whose start failed; it is kept, as with Docker."""
        code = error.exit_code if isinstance(error, OCIRuntimeError) else 125
        if isinstance(error, ContainersError):
            self._update(container_id, exit_code=code, error=error.message)
        self._states.change(container_id, owner=None)

    def _mounted_elsewhere(self, volume: str, container_id: str) -> bool:
        return any(
            mount.name == volume
            for other in self._context.containers.all()
            if other.id != container_id
            for mount in other.mounts
        )

    def _fresh(self, container_id: str) -> ContainerRecord:
        return _require_record(container_id, self._context.containers.get(container_id))

    def _update(self, container_id: str, **changes: object) -> ContainerRecord:
        return self._states.update(container_id, **changes)


def _lock(container_id: str) -> str:
    """Return the name of a container's lock."""
    return f"container-{container_id}"


def _is_dead(process: ProcessIdentity | None) -> bool:
    """Return whether a process that a record names has ended."""
    return process is not None and not process.alive


def _require_record(container_id: str, record: ContainerRecord | None) -> ContainerRecord:
    if record is None:
        raise ContainerNotFoundError(f"container {container_id[:12]} has been removed")
    return record


def _removes_itself(record: ContainerRecord) -> bool:
    """Return whether a container is removed at its end, and no process is about to restart it."""
    return record.options.rm and (record.owner is None or _is_dead(record.owner))


def _finish_time(bundle: Bundle) -> float:
    try:
        return (bundle.folder / "persist" / "exit").stat().st_mtime
    except OSError:
        return time.time()
