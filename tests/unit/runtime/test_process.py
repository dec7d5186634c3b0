from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence

from jupyter_containers.runtime.process import ProcessIdentity, find_processes, kill_processes


def test_who_has_a_handler_for_a_signal() -> None:
    script = "import signal, time; signal.signal(signal.SIGUSR1, print); print(); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-uc", script], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        process = ProcessIdentity.of(child.pid)
        assert process is not None
        assert process.catches(signal.SIGUSR1)
        assert not process.catches(signal.SIGUSR2)
        child.kill()
    assert not process.catches(signal.SIGUSR1)


def test_processes_are_found_and_killed_by_their_arguments() -> None:
    mark = f"mark-{id(object())}"
    script = "import time; time.sleep(60)"

    def marked(words: Sequence[bytes]) -> bool:
        return words[-1] == mark.encode()

    with (
        subprocess.Popen([sys.executable, "-c", script, mark]) as one,
        subprocess.Popen([sys.executable, "-c", script, f"{mark}-other"]) as other,
    ):
        assert [process.pid for process in find_processes(marked)] == [one.pid]
        kill_processes(marked)
        assert find_processes(marked) == []
        assert one.wait() == -signal.SIGKILL
        assert other.poll() is None
        other.kill()
