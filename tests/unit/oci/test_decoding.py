"""Documents as values, from several threads."""

from __future__ import annotations

import subprocess
import sys

# Classes as large as a request's body: two threads that prepare the same one met in most rounds.
_PROGRAM = """
import sys, threading
import msgspec
from jupyter_containers.oci.decoding import converted

sys.setswitchinterval(1e-6)
for number in range(60):
    names = [f"f{n}" for n in range(40)]
    inner = msgspec.defstruct("Inner", [(name, "list[dict[str, int]]", None) for name in names])
    kind = msgspec.defstruct("Kind", [(name, inner | None, None) for name in names])
    start = threading.Barrier(4)

    def work():
        start.wait()
        CONVERT({"f0": {}}, kind)

    threads = [threading.Thread(target=work) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
"""


def test_a_class_is_prepared_once_for_all_threads() -> None:
    """With ``msgspec.convert`` in place of ``converted`` the program ends with SIGSEGV."""
    program = _PROGRAM.replace("CONVERT", "converted")
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
