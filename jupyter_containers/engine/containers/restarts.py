"""Restart policies: when a container is restarted, and by which process.

A container that will be restarted is ``restarting`` from its end to its next start.  The exit
command that conmon starts at the end (:mod:`.exit_command`) waits as its *waiter*, for a long delay
as a sleeping shell instead of an interpreter.  If the waiter of a ``restarting`` container has
died, the next access starts another one.

The delay is Docker's: 100 ms, doubled at every restart up to a minute, and 100 ms again after a run
of ten seconds.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_containers.engine.records import ContainerRecord, StateRecord
from jupyter_containers.lazy_modules import subprocess
from jupyter_containers.options.restart import RestartPolicy
from jupyter_containers.runtime.oci_runtime import program_environment

if TYPE_CHECKING:
    from jupyter_containers.runtime.process import ProcessIdentity

FIRST_DELAY, LONGEST_DELAY = 0.1, 60.0
_LONG_RUN = 10.0
_SHORT_WAIT = 0.5
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def delay_of(policy: RestartPolicy, state: StateRecord) -> float | None:
    """Return the seconds until the restart of a container that has ended, or None.

    ``state`` is its state at the end.
    """
    name, most = policy.name, policy.retries
    if name == "no" or state.stopped_by_user:
        return None
    if name == "on-failure" and (state.exit_code == 0 or (most and state.restart_count >= most)):
        return None
    if state.finished - state.started >= _LONG_RUN or not state.restart_delay:
        return FIRST_DELAY
    return min(2 * state.restart_delay, LONGEST_DELAY)


def restarts(record: ContainerRecord) -> bool:
    """Return whether the container has a restart policy."""
    return record.options.restart.name != "no"


def restarts_at_boot(record: ContainerRecord) -> bool:
    """Return whether a container that ended because the machine stopped is started at boot."""
    name, most = record.options.restart.name, record.options.restart.retries
    state = record.state
    if not state.started:
        return False
    if name == "on-failure":
        return state.exit_code != 0 and not (most and state.restart_count >= most)
    return name == "always" or (name == "unless-stopped" and not state.stopped_by_user)


def boot_id() -> str:
    """Return the kernel's ID of the current boot."""
    return _BOOT_ID.read_text().strip()


def known_boot(boot_id: Path) -> str:
    """Return the boot that the store last recorded in its file; empty for a new store."""
    try:
        return boot_id.read_text()
    except FileNotFoundError:
        return ""


def remember_boot(boot_id: Path, boot: str) -> None:
    """Record the boot in the store's file."""
    boot_id.write_text(boot)


def wait_for_restart(seconds: float, command: Sequence[str]) -> None:
    """Wait; a long time as a shell in this same process, which then executes ``command``."""
    if seconds <= _SHORT_WAIT:
        time.sleep(max(0.0, seconds))
        return
    with suppress(OSError):
        os.setsid()  # a process group of its own, to end the sleep with its shell
    script = 'sleep "$1"; shift; exec "$@"'
    sys.stdout.flush()
    os.execv("/bin/sh", ["sh", "-c", script, "sh", f"{seconds:.3f}", *command])  # noqa: S606  # this process becomes the waiter


def start_waiter(command: Sequence[str]) -> None:
    """Start the process that waits for a container's restart; it outlives this one."""
    # Start it from a shell that ends at once, so that init reaps it, not a long-lived kernel.
    launch = 'setsid "$@" </dev/null >/dev/null 2>&1 &'
    subprocess.run(
        ["/bin/sh", "-c", launch, "sh", *command],
        cwd="/",
        env=program_environment(),
        stdin=subprocess.DEVNULL,
        check=False,
    )


def end_waiter(waiter: ProcessIdentity) -> None:
    """End a waiter and its sleeping child."""
    if waiter.alive:
        with suppress(ProcessLookupError, PermissionError):
            if os.getpgid(waiter.pid) == waiter.pid:
                os.killpg(waiter.pid, signal.SIGKILL)
            else:
                waiter.signal(signal.SIGKILL)
