"""Ports for tests that run in parallel."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress

# Below the kernel's range for outgoing connections, which other tests may open at any time.
_FIRST, _COUNT = 20_000, 10_000


def free_port() -> int:
    """Return a free TCP port of 127.0.0.1 that no other process gets by chance."""
    while True:
        port = _FIRST + secrets.randbelow(_COUNT)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
