"""The cost of loading the extension in a real kernel."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.bench.turns import Series

_LOAD = """
import json, time
def _resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6
_shell, _before, _begin = get_ipython(), _resident(), time.perf_counter()
_shell.run_line_magic("load_ext", "jupyter_containers")
_loaded = time.perf_counter()
_shell.run_line_magic("container", "ps")
_ready = time.perf_counter()
_shell.run_line_magic("container", "run --rm --network none bench/busybox true")
print("BENCH" + json.dumps([_loaded - _begin, _ready - _loaded, _resident() - _before]))
"""


def loading(root: Path, run_root: Path, *, rounds: int) -> tuple[Series, Series, Series]:
    """Return seconds of ``%load_ext``, of the first ``%container ps``, and megabytes added."""
    found = [_one(root, run_root) for _ in range(-1, rounds)][1:]
    columns = list(zip(*found, strict=True))
    first, second, third = (Series(tuple(column)) for column in columns)
    return first, second, third


def _one(root: Path, run_root: Path) -> list[float]:
    from jupyter_client.manager import start_new_kernel

    environment = {
        **os.environ,
        "JUPYTER_CONTAINERS_ROOT": str(root),
        "JUPYTER_CONTAINERS_RUN_ROOT": str(run_root),
    }
    manager, client = start_new_kernel(
        kernel_name="python3", env=environment, stderr=subprocess.DEVNULL
    )
    said: list[str] = []

    def collect(message: dict[str, object]) -> None:
        content = message["content"]
        assert isinstance(content, dict)
        said.append(str(content.get("text", "") or "\n".join(content.get("traceback", []))))

    try:
        client.execute_interactive(_LOAD, output_hook=collect, timeout=60)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    text = "".join(said)
    if "BENCH" not in text:
        raise RuntimeError(f"the kernel did not measure anything:\n{text[-2000:]}")
    values = json.loads(text.partition("BENCH")[2].splitlines()[0])
    return [float(value) for value in values]
