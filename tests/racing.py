"""A second process that swaps two names again and again, as a hostile container does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# argv: the name that the engine works on, the attacker's own name, and the target of its link
# (empty: both are swapped as they are).  Runs until it is killed.
SWAP = """
import ctypes, os, sys, time
place, mine, target = (os.fsencode(text) for text in sys.argv[1:4])
libc = ctypes.CDLL(None, use_errno=True)
print("ready", flush=True)
while True:
    if libc.syscall(ctypes.c_long(NUMBER), -100, place, -100, mine, 2) != 0:
        time.sleep(PAUSE)  # without, the folder's lock leaves the engine no turn
        continue
    if target and not os.path.islink(mine):
        try:
            os.unlink(mine)
        except IsADirectoryError:
            continue
        os.symlink(target, mine)
""".replace("NUMBER", "316 if os.uname().machine == 'x86_64' else 276").replace("PAUSE", "0.000001")


@contextmanager
def swapping(place: Path, mine: Path, target: str = "") -> Iterator[None]:
    """Exchange ``place`` and ``mine`` (renameat2) in another process while the block runs.

    With a ``target``, ``mine`` becomes a fresh link to it whenever something else came there.
    """
    command = [sys.executable, "-c", SWAP, str(place), str(mine), target]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield
        assert process.poll() is None, "the attacker died"
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
