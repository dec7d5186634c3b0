from __future__ import annotations

import os
import subprocess
import sys

from jupyter_containers.store.owner import Owner

FORK = """
import os
from jupyter_containers.store.owner import Owner
before = Owner.current()
child = os.fork()
if child == 0:
    mine = Owner.current()
    os._exit(0 if mine.pid == os.getpid() and mine.alive and mine != before else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_the_current_owner_is_this_process() -> None:
    owner = Owner.current()
    assert owner.pid == os.getpid()
    assert owner.alive
    assert Owner.parse(str(owner)) == owner


def test_a_forked_child_is_another_owner() -> None:
    """Seen to fail without the handler that forgets the cached owner after a fork."""
    assert subprocess.run([sys.executable, "-c", FORK], check=False).returncode == 0
