"""Sidecars: small processes beside a container while no engine is alive.

A *sidecar* is a shell script of the engine in its own session: it watches one container,
maintains files in the bundle, and ends when the container's first process has ended (or on
request). A shell takes a tenth of an interpreter's memory.  No text of an image reaches the script:
programs and arguments are positional parameters from the engine, an image's command is a JSON file.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from jupyter_containers.errors import OCIRuntimeError
from jupyter_containers.lazy_modules import subprocess
from jupyter_containers.runtime.oci_runtime import program_environment
from jupyter_containers.runtime.process import ProcessIdentity, find_processes

# alive: the process $pid that started at $born (proc(5), field 22) exists and is not a zombie.
ALIVE = """
alive() {
    read -r stat 2>/dev/null </proc/$pid/stat || return 1
    set -- ${stat##*) }
    [ "${20}" = "$born" ] && [ "$1" != Z ]
}
"""


def start_sidecar(
    script: str, folder: Path, process: ProcessIdentity, arguments: Sequence[str]
) -> ProcessIdentity | None:
    """Start a sidecar of the container whose first process is ``process``.

    The script runs in ``folder`` with ``$pid`` and ``$born`` set and ``arguments`` as ``$1`` ….
    """
    text = f"{_script_prefix(process)}{ALIVE}{script}"
    # Started by a shell that ends at once, so that init and not this process reaps it.
    launch = 'setsid sh -c "$@" </dev/null >/dev/null 2>&1 & echo $!'
    argv = ["/bin/sh", "-c", launch, "sh", text, "sidecar", *arguments]
    try:
        done = subprocess.run(
            argv,
            cwd=folder,
            env=program_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise OCIRuntimeError(f"cannot start a sidecar process: {error}", argv=argv) from error
    return ProcessIdentity.of(int(done.stdout))


def end_sidecars(process: ProcessIdentity) -> None:
    """End all sidecars of the container whose first process is ``process``, recorded or not."""
    opening = os.fsencode(_script_prefix(process))
    for sidecar in find_processes(lambda words: any(word.startswith(opening) for word in words)):
        end_sidecar(sidecar)


def _script_prefix(process: ProcessIdentity) -> str:
    """Return the beginning of a sidecar's script, which identifies its container."""
    return f"pid={process.pid} born={process.start_time}\n"


def end_sidecar(sidecar: ProcessIdentity) -> None:
    """End a sidecar and all processes it started."""
    _signal_group(sidecar, signal.SIGKILL)


def pause_sidecar(sidecar: ProcessIdentity, *, paused: bool) -> None:
    """Stop a sidecar while its container is paused, or continue it."""
    _signal_group(sidecar, signal.SIGSTOP if paused else signal.SIGCONT)


def _signal_group(sidecar: ProcessIdentity, number: int) -> None:
    # While its leader is alive, the number of a process group is not reused.
    if sidecar.alive:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(sidecar.pid, number)
