"""Runs a command by chroot(2), where no container can be made: in a pod without namespaces.

The command has its own root directory, user, session, limits, and fewer capabilities than this
process; processes, network and host name are this process's own.  It lacks CAP_SYS_CHROOT and
CAP_MKNOD, with which root leaves a changed root, and having fewer capabilities it can trace no
process of the engine.  It *can* send signals to every process of its user.

Lifecycle: :func:`refusal` tells whether it works here; :func:`run` starts :mod:`.chroot_program`,
delivers the output and returns after every process of the command has ended.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from jupyter_containers.errors import UnsupportedError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import subprocess
from jupyter_containers.runtime.failures import runtime_error
from jupyter_containers.runtime.pump import OutputSink, communicate
from jupyter_containers.runtime.security import CAPABILITY_NAMES, capability_names

# With these root finds a way out of its root directory.
WITHHELD = ("CAP_MKNOD", "CAP_SYS_CHROOT")
_NEEDED = ("CAP_CHOWN", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT")
_PROGRAM = Path(__file__).with_name("chroot_program.py")


@dataclass(frozen=True, slots=True)
class Outputs:
    """The FIFOs that are the command's standard output and error; they have names inside."""

    stdout: Path
    stderr: Path


def refusal(status: Path = Path("/proc/self/status")) -> UnsupportedError | None:
    """Return why this process cannot run commands by chroot, or None if it can."""
    lines = dict(line.partition(":")[::2] for line in status.read_text().splitlines())
    held = capability_names(int(lines["CapEff"], 16)) & capability_names(int(lines["CapBnd"], 16))
    missing = [name for name in _NEEDED if name not in held]
    if not missing and os.geteuid() == 0:
        return None
    reason = f"it lacks {missing[0]}" if missing else "it is not root's"
    return UnsupportedError(
        f"this process cannot run commands by chroot: {reason}",
        capability="chroot",
        provided_by="root with the usual capabilities of a container"
        " (in a pod: securityContext.runAsUser: 0)",
    )


def run(
    process: Mapping[str, Any],
    root: Path,
    outputs: Outputs,
    *,
    on_output: OutputSink,
    cancel: CancelToken | None = None,
) -> int:
    """Run ``process`` (of a runtime spec) in the folder ``root`` to its end; return its exit code.

    Raises :class:`OCIRuntimeError` if it could not be started, with the exit codes of runtimes.
    """
    request = _request(process, root)
    line, hold = os.pipe()
    complaints, complain = os.pipe()
    argv = [sys.executable, "-I", "-S", str(_PROGRAM), str(line), str(complain)]
    opened = [line, complain]
    try:
        reading = [os.open(path, os.O_RDONLY | os.O_NONBLOCK) for path in _names(outputs)]
        writing = [os.open(path, os.O_WRONLY) for path in _names(outputs)]
        opened += writing
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=writing[0],
            stderr=writing[1],
            pass_fds=(line, complain),
            start_new_session=True,
            cwd="/",
        )
    except BaseException:
        for one in (hold, complaints):
            os.close(one)
        raise
    finally:
        for one in opened:
            os.close(one)
    child.stdout, child.stderr = (os.fdopen(one, "rb", buffering=0) for one in reading)
    holding = os.fdopen(hold, "wb", buffering=0)
    try:
        with suppress(BrokenPipeError):  # its own end is reported below
            holding.write(len(request).to_bytes(8) + request)
        code = communicate(child, on_output=on_output, cancel=cancel, on_cancel=holding.close)
        os.set_blocking(complaints, False)
        message = _read_all(complaints)
    finally:
        holding.close()
        os.close(complaints)
    if message:
        raise runtime_error(message, operation="run", argv=argv, program=process["args"][0])
    return code


def _names(outputs: Outputs) -> tuple[Path, Path]:
    return outputs.stdout, outputs.stderr


def _request(process: Mapping[str, Any], root: Path) -> bytes:
    kept = process["capabilities"]["bounding"]
    mask = sum(1 << CAPABILITY_NAMES.index(name) for name in kept if name not in WITHHELD)
    return json.dumps(
        {
            "root": str(root),
            "args": process["args"],
            "env": process["env"],
            "cwd": process["cwd"],
            "user": process["user"],
            "rlimits": process["rlimits"],
            "noNewPrivileges": process["noNewPrivileges"],
            "capabilities": mask,
        }
    ).encode()


def _read_all(descriptor: int) -> str:
    with suppress(BlockingIOError):
        return os.read(descriptor, 8192).decode(errors="replace")
    return ""
