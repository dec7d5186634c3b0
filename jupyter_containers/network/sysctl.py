"""Kernel parameters under /proc/sys/net, in the calling thread's namespace."""

from __future__ import annotations

from contextlib import suppress

__all__ = ["leads_to_loopback", "read_sysctl", "write_sysctl"]


def read_sysctl(name: str) -> str:
    """Return the value of ``net.<name>`` (written with slashes: ``ipv4/ip_forward``)."""
    with open(f"/proc/sys/net/{name}") as file:
        return file.read().strip()


def write_sysctl(name: str, value: str) -> bool:
    """Set ``net.<name>``; return whether that changed it; raise OSError."""
    if read_sysctl(name) == value:
        return False
    with open(f"/proc/sys/net/{name}", "w") as file:
        file.write(value)
    return True


def leads_to_loopback(interface: str) -> bool:
    """Return whether ``route_localnet`` of an interface is on; False if it does not exist."""
    with suppress(OSError):
        return read_sysctl(f"ipv4/conf/{interface}/route_localnet") == "1"
    return False
