"""Connections of containers to networks: at their start, at their end, and while they run.

A *connection* has the network resources of a starting container: an open network namespace, its
endpoints and its reserved ports.  Addresses are reserved by inserting a record under the unique
name ``network/address``, so that any number of kernels can start containers at once.  The links
themselves are created in a thread while the runtime creates the container.

As with Docker, ports are published to the endpoint that has the default route; a container that is
only in internal networks publishes nothing.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import msgspec

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.naming import STEP_PREFIX, new_id
from jupyter_containers.engine.networks.catalog import Networks
from jupyter_containers.engine.networks.host_names import Hostnames
from jupyter_containers.engine.networks.name_service import Names
from jupyter_containers.engine.peers import joined
from jupyter_containers.engine.records import ContainerRecord, EndpointRecord
from jupyter_containers.errors import (
    AlreadyExistsError,
    ConflictError,
    ContainersError,
    InvalidStateError,
    NetworkNotFoundError,
    StorageError,
)
from jupyter_containers.lazy_dataclasses import dataclass, field, replace
from jupyter_containers.network.allocation import allocate_endpoint
from jupyter_containers.network.model import Endpoint, Network, PublishedPort
from jupyter_containers.network.namespace import NetworkNamespace
from jupyter_containers.network.ports import PortReservation, is_relayed, reserve
from jupyter_containers.network.resolver import ResolverSockets
from jupyter_containers.network.usermode import host_address
from jupyter_containers.options.network import MODES, OF_CONTAINER, NetworkRequest
from jupyter_containers.options.values import PortMapping, parse_publish
from jupyter_containers.runtime.process import ProcessIdentity
from jupyter_containers.store.faults import finishing


@dataclass(slots=True)
class Connection:
    """The network resources of a starting container; close it once the container has its own.

    ``mode`` is host, none, container (then ``target`` is the container that has the network) or
    bridge.
    """

    mode: str
    namespace: NetworkNamespace | None = None
    endpoints: tuple[Endpoint, ...] = ()
    reservation: PortReservation | None = None
    target: ContainerRecord | None = None
    # Its sockets for name queries, if it uses the name server of its networks.
    sockets: ResolverSockets | None = None
    named: bool = False
    _work: threading.Thread | None = None
    _handing: threading.Thread | None = None
    _failures: list[BaseException] = field(default_factory=list)

    @property
    def ports(self) -> tuple[PublishedPort, ...]:
        """The published ports with their final numbers."""
        return self.reservation.ports if self.reservation else ()

    def begin(self, work: Callable[[], None]) -> None:
        """Run the work in another thread; :meth:`finish` raises its error."""

        def caught() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001  # raised by finish()
                self._failures.append(error)

        self._work = threading.Thread(target=caught, name="network-setup", daemon=True)
        self._work.start()

    def finish(self) -> None:
        """Wait until all links are up; raise the error of the work."""
        if self._work is not None:
            self._work.join()
        if self._failures:
            raise self._failures[0]

    def relay(self, process: ProcessIdentity | None) -> None:
        """Relay the ports that the packet filter cannot forward."""
        descriptor = process.open() if process is not None and self.reservation else None
        if descriptor is not None:
            assert self.reservation is not None  # as above
            try:
                self.reservation.relay(descriptor)
            finally:
                os.close(descriptor)

    def hand_over(self, give: Callable[[ResolverSockets], None]) -> None:
        """Run ``give``, for the name server, in a thread; :meth:`close` waits for it."""
        if self.sockets is not None:
            self._handing = threading.Thread(
                target=_try_hand_over, args=(give, self.sockets), daemon=True
            )
            self._handing.start()

    def close(self) -> None:
        """Close this process's descriptors of namespace and ports."""
        if self._work is not None:
            self._work.join()
        if self._handing is not None:
            self._handing.join()
        if self.sockets is not None:
            self.sockets.close()
        if self.namespace is not None:
            self.namespace.close()
        if self.reservation is not None:
            self.reservation.close()


