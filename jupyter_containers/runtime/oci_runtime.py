"""crun or runc, started for one verb at a time.

Vocabulary: the *state folder* of a container is below the runtime's ``root`` and is the runtime's
own record; a container exists for the runtime while that folder does.

Lifecycle: the monitor calls ``create``; here are ``start``, ``state``, ``kill``, ``pause``,
``resume``, ``update``, ``delete``, and ``run`` (create, start, wait and delete in one, without a
monitor, for build steps).  Every child is started in its own session, so that Ctrl-C in a kernel
does not reach it, and is reaped.

Two verbs have a shortcut with runc, taken only if its state file has the expected form: ``start``
reads the byte that the container's init offers in ``exec.fifo`` and removes the fifo, and
``delete`` removes the empty cgroups and the state folder.  runc itself does no more for containers
without hooks, and the shortcut saves two program starts (some 8 ms) for each run.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from jupyter_containers.errors import ContainersError, OCIRuntimeError, UnsupportedError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_modules import json, shutil, subprocess
from jupyter_containers.oci.decoding import DECODE_ERRORS
from jupyter_containers.runtime import cgroups
from jupyter_containers.runtime.failures import last_error, log_error, program_of, runtime_error
from jupyter_containers.runtime.host import HostCapabilities, find_program
from jupyter_containers.runtime.process import (
    ProcessIdentity,
    kill_processes,
    wait_readable,
)
from jupyter_containers.runtime.pump import OutputSink, communicate
from jupyter_containers.runtime.spec import CGROUP_PARENT

_VERB_TIMEOUT = 60.0
_START_TIMEOUT = 20.0
_DEATH_TIMEOUT = 5.0
_PROGRAM_TIMEOUT = 1.0
# Those of subprocess, which is imported when the first program starts.
_PIPE, _DEVNULL = -1, -3
_MAKING = {b"create", b"run"}


class OCIRuntime:
    """The OCI runtime of this host with one state root; stateless, usable from any thread."""

    def __init__(
        self, host: HostCapabilities, root: Path, *, cgroup_parent: str = CGROUP_PARENT
    ) -> None:
        facts = host.require_runtime()
        self.name = facts.name
        self.path = facts.path
        self.root = root
        self.layout = host.cgroups
        self.cgroup_parent = self.layout.base + cgroup_parent

    def program(self, container_id: str) -> str:
        """Return the program for a container: the one that created it, even if another is chosen.

        Raises :class:`UnsupportedError` if that program is no longer here.
        """
        maker = self._maker(container_id)
        if maker == self.name:
            return self.path
        path = find_program(maker)
        if not path:
            raise UnsupportedError(
                f"container {container_id[:12]} was started by {maker}, which is not installed now",
                capability=maker,
                provided_by=f"apt-get install {maker}",
            )
        return path

    def _maker(self, container_id: str) -> str:
        """Return the runtime that has the container's state; the chosen one if none has."""
        folder = self.root / container_id
        if (folder / "state.json").exists():
            return "runc"
        return "crun" if (folder / "status").exists() else self.name

    def cgroup_path(self, container_id: str) -> str:
        """Return the cgroup path for a container's spec."""
        try:
            parent = self._parent_file(container_id).read_text()
        except OSError:
            parent = self.cgroup_parent
        return f"{parent.rstrip('/')}/{container_id}"

    def set_cgroup_parent(self, container_id: str, parent: str) -> None:
        """Set a different parent cgroup for a container that is about to be created."""
        file = self._parent_file(container_id)
        if parent or self.layout.base:
            file.parent.mkdir(parents=True, exist_ok=True)
            # The base may differ at another time, or in another service of the user.
            below = f"{self.layout.base}/{parent.strip('/')}" if parent else self.cgroup_parent
            file.write_text(below)
        else:
            file.unlink(missing_ok=True)

    def _parent_file(self, container_id: str) -> Path:
        return self.root.parent / "cgroups" / container_id

    def global_arguments(self, log: Path | None = None) -> list[str]:
        """Return the arguments before the verb."""
        arguments = ["--root", str(self.root), "--log-format", "json"]
        return [*arguments, "--log", str(log)] if log else arguments

    def container_ids(self) -> tuple[str, ...]:
        """Return the IDs of all containers that have a state folder."""
        try:
            return tuple(sorted(entry.name for entry in os.scandir(self.root) if entry.is_dir()))
        except FileNotFoundError:
            return ()

    def exists(self, container_id: str) -> bool:
        """Return whether the container has a state folder."""
        return (self.root / container_id).is_dir()

    def state(self, container_id: str) -> dict[str, Any] | None:
        """Return the runtime's state (``status``, ``pid`` …), or None for an unknown container.

        OCI Runtime Specification 1.1, runtime.md "State".
        """
        if not self.exists(container_id):
            return None
        try:
            text = self._verb("state", container_id)
        except OCIRuntimeError:
            if not self.exists(container_id):
                return None
            raise
        value: dict[str, Any] = json.loads(text)
        return value

    def init_process(self, container_id: str) -> ProcessIdentity | None:
        """Return the live first process of a container, or None if it has ended."""
        if self._maker(container_id) == "runc":
            init = _init_of(container_id, self._read_record(container_id))
            return init if init is not None and init.alive else None
        state = self.state(container_id)
        return ProcessIdentity.of(int(state.get("pid", 0))) if state else None

    def start(self, container_id: str) -> None:
        """Start the process of a created container."""
        if not self._release_init(container_id):
            self._verb("start", container_id)

    def started(self, container_id: str, process: ProcessIdentity) -> bool:
        """Return whether a created container has been started, even if it has ended.

        ``process`` is its first process.  The runtime keeps ``exec.fifo`` in the state folder until
        the start; the process writes to it right before it becomes the program.
        """
        folder = self.root / container_id
        try:
            fifo = os.stat(folder / "exec.fifo")
        except OSError:
            return folder.is_dir()
        # The starter may have died before it could remove the fifo.
        if process.alive and not _is_runtimes(process.pid):
            return True
        try:
            return fifo.st_mtime_ns > os.stat(folder / "state.json").st_mtime_ns
        except OSError:
            return False

    def await_program(self, process: ProcessIdentity) -> None:
        """Wait until a started container's first process is its program.

        In its first milliseconds it is still the runtime's own program.
        """
        deadline = time.monotonic() + _PROGRAM_TIMEOUT
        while _is_runtimes(process.pid) and time.monotonic() < deadline:
            time.sleep(0.001)

    def signal(self, process: ProcessIdentity, number: int, *, caught: bool = False) -> bool:
        """Send a signal to the program of a started container, never to the runtime before it.

        With ``caught`` it is sent only to a program with a handler for it.  Returns False if it was
        not sent.
        """
        self.await_program(process)
        return (not caught or process.catches(number)) and process.signal(number)

    def kill_all(self, container_id: str) -> bool:
        """Kill every process of the container at once; return whether none is left."""
        if self.layout.version != "none":
            return cgroups.kill_all(self.layout, self.cgroup_path(container_id))
        # No group to empty: the kernel ends a pid namespace with its first process.
        init = self.init_process(container_id)
        if init is not None:
            init.signal(signal.SIGKILL)
            init.wait(timeout=_DEATH_TIMEOUT)
        return init is None or not init.alive

    def pause(self, container_id: str) -> None:
        """Freeze all processes of the container; return when they stand still."""
        self._verb("pause", container_id)
        cgroups.await_frozen(self.layout, self.cgroup_path(container_id), _VERB_TIMEOUT)

    def resume(self, container_id: str) -> None:
        """Resume a paused container."""
        self._verb("resume", container_id)

    def update(self, container_id: str, limits: Mapping[str, Any]) -> None:
        """Change limits of a live container; ``limits`` as from ``resources.limits``."""
        document = json.dumps(limits).encode()
        self._verb("update", container_id, "--resources", "-", stdin=document)

    def delete(self, container_id: str, *, force: bool = False) -> None:
        """Remove everything that the runtime has of a container; do nothing if there is nothing.

        A live container is refused unless ``force``, which kills it first.
        """
        path = self.cgroup_path(container_id)
        if not self.exists(container_id) and not cgroups.exists(self.layout, path):
            return
        if force:
            init = self.init_process(container_id)
            # A group that can be removed at once has no process to kill.
            if init is not None or not cgroups.remove(self.layout, path, timeout=0):
                self.kill_all(container_id)
            if init is not None:
                init.signal(signal.SIGKILL)
                # It ends only after all processes of its namespace were reaped by their parents.
                init.wait(timeout=_DEATH_TIMEOUT)
        if not self._forget(container_id):
            if self.exists(container_id):
                self._verb("delete", container_id, *(["--force"] if force else []))
            cgroups.remove(self.layout, path)
        self.set_cgroup_parent(container_id, "")

    def abandon(self, container_id: str, *verbs: str) -> None:
        """Kill the runtime's own processes that work on a container for a dead owner.

        By default those that create or run it.
        """
        program, wanted = os.fsencode(self.path), os.fsencode(container_id)
        known = {os.fsencode(verb) for verb in verbs or ("create", "run")}
        kill_processes(
            lambda words: (
                words[0] == program and words[-1] == wanted and not known.isdisjoint(words)
            )
        )

    def forget(self, container_id: str) -> None:
        """Remove the traces of a container of an earlier boot: no process of it can be alive."""
        shutil.rmtree(self.root / container_id, ignore_errors=True)
        cgroups.remove(self.layout, self.cgroup_path(container_id))
        self.set_cgroup_parent(container_id, "")

    def run(
        self,
        container_id: str,
        bundle: Path,
        *,
        on_output: OutputSink,
        stdin: bytes | int | None = None,
        cancel: CancelToken | None = None,
    ) -> int:
        """Create a container, run it to its end and delete it; return its exit code.

        ``stdin`` is data, a descriptor, or None for an empty input.  Raises
        :class:`OCIRuntimeError` if it could not be started, and ``OperationCancelledError`` after
        everything was cleaned up.
        """
        log = bundle / "runtime.log"
        argv = [self.path, *self.global_arguments(log), "run", "--bundle", str(bundle)]
        argv.append(container_id)

        def end() -> None:
            self._kill_until_gone(container_id)

        try:
            code = self.communicate(
                argv, on_output=on_output, stdin=stdin, cancel=cancel, on_cancel=end
            )
        except BaseException:
            with suppress(ContainersError):
                self.delete(container_id, force=True)
            raise
        if code != 0 and (message := log_error(log)):
            self.delete(container_id, force=True)
            program = program_of(bundle)
            raise runtime_error(message, operation="run", argv=argv, program=program)
        if self.exists(container_id):
            self.delete(container_id, force=True)
        return code

    def communicate(
        self,
        argv: Sequence[str],
        *,
        on_output: OutputSink,
        stdin: bytes | int | None,
        cancel: CancelToken | None,
        on_cancel: Any,
    ) -> int:
        """Return the exit status of a foreground verb whose stdio is the container's."""
        child = spawn(
            argv,
            stdin=subprocess.PIPE
            if isinstance(stdin, bytes)
            else subprocess.DEVNULL
            if stdin is None
            else stdin,
        )
        return communicate(
            child,
            on_output=on_output,
            stdin=stdin if isinstance(stdin, bytes) else b"",
            cancel=cancel,
            on_cancel=on_cancel,
        )

    def _kill_until_gone(self, container_id: str) -> None:
        # The runtime may be killed between creating the cgroup and filling it, so look again.
        for _ in range(3):
            self.kill_all(container_id)
            time.sleep(0.01)

    def _verb(
        self,
        verb: str,
        container_id: str,
        *arguments: str,
        stdin: bytes = b"",
    ) -> str:
        argv = [self.program(container_id), *self.global_arguments(), verb]
        argv += [*arguments, container_id]
        child = spawn(argv, stdin=subprocess.PIPE if stdin else subprocess.DEVNULL)
        try:
            output, errors = child.communicate(stdin or None, timeout=_VERB_TIMEOUT)
        except subprocess.TimeoutExpired as error:
            raise runtime_error(
                f"no answer to {verb} within {_VERB_TIMEOUT:g} s", operation=verb, argv=argv
            ) from error
        finally:
            if child.poll() is None:
                child.kill()
                child.communicate()
        if child.returncode != 0:
            text = errors.decode(errors="replace")
            raise runtime_error(last_error(text) or text, operation=verb, argv=argv, stderr=text)
        return output.decode(errors="replace")

    def _read_record(self, container_id: str) -> bytes:
        """Return runc's own record of a container, empty if there is none."""
        try:
            with open(self.root / container_id / "state.json", "rb") as file:
                return file.read()
        except OSError:
            return b""

    def _release_init(self, container_id: str) -> bool:
        """Start the container as ``runc start`` does; return False to leave it to runc."""
        fifo = self.root / container_id / "exec.fifo"
        recorded = self._read_record(container_id)
        init = _init_of(container_id, recorded)
        if _has_late_hooks(recorded) or init is None or not init.alive:
            return False
        try:
            descriptor = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            deadline = time.monotonic() + _START_TIMEOUT
            while not wait_readable(descriptor, timeout=0.1):
                if not init.alive or time.monotonic() > deadline:
                    return False
            if not os.read(descriptor, 1):
                return False
            fifo.unlink(missing_ok=True)
        finally:
            os.close(descriptor)
        return True

    def _forget(self, container_id: str) -> bool:
        """Delete an ended container as ``runc delete`` does; return False to leave it to runc."""
        recorded = self._read_record(container_id)
        init = _init_of(container_id, recorded)
        if _has_late_hooks(recorded) or init is None or init.alive:
            return False
        # Cgroups first: while the state folder exists, a sweep still finds the container.
        path = self.cgroup_path(container_id)
        if not cgroups.remove(self.layout, path, timeout=0) and (
            cgroups.processes(self.layout, path) or not cgroups.remove(self.layout, path)
        ):
            return False
        shutil.rmtree(self.root / container_id, ignore_errors=True)
        return not self.exists(container_id)


