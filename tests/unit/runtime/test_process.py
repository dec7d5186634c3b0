from __future__ import annotations

import signal
import subprocess
import sys

from jupyter_containers.runtime.process import ProcessIdentity


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
