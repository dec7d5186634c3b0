"""Compares the state of containers in ``ps`` with the kernel and the runtime."""

from __future__ import annotations

import os

from jupyter_containers.engine import Container, Engine
from jupyter_containers.oci.state import Status
from jupyter_containers.runtime import cgroups
from jupyter_containers.runtime.process import find_processes


def untruth(engine: Engine, container: Container) -> str:
    """Return how processes, runtime and companions differ from the container's status, or ""."""
    record, runtime = container.record, engine._context.runtime
    monitors = find_processes(lambda words: os.fsencode(record.id) in words and b"--cid" in words)
    if container.status is Status.EXITED and record.options.rm:
        return "exited, and did not remove itself"
    frozen = cgroups.is_frozen(runtime.layout, runtime.cgroup_path(record.id))
    if container.status is Status.PAUSED:
        return "" if frozen else "paused, and not frozen"
    if container.status is not Status.RUNNING:
        claims = [one for one in engine._context.endpoints.all() if one.container_id == record.id]
        held = [runtime.exists(record.id), bool(monitors), bool(claims)]
        return f"{container.status} holds state, monitor, addresses: {held}" if any(held) else ""
    process = record.state.process
    if process is None or not process.alive or not monitors:
        return "running without process or monitor"
    if frozen:
        return "running, and frozen"
    runtime.await_program(process)
    with open(f"/proc/{process.pid}/comm") as comm:
        if comm.read().startswith("runc"):
            return "running without its program"
    wants = 2 if record.options.health else 0
    opening = b"pid=%d born=%d\n" % (process.pid, process.start_time)
    scripts = find_processes(
        lambda words: words[0] == b"sh" and any(word.startswith(opening) for word in words[2:3])
    )
    there = {one for one in scripts if _leads(one.pid)}  # no subshells
    known = set(record.state.companions)
    if len(known) != wants or known != there:
        return f"running with companions {there}, recorded are {known}, wanted {wants}"
    return ""


def _leads(pid: int) -> bool:
    """Return whether a process leads its group; a subshell may have ended by now."""
    try:
        return os.getpgid(pid) == pid
    except ProcessLookupError:
        return False
