"""The containers that the name server of this store's networks answers.

Containers in a user-defined network have 127.0.0.11 in their resolv.conf, as with Docker.  At a
start, the sockets are opened while the runtime creates the container, and passed to the name server
once its process exists.  A name server that was killed is restarted by the next start in such a
network, or by the sweep of any engine, and receives all containers again.

If other servers are given (``--dns``) that only the container can reach (of a user without root, or
in internal networks only), it queries them itself, and finds other containers in its hosts file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.name_files import open_hosts
from jupyter_containers.engine.networks.catalog import Networks
from jupyter_containers.engine.records import ContainerRecord
from jupyter_containers.errors import ContainersError
from jupyter_containers.network.model import Endpoint
from jupyter_containers.network.namespace import NetworkNamespace
from jupyter_containers.network.resolver import NameService, ResolverSockets
from jupyter_containers.oci.state import Status


class Names:
    """The name server of one store's networks."""

    def __init__(self, context: EngineContext, networks: Networks) -> None:
        self._context, self._networks = context, networks
        self._folders = context.settings.layout.containers.resolve()
        self._service = NameService(
            context.settings.layout.names, context.settings.layout.names_lock
        )

    def answers(self, record: ContainerRecord, endpoints: Sequence[Endpoint]) -> bool:
        """Return whether a container with these endpoints uses the name server."""
        if all(self._networks.is_default(endpoint.network_id) for endpoint in endpoints):
            return False
        reachable = self._context.host.users.initial and _routed(endpoints)
        return reachable or not record.options.dns

    def hand_over(self, record: ContainerRecord, sockets: ResolverSockets) -> None:
        """Pass a container's sockets to the name server, once its process exists."""
        if not self._give(record, sockets):
            self.restore(apart=record.id)

    def update(self, record: ContainerRecord) -> None:
        """Tell the name server that a running container joined or left a network."""
        if record.state.status.alive and self.answers(record, record.endpoints):
            self._service.hand_over(record.id, _servers(record), self._names_of(record))

    def look(self) -> None:
        """Restart the name server if it was killed."""
        if self._service.known and not self._service.alive and self._served():
            self.restore()

    def restore(self, apart: str = "") -> None:
        """Pass all running containers, except one, to a new name server."""
        with self._context.store.locks.hold("names"):
            for record in self._served():
                process = record.state.process
                # A container that has just ended needs no names.
                if record.id != apart and process is not None:
                    with suppress(ContainersError, OSError):
                        with NetworkNamespace.from_pid(process.pid) as namespace:
                            sockets = ResolverSockets.open(namespace)
                        try:
                            self._give(record, sockets)
                        finally:
                            sockets.close()

    def _served(self) -> list[ContainerRecord]:
        return [
            record
            for record in self._context.containers.all()
            if record.state.status in (Status.RUNNING, Status.PAUSED)
            and self.answers(record, record.endpoints)
        ]

    def _names_of(self, record: ContainerRecord) -> list[str]:
        found = (self._context.networks.get(endpoint.network_id) for endpoint in record.endpoints)
        return [network.name for network in found if network is not None]

    def _give(self, record: ContainerRecord, sockets: ResolverSockets) -> bool:
        """Pass one container to the server; return False if the server had to be started."""
        process = record.state.process
        descriptor = process.open() if process is not None else None
        if descriptor is None:
            return True  # it has ended
        try:
            writable = open_hosts(f"{self._folders}/{record.id}")
            try:
                hosts = os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)
            finally:
                os.close(writable)
            try:
                return self._service.hand_over(
                    record.id,
                    _servers(record),
                    self._names_of(record),
                    sockets,
                    process=descriptor,
                    hosts=hosts,
                )
            finally:
                os.close(hosts)
        finally:
            os.close(descriptor)


def _servers(record: ContainerRecord) -> tuple[str, ...] | None:
    """Return the servers for external names; None for the host's, if none are given.

    A container that is only in internal networks has none: its queries would leave them.
    """
    return record.options.dns if _routed(record.endpoints) else None


def _routed(endpoints: Sequence[Endpoint]) -> bool:
    return any(endpoint.gateway for endpoint in endpoints)
