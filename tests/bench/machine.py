"""Which machine and which versions a table belongs to."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path

from jupyter_containers.version import __version__


def machine_line(docker_version: str) -> str:
    """Return one line about the machine, the versions and the day."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    parts = [
        f"{os.cpu_count()} CPUs ({_cpu()})",
        f"{memory:.0f} GiB",
        f"{_system()}, Linux {platform.release()}",
        f"Python {platform.python_version()}",
        f"jupyter-containers-engine {__version__}",
        f"Docker {docker_version}",
        _first("runc", "--version"),
        _first("conmon", "--version"),
        f"load {os.getloadavg()[0]:.1f}",
        time.strftime("%Y-%m-%d"),
    ]
    return " · ".join(part for part in parts if part)


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _system() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")


def _first(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.partition("\n")[0].replace(" version", "")
