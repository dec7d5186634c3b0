"""Small processes that stay beside a container when no engine is alive.

A *companion* is a shell script of ours with a session of its own: it watches one container, keeps
files in the bundle, and ends when the container's first process has ended (or when it is told to).
A shell takes a tenth of an interpreter's memory.  Nothing of an image reaches the script: programs
and arguments come from the engine as positional parameters, an image's command as a JSON file.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from jupyter_containers.errors import OCIRuntimeError
from jupyter_containers.runtime.oci_runtime import program_environment
from jupyter_containers.runtime.process import ProcessIdentity, find_processes

# alive: the process $pid that started at $born (proc(5), field 22) is there and no zombie.
ALIVE = """
alive() {
    read -r stat 2>/dev/null </proc/$pid/stat || return 1
    set -- ${stat##*) }
    [ "${20}" = "$born" ] && [ "$1" != Z ]
}
"""


def start_companion(
    script: str, folder: Path, process: ProcessIdentity, arguments: Sequence[str]
) -> ProcessIdentity | None:
    """Return the started companion of the container whose first process is ``process``.

    The script runs in ``folder`` with ``$pid`` and ``$born`` set and ``arguments`` as ``$1`` ….
    """
    text = f"{_opening(process)}{ALIVE}{script}"
    # Started by a shell that ends at once: init, not this process, is then the one to reap it.
    launch = 'setsid sh -c "$@" </dev/null >/dev/null 2>&1 & echo $!'
    argv = ["/bin/sh", "-c", launch, "sh", text, "companion", *arguments]
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
        raise OCIRuntimeError(f"cannot start a companion process: {error}", argv=argv) from error
    return ProcessIdentity.of(int(done.stdout))


def end_companions(process: ProcessIdentity) -> None:
    """End all companions of the container whose first process is ``process``, recorded or not."""
    opening = os.fsencode(_opening(process))
    for companion in find_processes(lambda words: any(word.startswith(opening) for word in words)):
        end_companion(companion)


def _opening(process: ProcessIdentity) -> str:
    """Return how the script of a companion begins: it tells whose companion it is."""
    return f"pid={process.pid} born={process.start_time}\n"


def end_companion(companion: ProcessIdentity) -> None:
    """End a companion with all that it started."""
    _signal_group(companion, signal.SIGKILL)


def hold_companion(companion: ProcessIdentity, *, still: bool) -> None:
    """Let a companion rest while its container is paused, or go on."""
    _signal_group(companion, signal.SIGSTOP if still else signal.SIGCONT)


def _signal_group(companion: ProcessIdentity, number: int) -> None:
    # A live leader keeps its group's number from being used again.
    if companion.alive:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(companion.pid, number)