class Connections:
    """The connections of one store's containers."""

    def __init__(self, context: EngineContext, networks: Networks) -> None:
        self._context, self._networks = context, networks
        self.hostnames = Hostnames(context, networks)
        self.names = Names(context, networks)

    @contextmanager
    def connecting(self, record: ContainerRecord) -> Iterator[Connection]:
        """Connect a container to its networks during its start.

        If the block fails, addresses, ports and interfaces are released; if it succeeds,
        :meth:`release` does that later.  Raises :class:`AlreadyExistsError` for a port in use.
        """
        mode = record.networks[0].name if record.networks else "none"
        if mode in MODES:
            yield Connection(mode)
            return
        if mode.startswith(OF_CONTAINER):
            yield from self._joining(mode)
            return
        connection = Connection("bridge")
        try:
            self._open(record, connection)
            yield connection
        except BaseException:
            connection.close()
            # A full disk must not hide the first error; the sweep releases the address.
            with suppress(StorageError):
                self.release(record.id, connection.endpoints, connection.ports)
            raise
        connection.close()

    def _joining(self, mode: str) -> Iterator[Connection]:
        target = joined(self._context, mode, "network")
        if target.networks and target.networks[0].name == "host":
            yield Connection("host", target=target)
            return
        assert target.state.process is not None  # joined() has verified that it runs
        with NetworkNamespace.from_pid(target.state.process.pid) as namespace:
            yield Connection("container", namespace=namespace, target=target)

    def _open(self, record: ContainerRecord, connection: Connection) -> None:
        wanted = [(request, self._networks.find(request.name)) for request in record.networks]
        for number, (request, network) in enumerate(wanted):
            endpoint = self._claim(network, record, request, f"eth{number}")
            connection.endpoints = (*connection.endpoints, endpoint)
        networks = [network for _, network in wanted]
        routed = self.routed(connection.endpoints, networks)
        ports, last = self._wanted_ports(record, routed, networks)
        if ports:
            connection.reservation = self._reserve(ports, last)
            if self._context.firewall.holds_ports:
                connection.reservation.close()
        namespace = connection.namespace = NetworkNamespace.create()
        connection.named = self.names.answers(record, connection.endpoints)

        def work() -> None:
            for endpoint, network in zip(connection.endpoints, networks, strict=True):
                self._ensure(network)
                self._context.bridge.attach(
                    namespace, endpoint, network, default_route=endpoint is routed
                )
            if connection.named:
                connection.sockets = ResolverSockets.open(namespace)
            if connection.ports:
                self._publish(record.id, connection.ports, networks)
            self.hostnames.refresh_all({network.id for network in networks})
            for network in networks:
                self._networks.note(network, "connect", record.id)

        connection.begin(work)

    @contextmanager
    def temporary(self, owner_id: str, mode: str) -> Iterator[NetworkNamespace | None]:
        """Connect a build step to a network for the duration of the block."""
        if mode in MODES:
            yield None
            return
        network = self._networks.find("bridge" if mode == "default" else mode)
        endpoint = self._take(network, owner_id, NetworkRequest(network.name))
        with (
            finishing(lambda: self.release(owner_id, (endpoint,), ())),
            NetworkNamespace.create() as namespace,
        ):
            self._ensure(network)
            self._context.bridge.attach(namespace, endpoint, network)
            yield namespace

    def gateway_of(self, mode: str) -> str:
        """Return the address of the host as seen by a build step; empty if it cannot reach it."""
        if mode in MODES:
            return "127.0.0.1" if mode == "host" else ""
        network = self._networks.find("bridge" if mode == "default" else mode)
        if network.internal:
            return ""
        return network.gateway if self._context.host.users.initial else host_address()

    def release(
        self, container_id: str, endpoints: Sequence[Endpoint], ports: Sequence[PublishedPort]
    ) -> None:
        """Release a container's addresses, ports and interfaces; idempotent.

        The veth pairs disappear with the container's namespace, so this does not wait for them.
        """
        if ports:
            self._unpublish(container_id, endpoints)
        left = {endpoint.network_id for endpoint in endpoints if self._give_back(endpoint)}
        self.hostnames.refresh_all(left)
        for network_id in left:
            network = self._context.networks.get(network_id)
            if network is not None and not container_id.startswith(STEP_PREFIX):
                self._networks.note(network, "disconnect", container_id)

    def reclaim(self, container_id: str) -> None:
        """Release everything that a container reserved in an interrupted start."""
        claims = [
            item for item in self._context.endpoints.all() if item.container_id == container_id
        ]
        if not claims:
            return
        self._context.firewall.unpublish(container_id)
        for claim in claims:
            self._context.endpoints.delete(claim.id)
        self.hostnames.refresh_all({claim.network_id for claim in claims})

    def _give_back(self, endpoint: Endpoint) -> bool:
        held = self._context.endpoints.by_name(f"{endpoint.network_id}/{endpoint.address}")
        if held is None or held.container_id != endpoint.container_id:
            return False
        return self._context.endpoints.delete(held.id)

    def connect(self, record: ContainerRecord, request: NetworkRequest) -> ContainerRecord:
        """Connect a container to one more network, at once if it runs; return its record.

        The caller holds the container's lock.
        """
        network = self._networks.find(request.name)
        for known in record.networks:
            if known.is_mode:
                raise ConflictError(
                    f"container {record.name} was created with the network mode {known.name}: "
                    "it cannot join a network",
                    hint=f"create it again with --network {network.name}",
                )
            if self._means(known.name, network):
                raise AlreadyExistsError(
                    f"container {record.name} is already in network {network.name}"
                )
        process = record.state.process
        endpoints, ports = record.endpoints, record.ports
        if record.state.status.alive and process is not None:
            taken = {endpoint.interface for endpoint in endpoints}
            interface = next(name for n in range(1000) if (name := f"eth{n}") not in taken)
            endpoint = self._claim(network, record, request, interface)
            try:
                with NetworkNamespace.from_pid(process.pid) as namespace:
                    self._ensure(network)
                    self._context.bridge.attach(namespace, endpoint, network, default_route=False)
                    ports = self._reroute(record, (*endpoints, endpoint), namespace)
            except BaseException:
                self._context.bridge.detach(endpoint.host_interface)
                self._give_back(endpoint)
                raise
            endpoints = (*endpoints, endpoint)
        changed = self._context.containers.update(
            record.id,
            lambda current: msgspec.structs.replace(
                current,
                networks=(*current.networks, request),
                endpoints=endpoints,
                ports=ports,
            ),
        )
        self.hostnames.refresh_all({network.id})
        self.names.update(changed)
        self._networks.note(network, "connect", record.id)
        return changed

    def disconnect(self, record: ContainerRecord, network: Network) -> ContainerRecord:
        """Disconnect a container from a network, at once if it runs; return its record.

        The caller holds the container's lock.
        """
        kept = tuple(item for item in record.networks if not self._means(item.name, network))
        if len(kept) == len(record.networks):
            raise NetworkNotFoundError(
                f"container {record.name} is not connected to network {network.name}"
            )
        endpoints = tuple(item for item in record.endpoints if item.network_id != network.id)
        gone = [item for item in record.endpoints if item.network_id == network.id]
        ports = record.ports
        process = record.state.process
        if gone and record.state.status.alive and process is not None:
            with NetworkNamespace.from_pid(process.pid) as namespace:
                ports = self._reroute(record, endpoints, namespace)
            for endpoint in gone:
                self._context.bridge.detach(endpoint.host_interface)
        for endpoint in gone:
            self._give_back(endpoint)
        changed = self._context.containers.update(
            record.id,
            lambda current: msgspec.structs.replace(
                current, networks=kept, endpoints=endpoints, ports=ports
            ),
        )
        self.hostnames.refresh_all({network.id})
        self.hostnames.forget(
            record.id, {text for item in gone for text in (item.address, item.address6)}
        )
        self.names.update(changed)
        self._networks.note(network, "disconnect", record.id)
        return changed

    def _means(self, name: str, network: Network) -> bool:
        return name in (network.name, network.id) or (len(name) > 3 and network.id.startswith(name))

    def _reroute(
        self, record: ContainerRecord, endpoints: Sequence[Endpoint], namespace: NetworkNamespace
    ) -> tuple[PublishedPort, ...]:
        """Adapt routes and published ports to the current networks; return the ports.

        Ports of IPv6 addresses are closed, until the next start, if the new default route has no
        IPv6.
        """
        networks = self._networks_of((*record.endpoints, *endpoints))
        former = self.routed(record.endpoints, networks)
        routed = self.routed(endpoints, networks)
        if routed is former:
            return record.ports
        self._context.bridge.route(namespace, former, routed)
        if not record.ports or routed is None:
            if record.ports:
                self._unpublish(record.id, record.endpoints)
            return record.ports
        ports = tuple(
            msgspec.structs.replace(port, container_ip=_address(routed, port.host_ip))
            for port in record.ports
            if routed.address6 or ":" not in port.host_ip
        )
        if len(ports) < len(record.ports):
            self._context.firewall.unpublish(record.id)
        self._publish(record.id, ports, networks)
        return ports

    @staticmethod
    def routed(endpoints: Sequence[Endpoint], networks: Sequence[Network]) -> Endpoint | None:
        """Return the endpoint of the default route: by priority, then by network name."""
        names = {network.id: network.name for network in networks}
        ways = [item for item in endpoints if item.gateway]
        return min(
            ways, key=lambda item: (-item.priority, names.get(item.network_id, "")), default=None
        )

    def _ensure(self, network: Network) -> None:
        """Create bridge and rules; republish ports after a flush of the host's firewall."""
        status = self._context.bridge.ensure_bridge(network)
        if not status.rules_written:
            return
        for record in self._context.containers.all():
            if record.ports and record.state.status.alive:
                self._publish(record.id, record.ports, self._networks_of(record.endpoints))

    def _publish(
        self, container_id: str, ports: Sequence[PublishedPort], networks: Sequence[Network]
    ) -> None:
        """Forward ports to a container, also from the host's loopback if published there."""
        firewall = self._context.firewall
        firewall.publish(
            container_id, [port for port in ports if firewall.holds_ports or not is_relayed(port)]
        )
        self._context.bridge.settle_loopback(networks)

    def _unpublish(self, container_id: str, endpoints: Sequence[Endpoint]) -> None:
        self._context.firewall.unpublish(container_id)
        self._context.bridge.settle_loopback(self._networks_of(endpoints))

    def _networks_of(self, endpoints: Sequence[Endpoint]) -> list[Network]:
        found = (self._context.networks.get(item.network_id) for item in endpoints)
        return [network for network in found if network is not None]

    def _claim(
        self, network: Network, record: ContainerRecord, request: NetworkRequest, interface: str
    ) -> Endpoint:
        on_default = self._networks.is_default(network.id)
        short = record.id[:12]
        aliases = () if on_default else (*request.aliases, short)
        host_name = (record.options.hostname,) if record.options.hostname else ()
        names = (short,) if on_default else (record.name, *request.aliases, short)
        return self._take(
            network,
            record.id,
            request,
            interface=interface,
            aliases=tuple(dict.fromkeys(aliases)),
            names=tuple(dict.fromkeys((*names, *host_name))),
            links=self.hostnames.links_of(record, request),
        )

    def _take(
        self,
        network: Network,
        container_id: str,
        request: NetworkRequest,
        *,
        interface: str = "eth0",
        aliases: tuple[str, ...] = (),
        names: tuple[str, ...] = (),
        links: tuple[tuple[str, str], ...] = (),
    ) -> Endpoint:
        context, taken = self._context, list[str]()
        while True:
            held = [item for item in context.endpoints.all() if item.network_id == network.id]
            endpoint = allocate_endpoint(
                network,
                container_id,
                [
                    *taken,
                    *(text for item in held for text in (item.address, item.address6) if text),
                ],
                after=held[-1].address if held else "",
                wanted=request.ip,
                wanted6=request.ip6,
                mac=request.mac_address,
                aliases=aliases,
                interface=interface,
            )
            endpoint = msgspec.structs.replace(
                endpoint, link_local=request.link_local_ips, priority=request.gateway_priority
            )
            claim = EndpointRecord(
                id=new_id(),
                container_id=container_id,
                network_id=network.id,
                address=endpoint.address,
                owner=context.process,
                address6=endpoint.address6,
                names=names,
                links=links,
            )
            try:
                context.endpoints.insert(claim.id, f"{network.id}/{endpoint.address}", claim)
            except AlreadyExistsError:
                # Another kernel took it at the same time, or its record is damaged.
                names_taken = (item.name or "" for item in context.endpoints.damaged())
                prefix = f"{network.id}/"
                taken = [
                    name.removeprefix(prefix) for name in names_taken if name.startswith(prefix)
                ]
                continue
            return endpoint

    def _wanted_ports(
        self, record: ContainerRecord, routed: Endpoint | None, networks: Sequence[Network]
    ) -> tuple[list[PublishedPort], dict[PublishedPort, int]]:
        """Return the ports to publish, and for port ranges the last alternative."""
        if routed is None:
            return [], {}
        options = record.options
        mappings = list(options.publish)
        if options.publish_all:
            exposed = dict.fromkeys((*record.config.exposed_ports, *options.expose))
            for text in exposed:
                mappings.extend(parse_publish(text))
        mappings.sort(key=lambda mapping: (mapping.container_port, mapping.protocol))
        own = next((item for item in networks if item.id == routed.network_id), None)
        default = (own.publish_address if own else "") or self._context.settings.publish_address
        # All addresses, as with Docker; a user's relay does not support IPv6.
        relayed = self._context.firewall.holds_ports
        if default == "0.0.0.0" and routed.address6 and not relayed:  # noqa: S104  # read
            mappings = [
                item
                for mapping in mappings
                for item in (
                    (mapping,) if mapping.host_ip else (mapping, replace(mapping, host_ip="::"))
                )
            ]
        found = [(_port(mapping, routed, default), mapping.last_port) for mapping in mappings]
        return [port for port, _ in found], {port: last for port, last in found if last}

    def _reserve(
        self, wanted: list[PublishedPort], last: dict[PublishedPort, int]
    ) -> PortReservation:
        try:
            return reserve(wanted, last)
        except AlreadyExistsError as error:
            for record in self._context.containers.all():
                taken = {(port.host_port, port.protocol) for port in record.ports} & {
                    (port.host_port, port.protocol) for port in wanted
                }
                if record.state.status.alive and taken:
                    raise AlreadyExistsError(
                        f"port {min(taken)[0]} is already published by container {record.name}",
                        hint=f"stop {record.name} first, or publish another port",
                    ) from error
            raise


def _try_hand_over(give: Callable[[ResolverSockets], None], sockets: ResolverSockets) -> None:
    try:
        give(sockets)
    except (ContainersError, OSError) as error:
        # The container runs without it: the hosts file also has the names of its networks.
        warnings.warn(f"the name server of networks does not answer: {error}", stacklevel=2)


def _port(mapping: PortMapping, endpoint: Endpoint, default: str) -> PublishedPort:
    host_ip = mapping.host_ip or default
    return PublishedPort(
        host_ip=host_ip,
        host_port=mapping.host_port,
        container_ip=_address(endpoint, host_ip),
        container_port=mapping.container_port,
        protocol=mapping.protocol,
    )


def _address(endpoint: Endpoint, host_ip: str) -> str:
    if ":" not in host_ip:
        return endpoint.address
    if host_ip == "::1":
        return endpoint.address6 or endpoint.address  # a relay reaches both
    if not endpoint.address6:
        raise InvalidStateError(
            f"cannot publish on [{host_ip}]: the container's network has no IPv6",
            status="created",
            operation="publish",
            hint="network create --ipv6 NAME, then --network NAME",
        )
    return endpoint.address6
