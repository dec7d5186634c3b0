"""Ports for tests, which run beside each other."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress

# Below those that the kernel gives to connections: any other test may be making one.
_FIRST, _COUNT = 20_000, 10_000


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody has, and nobody gets by chance."""
    while True:
        port = _FIRST + secrets.randbelow(_COUNT)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