def _is_runtimes(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            return file.read().startswith((b"runc:[", b"crun\n"))
    except OSError:
        return False


class _State(msgspec.Struct):
    """The relevant part of runc's ``state.json``: the rest, some 25 kB, is skipped."""

    id: str
    init_process_pid: int
    init_process_start: int


_STATE = msgspec.json.Decoder(_State)


def _init_of(container_id: str, recorded: bytes) -> ProcessIdentity | None:
    try:
        state = _STATE.decode(recorded)
    except DECODE_ERRORS:
        return None
    if state.id != container_id:
        return None
    return ProcessIdentity(state.init_process_pid, state.init_process_start)


def _has_late_hooks(recorded: bytes) -> bool:
    """Return whether there are hooks to run after the start or the end (devices need them)."""
    return b'"poststart":[' in recorded or b'"poststop":[' in recorded


def spawn(
    argv: Sequence[str],
    *,
    stdin: int = _DEVNULL,
    stdout: int = _PIPE,
    stderr: int = _PIPE,
) -> subprocess.Popen[bytes]:
    """Start a program: own session, no inherited descriptors, small environment."""
    try:
        return subprocess.Popen(
            list(argv),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd="/",
            env=program_environment(),
            start_new_session=True,
            bufsize=0,
        )
    except OSError as error:
        raise OCIRuntimeError(f"cannot start {argv[0]}: {error.strerror}", argv=argv) from error


def program_environment() -> dict[str, str]:
    """Return the environment for a runtime or monitor, without secrets of this process's."""
    # The engine that conmon starts at a container's end finds an unprivileged user's store by it.
    home = ("HOME", "XDG_DATA_HOME")
    kept = ("PATH", *home, "XDG_RUNTIME_DIR", "LANG", "TMPDIR", "DBUS_SESSION_BUS_ADDRESS")
    chosen = {name: os.environ[name] for name in kept if name in os.environ}
    folders = chosen.get("PATH", "").split(":")
    extra = [
        folder for folder in ("/usr/sbin", "/usr/bin", "/sbin", "/bin") if folder not in folders
    ]
    chosen["PATH"] = ":".join([folder for folder in folders if folder] + extra)
    return chosen
