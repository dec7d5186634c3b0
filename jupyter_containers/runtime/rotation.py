"""Rotates logs: ``container.log`` is the newest, ``container.log.1`` the one before, and so on.

The monitor itself limits a single file.  For several, a sidecar checks the size (ten times a
second while the log grows fast, otherwise once), renames the full file and makes the monitor open a
new one: no line is lost, and a file may exceed the limit slightly.
"""

from __future__ import annotations

from pathlib import Path

from jupyter_containers.runtime.process import ProcessIdentity
from jupyter_containers.runtime.sidecar import start_sidecar

_SCRIPT = """
log=container.log pause=1
while sleep $pause; do
    alive || exit 0
    size=$(stat -c %s $log 2>/dev/null) || continue
    pause=1
    [ "$size" -gt "$1" ] || continue
    pause=0.1
    number=$(($2 - 1))
    while [ $number -gt 1 ]; do
        [ ! -e $log.$((number - 1)) ] || mv -f $log.$((number - 1)) $log.$number
        number=$((number - 1))
    done
    ln -f $log $log.1 && printf '2 0 0\\n' >ctl
done
"""


def start_rotation(
    bundle: Path, process: ProcessIdentity, *, max_bytes: int, files: int
) -> ProcessIdentity | None:
    """Start the sidecar that rotates the log of a running container."""
    return start_sidecar(_SCRIPT, bundle, process, [str(max_bytes), str(files)])
