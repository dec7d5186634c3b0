"""Fallbacks for limits without delegated control groups: limits of each process.

They are weaker, and the user is warned.  Only users without root get them: the machine's root can
have the real ones.
"""

from __future__ import annotations

import math
import os
import resource
from typing import Any

from jupyter_containers.options import RunOptions
from jupyter_containers.runtime.host import HostCapabilities

# The runtime's own process is under the limit until it becomes the container's.
_LEAST_DATA = 96 * 1024 * 1024


def needed(host: HostCapabilities, controller: str) -> bool:
    """True if a limit of the controller must be replaced by one for each process."""
    return not host.users.initial and controller not in host.cgroups.controllers


def memory_rlimits(options: RunOptions, host: HostCapabilities) -> list[dict[str, Any]]:
    """Return the entry of ``process.rlimits`` that replaces ``--memory``.

    RLIMIT_DATA counts a process's own data in memory, see setrlimit(2).
    """
    if not options.memory or not needed(host, "memory"):
        return []
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = max(options.memory, _LEAST_DATA)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    return [{"type": "RLIMIT_DATA", "soft": most, "hard": most}]


def processors(options: RunOptions, host: HostCapabilities) -> frozenset[int]:
    """Return the processors for a container with ``--cpus``; empty for all."""
    if not options.cpus or not needed(host, "cpu"):
        return frozenset()
    allowed = sorted(os.sched_getaffinity(0))
    count = min(len(allowed), math.ceil(options.cpus))
    # Not always the first ones: containers share the machine.
    first = int.from_bytes(os.urandom(2)) % len(allowed)
    return frozenset((allowed + allowed)[first : first + count])


def notices(options: RunOptions, host: HostCapabilities) -> list[str]:
    """Return the warnings for limits that are weaker than requested."""
    told = []
    if options.memory and needed(host, "memory"):
        told.append(
            "No control group is delegated to this user: --memory limits the data of each process"
            " (RLIMIT_DATA, 96m at least), not their total"
        )
    if options.cpus and needed(host, "cpu"):
        told.append(
            "No control group is delegated to this user: --cpus keeps the container to"
            f" {math.ceil(options.cpus)} of the processors, and gives it no share of them"
        )
    return told
