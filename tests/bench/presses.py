"""The stop button: from the interrupt of a real kernel to the cell's end, clean-up included."""

from __future__ import annotations

import os
import queue
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bench.turns import Series

_QUIET = "run --rm --network none bench/busybox"
CELLS = {
    "`run`": f"%container {_QUIET} sleep 600",
    "a flood of output": f"%container {_QUIET} yes",
    "`build`": "%%dockerfile --no-cache\nFROM bench/busybox\nRUN sleep 600",
    "a noisy `build`": "%%dockerfile --no-cache\nFROM bench/busybox\nRUN yes",
    "`logs -f`": "%container logs -f ticking",
    "`map`": "%container map --over items --network none bench/busybox sleep",
    "`stop`": "%container stop -t 60 ticking",
    "a `service` that is waited for": "from jupyter_containers import Engine\n"
    "with Engine().service('bench/busybox', ['sleep', '600'], ports=80): pass",
}
_BEGIN = (
    "%load_ext jupyter_containers\n"
    "items = [600] * 8\n"
    "%container run -d --name ticking --network none bench/busybox sleep 600\n"
    f"%container {_QUIET} true"
)
_RUNS_SECONDS = 1.0  # until the work to interrupt has begun


def answers(root: Path, run_root: Path, *, rounds: int) -> dict[str, Series]:
    """Return the seconds until each cell had ended after the kernel was interrupted."""
    from jupyter_client.manager import start_new_kernel

    environment = {
        **os.environ,
        "JUPYTER_CONTAINERS_ROOT": str(root),
        "JUPYTER_CONTAINERS_RUN_ROOT": str(run_root),
    }
    manager, client = start_new_kernel(
        kernel_name="python3", env=environment, stderr=subprocess.DEVNULL
    )
    try:
        client.execute_interactive(_BEGIN, output_hook=_ignore, timeout=60)
        return {
            name: Series(tuple(_answer(manager, client, source) for _ in range(rounds)))
            for name, source in CELLS.items()
        }
    finally:
        end = "%container rm -f ticking"
        client.execute_interactive(end, output_hook=_ignore, timeout=60)
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def _ignore(message: Mapping[str, Any]) -> None:
    """Receive an output and ignore it."""


def _answer(manager: Any, client: Any, source: str) -> float:
    identity, began, pressed, said = client.execute(source), time.perf_counter(), 0.0, ""
    while True:
        if not pressed and time.perf_counter() - began > _RUNS_SECONDS:
            pressed = time.perf_counter()
            manager.interrupt_kernel()
        try:
            message = client.get_iopub_msg(timeout=0.01)
        except queue.Empty:
            continue
        if message["parent_header"].get("msg_id") != identity:
            continue
        content = message["content"]
        said = "\n".join(content.get("traceback", ())) or said
        if content.get("execution_state") == "idle":
            break
    if not pressed or "was interrupted" not in said:
        raise RuntimeError(f"the cell was not interrupted: {said or 'it ended by itself'}")
    return time.perf_counter() - pressed
