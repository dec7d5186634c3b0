"""The life of one container: start, look, end, clean up.

A container belongs to nobody's process.  What is true is in the kernel and in the monitor's exit
file; records say ``running`` until someone looks.  :meth:`Lifecycle.settle` is that look: it turns
a container whose process has ended into an ``exited`` record and gives back what it held.  Every
engine does it when it meets such a container, and conmon starts one (``reap``) at the end of a
detached container, so that no kernel need be alive.  The same look finishes or undoes what a dead
process left in the middle: a creation, a start, a removal.  One lock a container, held across every
change of its state.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from jupyter_containers.engine.bundle import Bundle
from jupyter_containers.engine.containers.exit_command import exit_command
from jupyter_containers.engine.containers.pauses import Pauses
from jupyter_containers.engine.containers.restarts import (
    delay_of,
    end_waiter,
    restarts,
    start_waiter,
)
from jupyter_containers.engine.containers.shared_namespaces import (
    forget_mounts,
)
from jupyter_containers.engine.containers.sidecars import Companions
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
_MONITOR_SECONDS = 5.0  # from the end of a container until its monitor has told the exit code


class Lifecycle:
    """What happens to containers between create and remove."""

    def __init__(self, context: EngineContext, connections: Connections) -> None:
        self._context, self._connections = context, connections
        self._hostnames = connections.hostnames
        self._companions = Companions(context)
        self._states = States(context)
        self._starts = Starts(context, connections, self._states, self._companions)
        self._pauses = Pauses(context, self._states, self._companions)

    def bundle(self, container_id: str) -> Bundle:
        """Return the container's folder."""
        return Bundle(self._context.settings.layout.containers / container_id)

    @contextmanager
    def locked(self, container_id: str, cancel: CancelToken | None = None) -> Iterator[None]:
        """Hold the container's lock: no other thread or process changes its state meanwhile."""
        with self._context.store.locks.hold(_lock(container_id), cancel):
            yield

    def note(self, record: ContainerRecord, action: str, **more: str) -> None:
        """Write down what happened to a container, with Docker's attributes."""
        self._states.note(record, action, **more)

    def renamed(self, record: ContainerRecord, former: str) -> None:
        """Let the networks know a container by its new name, and write it down."""
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
        """Start a container; return its new record and, when asked, its attached streams.

        Attaching happens before the first instruction runs, so no output is lost;
        ``before_start`` is called then too.  With ``attach`` or ``attended`` this process records
        the end.  On an error nothing of the start is left; the record keeps the exit code and the
        message.
        """
        with self.locked(record.id):
            with deferred():
                record = _present(record.id, self._settled(self._fresh(record.id)))
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
                    self._not_started(record.id, error)
                raise

    def running(self, record: ContainerRecord) -> bool:
        """Return True while the container's first process lives."""
        process = record.state.process
        return record.state.status.alive and process is not None and process.alive

    def look(self, record: ContainerRecord) -> ContainerRecord | None:
        """Return the record as it is true now; None when the container is gone."""
        if self._left_half_done(record):
            # What cannot be done now (on a full disk) is tried again by the next look.
            with suppress(ContainersError):
                return self.settle(record.id)
            return record
        if not record.state.status.alive or self.running(record):
            return record
        try:
            return self.settle(record.id)
        except (DiskFullError, ReadOnlyStoreError):
            # It is so, even where that cannot be recorded.
            code = monitor.read_exit(self.bundle(record.id).folder)
            state = msgspec.structs.replace(
                record.state, status=Status.EXITED, exit_code=LOST if code is None else code
            )
            return msgspec.structs.replace(record, state=state)

    def _left_half_done(self, record: ContainerRecord) -> bool:
        """Return whether a dead process left a creation, start, pause or removal unfinished."""
        if record.state.status is Status.REMOVING:
            with self._context.store.locks.attempt(_lock(record.id)) as free:
                return free
        return _is_dead(record.owner) or _is_dead(record.state.pauser)

    def settle(self, container_id: str) -> ContainerRecord | None:
        """Record what became of a container; return None when that removed it.

        The end of one that has ended, and what a dead process left half done.
        """
        with deferred(), self.locked(container_id):
            record = self._context.containers.get(container_id)
            return None if record is None else self._settled(record)

    def _settled(self, record: ContainerRecord) -> ContainerRecord | None:
        if record.state.status is Status.REMOVING:
            self._remove(record, volumes=record.state.remove_volumes)  # who did it held the lock
            return None
        if _is_dead(record.owner):
            resumed = self._resumed(record)
            if resumed is None:
                return None
            record = resumed
        if not record.state.status.alive:
            return record
        if self.running(record):
            return self._pauses.end(record) if _is_dead(record.state.pauser) else record
        record = self._ended(record)
        if record.state.status is Status.REMOVING:
            self._remove(record, volumes=True, given_back=True)
            return None
        return record

    def _resumed(self, record: ContainerRecord) -> ContainerRecord | None:
        """Finish or undo what a dead owner left half done; return None when that removed it."""
        if record.phase != "ready":
            self._remove(record, volumes=True)
            return None
        if record.state.status.alive:  # it was to be started again
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

    def _testament(self, container_id: str) -> Path:
        """Return the file that tells those who wait how a container that is gone ended."""
        folder = self._context.settings.layout.ended
        folder.mkdir(parents=True, exist_ok=True)
        return folder / container_id

    def _leave_testament(self, container_id: str, state: StateRecord) -> None:
        self._testament(container_id).write_bytes(msgspec.json.encode(state))

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
            record = self._context.containers.get(container_id)
            if record is None:
                return self._last_state(container_id)
            alive = record.state.status.alive
            if alive:
                record = self._ended(record)
            if _removes_itself(record):
                self._remove(record, volumes=True, given_back=alive)
        if record.state.status is Status.RESTARTING and record.state.waiter is None:
            # Its monitor may have been started before it had a restart policy.
            start_waiter(exit_command(self._context, container_id))
        return record.state

    def _ended(self, record: ContainerRecord) -> ContainerRecord:
        context, bundle = self._context, self.bundle(record.id)
        states = monitor.MonitorState(record.state.monitor, record.state.process, 0)
        status = monitor.wait(bundle.folder, states, timeout=_MONITOR_SECONDS)
        if status is None:
            # Another client is attached and does not read: the monitor waits for it, for ever.
            if record.state.monitor is not None:
                record.state.monitor.signal(signal.SIGKILL)
            status = monitor.wait(bundle.folder, states)
        group = context.runtime.cgroup_path(record.id)
        oom = status.oom_killed or cgroups.oom_kills(context.runtime.layout, group) > 0
        context.runtime.delete(record.id, force=True)
        self._connections.release(record.id, record.endpoints, record.ports)
        self._companions.end(record)
        goes, code = _removes_itself(record), LOST if status.code is None else status.code
        finished = _finished(bundle)
        if goes:
            last = msgspec.structs.replace(record.state, exit_code=code, oom_killed=oom)
            self._leave_testament(record.id, last)
        seconds = str(int(max(0.0, finished - record.state.started)))
        with context.journal.together():
            ended = self._update(
                record.id,
                # One step for the end and the removal of one that removes itself: if this process
                # dies, the next look removes it.
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
        """Return the seconds until a restart that this process is to make; None for none."""
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
        """Start a container that is due, from the process that waited for it."""
        with self.locked(container_id):
            record = self._context.containers.get(container_id)
            if record is None or record.state.status is not Status.RESTARTING:
                return
            # Conmon may have started this process: inside the mount namespace of the last run.
            detach_inside(self.bundle(container_id).folder)
            detach_inside(mount_folder(self._context, container_id))
            try:
                self._starts.start(record, self.bundle(container_id))
            except BaseException as error:
                with deferred():
                    self._update(container_id, status=Status.EXITED)
                    self._not_started(container_id, error)
                raise

    def _give_up_restart(self, record: ContainerRecord) -> None:
        """Leave a container that waits for its restart stopped."""
        with deferred(), self.locked(record.id):
            current = self._context.containers.get(record.id)
            if current is None or current.state.status is not Status.RESTARTING:
                return
            if current.state.waiter is not None:
                end_waiter(current.state.waiter)
            self._update(record.id, status=Status.EXITED, stopped_by_user=True, waiter=None)

    def note_health(self, container_id: str, status: str) -> None:
        """Write down a container's new health."""
        record = self._context.containers.get(container_id)
        if record is not None:
            self.note(record, f"health_status: {status}")

    def note_exec_end(self, record: ContainerRecord, exec_id: str, code: int) -> None:
        """Write down that a command in a container has ended."""
        self.note(record, "exec_die", execID=exec_id, exitCode=str(code))

    def note_detached_end(self, container_id: str, exec_id: str, folder: Path) -> None:
        """Write down the end of a detached exec whose exit code is in ``folder``; remove that."""
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
            with tolerated():
                self._update(record.id, stopped_by_user=True)
        self._kill(record, number)

    @contextmanager
    def kept(self, record: ContainerRecord) -> Iterator[None]:
        """Own a container that removes itself at its end, to stop it and start it again.

        It is then not removed as long as this process lives.
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

    def stop(self, record: ContainerRecord, timeout: float, number: int) -> None:
        """End a container: its stop signal, ``timeout`` seconds of grace, then KILL.

        A negative timeout waits for ever.  A container that does not run is left as it is.
        """
        looked = self.look(record)
        if looked is not None and not self.running(looked):
            self._give_up_restart(looked)  # it waits for a start that is under way
            looked = self._context.containers.get(record.id)
        process = None if looked is None else looked.state.process
        if looked is None or process is None or not self.running(looked):
            return
        if looked.state.status is Status.PAUSED:
            self.unpause(looked)
        # On a full disk it ends all the same: what it writes may be what fills it.
        with tolerated():
            self._update(record.id, stopped_by_user=True)
        self._kill(looked, number)
        if not process.wait(timeout=None if timeout < 0 else timeout):
            self._kill(looked, signal.SIGKILL)
            process.wait(timeout=_KILL_SECONDS)
        with tolerated():
            self.settle(record.id)
        self.note(record, "stop")

    def update(self, record: ContainerRecord, options: RunOptions) -> None:
        """Give a container other limits or another restart policy; at once when it runs."""
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
        """Whether containers have a control group in which processes can be frozen."""
        return self._pauses.possible

    def pause(self, record: ContainerRecord, *, passing: bool = False) -> None:
        """Freeze all processes of a running container.

        A ``passing`` pause is for the time of some work: it ends with this process at the latest.
        """
        with self.locked(record.id):
            require(record.name, self._fresh(record.id).state.status, "pause")
            self._pauses.begin(record, passing=passing)

    def unpause(self, record: ContainerRecord) -> None:
        """Let a paused container go on."""
        with self.locked(record.id):
            current = self._fresh(record.id)
            require(record.name, current.state.status, "unpause")
            self._pauses.end(current)

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
                current = self._context.containers.get(record.id)
                if current is None:
                    return
                if not self.running(current):
                    self._remove(current, volumes=volumes)
                    return
            record = current  # another process has started it meanwhile

    def remove_unused(self, record: ContainerRecord) -> bool:
        """Remove a container for a prune; False when it runs or somebody is about to start it."""
        with deferred(), self.locked(record.id):
            current = self._context.containers.get(record.id)
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
        context, bundle = self._context, self.bundle(record.id)
        if record.state.status is Status.EXITED:
            with suppress(OSError):  # a full disk: a waiting process learns only that it is gone
                self._leave_testament(record.id, record.state)
        if record.state.status is not Status.REMOVING:
            self._mark_removing(record, volumes)
        if not given_back:
            self._companions.end(record)
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
            # Its files may be all the room there is: they go first then.
            self._context.runtime.delete(record.id, force=True)
            self._context.store.snapshots.discard(record.id)
            self._update(record.id, status=Status.REMOVING, remove_volumes=volumes)

    def _not_started(self, container_id: str, error: BaseException) -> None:
        """Leave a container to itself whose start failed: it stays, as with Docker."""
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
        return _present(container_id, self._context.containers.get(container_id))

    def _update(self, container_id: str, **changes: object) -> ContainerRecord:
        return self._states.update(container_id, **changes)


def _lock(container_id: str) -> str:
    """Return the name of a container's lock."""
    return f"container-{container_id}"


def _is_dead(process: ProcessIdentity | None) -> bool:
    """Return whether a process that a record names has ended."""
    return process is not None and not process.alive


def _present(container_id: str, record: ContainerRecord | None) -> ContainerRecord:
    if record is None:
        raise ContainerNotFoundError(f"container {container_id[:12]} has been removed")
    return record


def _removes_itself(record: ContainerRecord) -> bool:
    """Return whether a container goes at its end, and nobody is about to start it again."""
    return record.options.rm and (record.owner is None or _is_dead(record.owner))


def _finished(bundle: Bundle) -> float:
    try:
        return (bundle.folder / "persist" / "exit").stat().st_mtime
    except OSError:
        return time.time()
