"""Ports of the host, held by bound sockets while a container has them published.

A *reservation* is made before a container starts: each port is bound, so that it is free now and
nobody else can take it later; port 0 becomes a free port of the kernel's choice.  The sockets never
carry data, because the firewall translates packets before they reach a socket; but the kernel
routes nothing from ``::1``, so a relay accepts there (:mod:`.relay`).  Pass ``fds`` to the
container's monitor (``pass_fds``) and close the reservation: the ports are then held exactly as
long as the monitor lives, without a process of the engine.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from jupyter_containers.errors import (
    AlreadyExistsError,
    InvalidArgumentError,
    NetworkError,
)
from jupyter_containers.lazy_modules import socket
from jupyter_containers.network.model import PublishedPort
from jupyter_containers.network.programs import launch

__all__ = ["PortReservation", "is_relayed", "reserve"]


class PortReservation:
    """Bound sockets for ``ports``, whose host ports are all decided; a context manager."""

    __slots__ = ("_sockets", "ports")

    def __init__(self, ports: tuple[PublishedPort, ...], sockets: Iterable[socket.socket]) -> None:
        self.ports = ports
        self._sockets = list(sockets)

    @property
    def fds(self) -> tuple[int, ...]:
        """The descriptors to pass to the process that will hold the ports."""
        return tuple(sock.fileno() for sock in self._sockets)

    def relay(self, process: int) -> None:
        """Serve the ports of ``::1`` until the process of a pidfd has ended."""
        served = [
            (sock.fileno(), port)
            for sock, port in zip(self._sockets, self.ports, strict=False)
            if is_relayed(port)
        ]
        if served:
            words = [
                f"{number},{port.protocol},{port.container_ip},{port.container_port}"
                for number, port in served
            ]
            numbers = [number for number, _ in served]
            launch("relay.py", [str(process), *words], [process, *numbers])

    def close(self) -> None:
        """Close this process's copies of the sockets; inherited ones stay open."""
        while self._sockets:
            self._sockets.pop().close()

    def __enter__(self) -> PortReservation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_relayed(port: PublishedPort) -> bool:
    """Return whether a relay serves a port, as the packet filter cannot."""
    return ":" in port.host_ip and ipaddress.ip_address(port.host_ip).is_loopback


def reserve(
    ports: Iterable[PublishedPort], last: Mapping[PublishedPort, int] | None = None
) -> PortReservation:
    """Reserve all the ports in the calling thread's network namespace.

    A port with a number in ``last`` may be any from its own to that one.

    Raises :class:`AlreadyExistsError` if one is taken, :class:`InvalidArgumentError` if its address
    is not one of the host's; then none is held.
    """
    resolved: list[PublishedPort] = []
    sockets: list[socket.socket] = []
    try:
        for port in ports:
            bound = _bind_one(port, (last or {}).get(port, port.host_port))
            sockets.append(bound)
            number = bound.getsockname()[1]
            resolved.append(
                PublishedPort(
                    host_ip=port.host_ip,
                    host_port=number,
                    container_ip=port.container_ip,
                    container_port=port.container_port,
                    protocol=port.protocol,
                )
            )
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return PortReservation(tuple(resolved), sockets)


def _bind_one(port: PublishedPort, last: int) -> socket.socket:
    for number in range(port.host_port, last):
        with contextlib.suppress(AlreadyExistsError):
            return _bind(msgspec.structs.replace(port, host_port=number))
    wanted = msgspec.structs.replace(port, host_port=max(last, port.host_port))
    try:
        return _bind(wanted)
    except AlreadyExistsError as error:
        if holder := _holder(wanted):
            message = f"port {wanted.host_port} is already in use by {holder}"
            raise AlreadyExistsError(message, hint=error.hint) from error
        raise


def _holder(port: PublishedPort) -> str:
    """Return the program and process that use a port; empty if that is not visible.

    TCP ports that are bound without listening, such as reservations, have no line in the kernel's
    tables.
    """
    inodes = set()
    for table in (port.protocol, f"{port.protocol}6"):
        with contextlib.suppress(OSError):
            # proc_pid_net(5): local_address is the second field, inode the tenth.
            for line in Path(f"/proc/thread-self/net/{table}").read_text().splitlines()[1:]:
                words = line.split()
                if int(words[1].rpartition(":")[2], 16) == port.host_port and words[9] != "0":
                    inodes.add(f"socket:[{words[9]}]")
    for process in Path("/proc").glob("[1-9]*") if inodes else ():
        with contextlib.suppress(OSError):
            for number in os.listdir(process / "fd"):
                if os.readlink(process / "fd" / number) in inodes:
                    return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return ""


def _bind(port: PublishedPort) -> socket.socket:
    _check(port)
    try:
        return _bind_socket(port, reuse=False)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and port.protocol == "tcp":
            # Connections in TIME_WAIT, after a server of the host has ended, block a plain bind,
            # but not one with SO_REUSEADDR; that in turn must listen to be exclusive.
            try:
                return _bind_socket(port, reuse=True)
            except OSError:
                raise _failure(port, error) from error
        raise _failure(port, error) from error


def _bind_socket(port: PublishedPort, *, reuse: bool) -> socket.socket:
    kind = socket.SOCK_STREAM if port.protocol == "tcp" else socket.SOCK_DGRAM
    family = socket.AF_INET6 if ":" in port.host_ip else socket.AF_INET
    sock = socket.socket(family, kind | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if reuse:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((port.host_ip, port.host_port))
        if kind == socket.SOCK_STREAM and is_relayed(port):
            sock.listen(128)
        elif reuse:
            sock.listen(0)
    except BaseException:
        sock.close()
        raise
    return sock


def _check(port: PublishedPort) -> None:
    try:
        ipaddress.ip_address(port.host_ip)
    except ValueError as error:
        raise InvalidArgumentError(f"cannot publish on {port.host_ip!r}: not an address") from error


def _failure(port: PublishedPort, error: OSError) -> Exception:
    host = f"[{port.host_ip}]" if ":" in port.host_ip else port.host_ip
    place = f"{host}:{port.host_port}/{port.protocol}"
    if error.errno == errno.EADDRINUSE:
        return AlreadyExistsError(
            f"port {port.host_port} is already in use ({place})",
            hint=f"publish another port, or let one be chosen: -p {port.container_port}",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return InvalidArgumentError(
            f"cannot publish on {port.host_ip}: it is not an address of this host",
            hint="use 127.0.0.1, or 0.0.0.0 for every address",
        )
    return NetworkError(f"cannot hold port {place}: {error.strerror}")
