"""Output of a child that leaves another process behind."""

import subprocess
import time

from jupyter_containers.runtime.pump import communicate


def test_one_that_a_child_leaves_behind_may_write_on_and_on() -> None:
    child = subprocess.Popen(
        ["sh", "-c", "echo first; yes >&2 & sleep 0.1; echo last"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    seen: list[bytes] = []

    def note(stream: str, data: bytes) -> None:
        if stream == "stdout":
            seen.append(data)
        else:
            time.sleep(0.01)  # slower than it writes: the pipe is never empty

    assert communicate(child, on_output=note, on_cancel=child.kill) == 0
    assert b"".join(seen) == b"first\nlast\n"
