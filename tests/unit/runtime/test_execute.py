from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from jupyter_containers.runtime.execute import sweep_scratch
from jupyter_containers.runtime.process import ProcessIdentity


def test_files_of_execs_go_with_their_maker_and_monitor(tmp_path: Path) -> None:
    """Without the sweep the bundle of a container keeps a folder for each exec that was killed."""
    me = ProcessIdentity.of(os.getpid())
    assert me is not None
    with subprocess.Popen([sys.executable, "-c", "pass"]) as ended:
        pass
    own, dead = f"exec-{me.pid}-{me.start_time}-a", f"exec-{ended.pid}-1"
    for name in (own, f"{dead}-old", f"{dead}-young", f"{dead}-detached", "health"):
        (tmp_path / name).mkdir()
    (tmp_path / f"{dead}-detached/conmon.pid").write_text(str(os.getpid()))
    for name in (own, f"{dead}-old", f"{dead}-detached"):
        os.utime(tmp_path / name, (0, 0))
    sweep_scratch(tmp_path)
    left = sorted(os.listdir(tmp_path))
    assert left == sorted([own, f"{dead}-young", f"{dead}-detached", "health"])
    sweep_scratch(tmp_path / "removed")
