from __future__ import annotations

from pathlib import Path

from jupyter_containers.oci.process import start_time

REST = b" 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1000 10"


def test_the_start_time_whatever_the_program_is_called() -> None:
    assert start_time(b"7 (cat) S" + REST) == 4711
    assert start_time(b"7 (a) b) Z (c) R" + REST) == 4711
    assert start_time(b"7 (cat) Z" + REST) is None
    own = start_time(Path("/proc/self/stat").read_bytes())
    assert own is not None
    assert own > 0
