"""Rotates logs: ``container.log`` is the newest, ``container.log.1`` the one before, and so on.

The monitor itself limits a single file.  For several, a sidecar renames the full file and makes the
monitor open a new one: no line is lost.  If GNU's ``tail`` waits for the first byte beyond the
limit, that happens some milliseconds after it was written, otherwise within a second; the output of
a burst in between is then split into files of the right size, and the oldest are dropped.
:func:`finish` does the same for the last burst of a container that has ended.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from jupyter_containers.lazy_modules import subprocess
from jupyter_containers.runtime.oci_runtime import program_environment
from jupyter_containers.runtime.process import ProcessIdentity
from jupyter_containers.runtime.sidecar import start_sidecar

_NAME = "container.log"
# A file may exceed its limit by a quarter, or by one write of the monitor: 8 KiB and prefixes.
_SLACK = 4
_GRACE_SECONDS = 2.0
# $1 is the limit, $2 the number of files.
_FUNCTIONS = """
export LC_ALL=C
log=container.log max=$1 files=$2
allowed=$((max + max / 4))
too_long() { size=$(stat -c %s "$1" 2>/dev/null) && [ "$size" -gt "$2" ]; }
# move_up FROM BY: the files from number FROM on get numbers larger by BY; the oldest are dropped.
move_up() {
    number=$((files - 1))
    while [ $number -ge $1 ]; do
        if [ ! -e $log.$number ]; then :
        elif [ $((number + $2)) -lt $files ]; then mv -f $log.$number $log.$((number + $2))
        else rm -f $log.$number
        fi
        number=$((number - 1))
    done
}
# The file of number 1 becomes as many as its length asks for.
cut() {
    too_long $log.1 $allowed || return 0
    rm -f $log.cut*
    split -C $max -a 6 -d $log.1 $log.cut 2>/dev/null || { rm -f $log.cut*; return 0; }
    set -- $log.cut*
    while [ $# -ge $files ]; do rm -f "$1"; shift; done
    move_up 2 $(($# - 1))
    while [ $# -gt 0 ]; do mv -f "$1" $log.$#; shift; done
}
"""
_SCRIPT = (
    _FUNCTIONS
    + """
waits=
tail --version 2>/dev/null | grep -q GNU && waits=1
while alive; do
    if [ $waits ]; then tail -c +$((max + 1)) -f --pid=$pid $log 2>/dev/null | head -c 1 >/dev/null
    else sleep 1
    fi
    if ! too_long $log $max; then
        # Another file has its name, or there is none.
        [ ! $waits ] || sleep 0.1
        continue
    fi
    # From here on no names are left half changed: who ends this waits.
    trap '' TERM
    move_up 1 1
    ln -f $log $log.1 && printf '2 0 0\\n' >ctl
    turns=0
    while [ $log -ef $log.1 ] && [ $turns -lt 100 ]; do sleep 0.005; turns=$((turns + 1)); done
    [ $log -ef $log.1 ] || cut
    trap - TERM
done
"""
)
_FINISH = (
    _FUNCTIONS
    + """
move_up 1 1
mv -f $log $log.1 && (umask 077 && : >$log) && cut
"""
)


def start_rotation(
    bundle: Path, process: ProcessIdentity, *, max_bytes: int, files: int
) -> ProcessIdentity | None:
    """Start the sidecar that rotates the log of a running container."""
    return start_sidecar(_SCRIPT, bundle, process, [str(max_bytes), str(files)])


def finish(
    sidecars: Iterable[ProcessIdentity], bundle: Path, *, max_bytes: int, files: int
) -> None:
    """End the rotation of a container that has ended, and split the output of its last burst.

    The ``sidecars`` are asked to end; one that is just renaming files does so first.
    """
    for sidecar in sidecars:
        if sidecar.alive:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(sidecar.pid, signal.SIGTERM)
                os.killpg(sidecar.pid, signal.SIGCONT)  # it is stopped if the container was paused
            sidecar.wait(timeout=_GRACE_SECONDS)
    try:
        length = (bundle / _NAME).stat().st_size
    except FileNotFoundError:
        return
    if length > max_bytes + max_bytes // _SLACK:
        subprocess.run(
            ["/bin/sh", "-c", _FINISH, "sh", str(max_bytes), str(files)],
            cwd=bundle,
            env=program_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
