"""Programs of this folder that stay when no engine is alive, each in a Python without anything."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from jupyter_containers.errors import NetworkError
from jupyter_containers.lazy_modules import subprocess

__all__ = ["launch"]

_LAUNCH = 'setsid "$@" </dev/null >/dev/null 2>&1 &'


def launch(program: str, words: Sequence[str], descriptors: Sequence[int]) -> None:
    """Start ``program``, a file of this folder, with descriptors that it inherits by number."""
    # Without whatever an interpreter loads by default: it stays as small as it can be.
    file = str(Path(__file__).with_name(program))
    argv = [sys.executable, "-I", "-S", file, *words]
    try:
        # Started by a shell that ends at once: init, not this process, reaps it.
        subprocess.run(
            ["/bin/sh", "-c", _LAUNCH, "sh", *argv],
            cwd="/",
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            pass_fds=descriptors,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise NetworkError(f"cannot start {program}: {error}") from error
