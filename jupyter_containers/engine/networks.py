"""Networks by name, and the connection of one container to one of them.

The default network ``bridge`` is made when the first container needs it.  ``host`` and ``none``
are words, not records.  A *connection* is what a starting container holds: an open network
namespace, its endpoint and its reserved ports.  Addresses are taken by inserting a record under
the unique name ``network/address``, so that any number of kernels can start containers at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from jupyter_containers.engine.naming import new_id
from jupyter_containers.engine.records import ContainerRecord, EndpointRecord
from jupyter_containers.engine.rooms import Rooms
from jupyter_containers.errors import (
    AlreadyExistsError,
    InUseError,
    InvalidArgumentError,
    NetworkNotFoundError,
    StorageError,
)
from jupyter_containers.network.allocation import (
    allocate_endpoint,
    bridge_interface,
    check_subnet,
    choose_subnet,
    gateway_of,
)
from jupyter_containers.network.model import Endpoint, Network, PublishedPort
from jupyter_containers.network.namespace import NetworkNamespace
from jupyter_containers.network.ports import PortReservation, reserve
from jupyter_containers.options.values import PortMapping, check_name, parse_publish
from jupyter_containers.store.faults import finishing

DEFAULT = "bridge"
WORDS = ("host", "none")


@dataclass(slots=True)
class Connection:
    """What a starting container has of the network; close it once the container holds its own."""

    mode: str
    namespace: NetworkNamespace | None = None
    endpoint: Endpoint | None = None
    network: Network | None = None
    reservation: PortReservation | None = None

    @property
    def ports(self) -> tuple[PublishedPort, ...]:
        """The published ports with all numbers decided."""
        return self.reservation.ports if self.reservation else ()

    def close(self) -> None:
        """Give up our descriptors of namespace and ports."""
        if self.namespace is not None:
            self.namespace.close()
        if self.reservation is not None:
            self.reservation.close()


class Networks:
    """The bridge networks of one store."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def all(self) -> list[Network]:
        """Return the bridge networks, the default one first."""
        self.default()
        return sorted(self._rooms.networks.all(), key=lambda item: item.name != DEFAULT)

    def is_default(self, network_id: str) -> bool:
        """Return whether this is the network ``bridge``, on which there are no names."""
        network = self._rooms.networks.by_name(DEFAULT)
        return network is not None and network.id == network_id

    def removable(self) -> list[Network]:
        """Return the networks that people made."""
        return [item for item in self._rooms.networks.all() if item.name != DEFAULT]

    def find(self, text: str) -> Network:
        """Return the network that a name, ID or unique ID prefix means."""
        if text == DEFAULT:
            return self.default()
        network = self._rooms.networks.find(text)
        if network is None:
            names = [item.name for item in self._rooms.networks.all()]
            raise NetworkNotFoundError(
                f"no such network: {text}",
                hint=f"known networks: {', '.join(dict.fromkeys((DEFAULT, *WORDS, *names)))}",
            )
        return network

    def default(self) -> Network:
        """Return the network ``bridge``, made now if it is not there yet."""
        network = self._rooms.networks.by_name(DEFAULT)
        if network is not None:
            return network
        try:
            return self._create(DEFAULT, interface=self._rooms.bridge_name)
        except AlreadyExistsError:
            network = self._rooms.networks.by_name(DEFAULT)
            if network is None:
                raise
            return network

    def create(
        self,
        name: str,
        *,
        subnet: str = "",
        gateway: str = "",
        internal: bool = False,
        labels: dict[str, str] | None = None,
    ) -> Network:
        """Return a new network; its bridge is made when the first container joins.

        Raises :class:`AlreadyExistsError` for a name or subnet that is taken.
        """
        check_name(name, "network")
        if name in WORDS:
            raise InvalidArgumentError(f"the name {name} means one of the predefined networks")
        return self._create(
            name, subnet=subnet, gateway=gateway, internal=internal, labels=labels or {}
        )

    def _create(
        self,
        name: str,
        *,
        interface: str = "",
        subnet: str = "",
        gateway: str = "",
        internal: bool = False,
        labels: dict[str, str] | None = None,
    ) -> Network:
        rooms, network_id = self._rooms, new_id()
        with rooms.store.locks.hold("networks"):
            used = [item.subnet for item in rooms.networks.all()]
            routes = rooms.bridge.host_routes()
            chosen = (
                check_subnet(subnet, used, routes)
                if subnet
                else choose_subnet(rooms.subnet_pool, used, routes)
            )
            network = Network(
                id=network_id,
                name=name,
                interface=interface or bridge_interface(network_id),
                subnet=chosen,
                gateway=gateway or gateway_of(chosen),
                internal=internal,
                mtu=rooms.bridge.uplink_mtu(),
                created=_now(),
                labels=labels or {},
            )
            rooms.networks.insert(network_id, name, network)
        return network

    def remove(self, text: str, members: Iterable[str]) -> None:
        """Remove a network; ``members`` are the names of containers that use it.

        Raises :class:`InUseError` while there are any.
        """
        network = self.find(text)
        if network.name == DEFAULT:
            raise InvalidArgumentError("the network bridge is predefined and cannot be removed")
        used_by = list(members)
        if used_by:
            raise InUseError(
                f"network {network.name} is used by container {used_by[0]}",
                hint=f"remove it first: rm -f {used_by[0]}",
            )
        with self._rooms.store.locks.hold("networks"):
            self._rooms.bridge.remove_bridge(network)
            self._rooms.networks.delete(network.id)

    @contextmanager
    def connecting(self, record: ContainerRecord) -> Iterator[Connection]:
        """Give a container its network for the time of its start.

        When the block fails, address, ports and interface are given back; when it succeeds,
        :meth:`disconnect` does that later.  Raises :class:`AlreadyExistsError` for a taken port.
        """
        mode = record.options.network
        if mode in WORDS:
            yield Connection(mode)
            return
        network = self.find(mode)
        connection = Connection("bridge", network=network)
        try:
            connection.endpoint = self._take_address(network, record)
            connection.namespace = NetworkNamespace.create()
            self._ensure(network)
            self._rooms.bridge.attach(connection.namespace, connection.endpoint, network)
            wanted = self._wanted_ports(record, connection.endpoint)
            if wanted:
                connection.reservation = self._reserve(wanted)
                self._rooms.firewall.publish(record.id, connection.reservation.ports)
            yield connection
        except BaseException:
            connection.close()
            # A full disk must not hide what went wrong first; the sweep gives back the address.
            with suppress(StorageError):
                self.disconnect(record.id, connection.endpoint, connection.ports)
            raise
        connection.close()

    @contextmanager
    def temporary(self, owner_id: str, mode: str) -> Iterator[NetworkNamespace | None]:
        """Give a build step a network; everything is given back at the end of the block."""
        if mode in WORDS:
            yield None
            return
        network = self.find("bridge" if mode == "default" else mode)
        endpoint = self._claim(network, owner_id, ())
        with (
            finishing(lambda: self.disconnect(owner_id, endpoint, ())),
            NetworkNamespace.create() as namespace,
        ):
            self._ensure(network)
            self._rooms.bridge.attach(namespace, endpoint, network)
            yield namespace

    def disconnect(
        self, container_id: str, endpoint: Endpoint | None, ports: tuple[PublishedPort, ...]
    ) -> None:
        """Give back what a container had of the network; idempotent.

        The veth pair goes with the container's namespace, so nothing waits for it here.
        """
        if ports:
            self._rooms.firewall.unpublish(container_id)
        if endpoint is not None:
            held = self._rooms.endpoints.by_name(f"{endpoint.network_id}/{endpoint.address}")
            if held is not None and held.container_id == container_id:
                self._rooms.endpoints.delete(held.id)

    def _ensure(self, network: Network) -> None:
        """Make bridge and rules; publish anew what a flush of the host's firewall took away."""
        status = self._rooms.bridge.ensure_bridge(network)
        if not status.rules_written:
            return
        for record in self._rooms.containers.all():
            if record.ports and record.state.status.alive:
                self._rooms.firewall.publish(record.id, record.ports)

    def _take_address(self, network: Network, record: ContainerRecord) -> Endpoint:
        aliases = (record.id[:12],) if network.name == DEFAULT else (record.name, record.id[:12])
        return self._claim(network, record.id, aliases)

    def _claim(self, network: Network, container_id: str, aliases: tuple[str, ...]) -> Endpoint:
        rooms = self._rooms
        while True:
            held = [item for item in rooms.endpoints.all() if item.network_id == network.id]
            endpoint = allocate_endpoint(
                network,
                container_id,
                [item.address for item in held],
                after=held[-1].address if held else "",
                aliases=aliases,
            )
            claim = EndpointRecord(
                new_id(), container_id, network.id, endpoint.address, rooms.process
            )
            try:
                rooms.endpoints.insert(claim.id, f"{network.id}/{endpoint.address}", claim)
            except AlreadyExistsError:
                continue  # another kernel took the same address in this very moment
            return endpoint

    def _wanted_ports(self, record: ContainerRecord, endpoint: Endpoint) -> list[PublishedPort]:
        options = record.options
        mappings = list(options.publish)
        if options.publish_all:
            exposed = dict.fromkeys((*record.config.exposed_ports, *options.expose))
            for text in exposed:
                mappings.extend(parse_publish(text))
        return [self._port(mapping, endpoint) for mapping in mappings]

    def _port(self, mapping: PortMapping, endpoint: Endpoint) -> PublishedPort:
        return PublishedPort(
            host_ip=mapping.host_ip or self._rooms.settings.publish_address,
            host_port=mapping.host_port,
            container_ip=endpoint.address,
            container_port=mapping.container_port,
            protocol=mapping.protocol,
        )

    def _reserve(self, wanted: list[PublishedPort]) -> PortReservation:
        try:
            return reserve(wanted)
        except AlreadyExistsError as error:
            for record in self._rooms.containers.all():
                taken = {port.host_port for port in record.ports} & {
                    port.host_port for port in wanted
                }
                if record.state.status.alive and taken:
                    raise AlreadyExistsError(
                        f"port {min(taken)} is already published by container {record.name}",
                        hint=f"stop {record.name} first, or publish another port",
                    ) from error
            raise


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
