"""A service for a ``with`` block: a database for an analysis, a server for a test.

Lifecycle: started by ``with`` → *ready* when its health check succeeds or, without one, when every
published TCP port accepts connections → removed with its anonymous volumes at the end of the block,
also after an error.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jupyter_containers.engine.interrupts import answered, deferred
from jupyter_containers.errors import (
    ContainerFailedError,
    ContainerNotFoundError,
    InvalidArgumentError,
    ServiceNotReadyError,
)
from jupyter_containers.lazy_modules import secrets, socket

if TYPE_CHECKING:
    from jupyter_containers.engine.backends import ContainerBackend
    from jupyter_containers.engine.containers.container import Container

Ports = int | str | Sequence[int | str] | Mapping[int, int]
_POLL_SECONDS, _CONNECT_SECONDS = 0.02, 0.5
_KEPT_SECONDS = 0.05
_TAIL_LINES = 10


class Service:
    """A container that serves a block; ``container`` is its handle within the block."""

    def __init__(
        self,
        containers: ContainerBackend,
        run: Callable[..., Any],
        ready: Callable[[Service], object] | None,
        timeout: float,
        name: str,
    ) -> None:
        self._containers, self._run = containers, run
        self._ready, self._timeout = ready, timeout
        self.name = name
        self._container: Container | None = None

    @property
    def container(self) -> Container:
        """The container; raises before the block."""
        if self._container is None:
            raise InvalidArgumentError(
                f"the service {self.name} has not begun",
                hint="with engine.workloads.service(…) as service:",
            )
        return self._container

    @property
    def ports(self) -> dict[int, int]:
        """The ports of this machine, by the container's ports."""
        return {port.container_port: port.host_port for port in self.container.record.ports}

    @property
    def host(self) -> str:
        """The address of this machine on which the first port is published."""
        published = self.container.record.ports
        address = published[0].host_ip if published else self.container.ip_address
        if not address or ipaddress.ip_address(address) == ipaddress.IPv4Address(0):
            return "127.0.0.1"
        return "::1" if ipaddress.ip_address(address).is_unspecified else address

    @property
    def port(self) -> int:
        """The port of this machine for the first published one."""
        if not self.ports:
            raise InvalidArgumentError(
                f"the service {self.name} publishes no port",
                hint="write ports=5432, a port of the container",
            )
        return next(iter(self.ports.values()))

    @property
    def address(self) -> str:
        """``host:port`` of the first published port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __enter__(self) -> Service:
        try:
            self._container = self._run(name=self.name)
            self._await()
        except KeyboardInterrupt as interrupt:
            self._remove(interrupt)
            raise answered(f"service was interrupted: {self.name} was removed") from interrupt
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def _remove(self, answering: BaseException | None = None) -> None:
        with deferred(answering), suppress(ContainerNotFoundError):
            self._containers.remove(self.name, force=True, volumes=True)

    def _await(self) -> None:
        deadline = time.monotonic() + self._timeout
        while not self._is_ready():
            status = self.container.reload().status
            if not status.up:
                raise ContainerFailedError(
                    f"the service {self.name} ended before it was ready"
                    f" (exit code {self.container.exit_code})",
                    exit_code=self.container.exit_code or 0,
                    log_tail=self._tail(),
                )
            if time.monotonic() > deadline:
                raise ServiceNotReadyError(
                    f"the service {self.name} was not ready after {self._timeout:g} s: "
                    f"{self._missing()}",
                    log_tail=self._tail(),
                    hint="raise it with timeout=",
                )
            time.sleep(_POLL_SECONDS)

    def _is_ready(self) -> bool:
        if self._ready is not None:
            return bool(self._ready(self))
        if health := self.container.health:
            return health == "healthy"
        return not self._closed_ports()

    def _closed_ports(self) -> list[int]:
        closed = []
        for port in self.container.record.ports:
            if port.protocol != "tcp":
                continue
            if not _answers(self.host, port.host_port):
                closed.append(port.container_port)
        return closed

    def _missing(self) -> str:
        if self._ready is not None:
            return "ready(…) returned False"
        if health := self.container.health:
            return f"its health is {health}"
        return f"nothing listens on port {', '.join(map(str, self._closed_ports()))}"

    def _tail(self) -> list[str]:
        lines = self.container.logs(tail=_TAIL_LINES)
        return [line.data.decode("utf-8", "replace").rstrip("\n") for line in lines]

    def __repr__(self) -> str:
        return f"<Service {self.name}: {self._container!r}>"


def published(ports: Ports) -> list[str]:
    """Return ``ports`` as values of ``--publish``; a container's port alone gets a free one.

    A mapping is from the container's ports to this machine's.
    """
    if isinstance(ports, (int, str)):
        return [str(ports)]
    if isinstance(ports, Mapping):
        return [f"{here}:{inside}" for inside, here in ports.items()]
    return [str(port) for port in ports]


def service_name(image: str) -> str:
    """Return a name for a service of an image: ``postgres-3f2a9c``."""
    last = image.rpartition("/")[2].partition(":")[0].partition("@")[0]
    return f"{last or 'service'}-{secrets.token_hex(3)}"


def _answers(host: str, port: int) -> bool:
    """Return whether a server accepts a connection and keeps it open.

    The relay of a user without root (slirp4netns) accepts every connection, and drops it if nothing
    listens in the container.
    """
    try:
        connection = socket.create_connection((host, port), _CONNECT_SECONDS)
    except OSError:
        return False
    with connection:
        connection.settimeout(_KEPT_SECONDS)
        try:
            return connection.recv(1) != b""
        except TimeoutError:
            return True  # the server waits for the client to speak first
        except OSError:
            return False
