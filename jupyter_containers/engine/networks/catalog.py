"""The catalog of networks: find, create, remove.

The default network ``bridge`` is created when the first container needs it.  ``host`` and ``none``
are modes without a record.  :mod:`.connections` has the code by which containers join networks.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.naming import new_id
from jupyter_containers.errors import (
    AlreadyExistsError,
    InUseError,
    InvalidArgumentError,
    NetworkNotFoundError,
)
from jupyter_containers.lazy_modules import hashlib
from jupyter_containers.network.allocation import (
    bridge_interface,
    check_subnet,
    check_subnet6,
    choose_subnet,
    choose_subnet6,
    gateway_of,
)
from jupyter_containers.network.model import Network
from jupyter_containers.options.network import DEFAULT_NETWORK, MODES
from jupyter_containers.options.network_options import NetworkOptions
from jupyter_containers.options.values import check_network_name

# The kernel removes a namespace, and its port on the bridge, some time after its last process.
_PORTS_GONE_SECONDS, _PORTS_GONE_PAUSE = 1.0, 0.01


def mode_id(mode: str) -> str:
    """Return the ID of the network ``host`` or ``none``: the same in every store."""
    return hashlib.sha256(f"network {mode}".encode()).hexdigest()


class Networks:
    """The bridge networks of one store."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context

    def all(self) -> list[Network]:
        """Return the bridge networks, the default one first."""
        self.default()
        return sorted(self._context.networks.all(), key=lambda item: item.name != DEFAULT_NETWORK)

    def is_default(self, network_id: str) -> bool:
        """Return whether this is the network ``bridge``, on which containers have no names."""
        network = self._context.networks.by_name(DEFAULT_NETWORK)
        return network is not None and network.id == network_id

    def removable(self) -> list[Network]:
        """Return the networks created by users."""
        return [item for item in self._context.networks.all() if item.name != DEFAULT_NETWORK]

    def find(self, text: str) -> Network:
        """Return the network with this name, ID or unique ID prefix."""
        if text == DEFAULT_NETWORK:
            return self.default()
        network = self._context.networks.find(text)
        if network is None:
            known = [item.name for item in self._context.networks.all()]
            names = ", ".join(dict.fromkeys((DEFAULT_NETWORK, *MODES, *known)))
            raise NetworkNotFoundError(f"no such network: {text}", hint=f"known networks: {names}")
        return network

    def default(self) -> Network:
        """Return the network ``bridge``, creating it if necessary."""
        network = self._context.networks.by_name(DEFAULT_NETWORK)
        if network is not None:
            return network
        try:
            return self._create(DEFAULT_NETWORK, NetworkOptions(), self._context.bridge_name)
        except AlreadyExistsError:
            network = self._context.networks.by_name(DEFAULT_NETWORK)
            if network is not None:
                return network
            # It can be recreated without loss: a damaged record must not make every run fail.
            for damaged in self._context.networks.damaged():
                if damaged.name == DEFAULT_NETWORK:
                    self._context.networks.mend(damaged, None)
            return self._create(DEFAULT_NETWORK, NetworkOptions(), self._context.bridge_name)

    def create(self, name: str, options: NetworkOptions) -> Network:
        """Return a new network; its bridge is created when the first container joins.

        Raises :class:`AlreadyExistsError` for a name, subnet or interface already in use.
        """
        name = check_network_name(name)
        if name in (DEFAULT_NETWORK, *MODES, "default"):
            raise InvalidArgumentError(f"operation is not permitted on predefined {name} network")
        network = self._create(name, options)
        self.note(network, "create")
        return network

    def _create(self, name: str, options: NetworkOptions, interface: str = "") -> Network:
        context, network_id = self._context, new_id()
        with context.store.locks.hold("networks"):
            known = context.networks.all()
            chosen = self._subnet(options.subnet, known)
            subnet6 = options.subnet6 or (choose_subnet6(network_id) if options.ipv6 else "")
            if subnet6:
                subnet6 = check_subnet6(
                    subnet6, [item.subnet6 for item in known], context.bridge.host_routes6()
                )
            wanted = interface or options.interface
            if wanted and wanted in [item.interface for item in known]:
                raise AlreadyExistsError(f"the interface {wanted} belongs to another network")
            network = Network(
                id=network_id,
                name=name,
                interface=wanted or bridge_interface(network_id),
                subnet=chosen,
                gateway=options.gateway or _gateway(chosen, _canonical(options.ip_range)),
                subnet6=subnet6,
                gateway6=options.gateway6 or (gateway_of(subnet6) if subnet6 else ""),
                ip_range=_canonical(options.ip_range),
                ip_range6=_canonical(options.ip_range6),
                reserved=dict(options.aux_addresses),
                internal=options.internal,
                attachable=options.attachable,
                mtu=options.mtu or context.bridge.uplink_mtu(),
                created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                labels=dict(options.labels),
                options=dict(options.driver_options),
                containers_talk=options.containers_talk,
                masquerade=options.masquerade,
                publish_address=options.publish_address,
            )
            _check_inside(network)
            try:
                context.networks.insert(network_id, name, network)
            except AlreadyExistsError as error:
                raise AlreadyExistsError(
                    f"network with name {name} already exists",
                    hint=f"choose another name, or network rm {name}",
                ) from error
        return network

    def _subnet(self, wanted: str, known: list[Network]) -> str:
        used = [item.subnet for item in known]
        routes = self._context.bridge.host_routes()
        if wanted:
            return check_subnet(wanted, used, routes)
        return choose_subnet(self._context.subnet_pool, used, routes)

    def remove(self, text: str, members: Iterable[str]) -> None:
        """Remove a network; ``members`` are the names of its running containers.

        Raises :class:`InUseError` if there are any.
        """
        network = self.find(text)
        if network.name == DEFAULT_NETWORK:
            raise InvalidArgumentError("bridge is a predefined network and cannot be removed")
        used_by = list(members)
        if used_by:
            raise InUseError(
                f"network {network.name} is used by container {used_by[0]}",
                hint=f"disconnect it first (network disconnect {network.name} {used_by[0]}), "
                f"or remove it (rm -f {used_by[0]})",
            )
        with self._context.store.locks.hold("networks"):
            self._remove_bridge(network)
            self._context.networks.delete(network.id)
        self.note(network, "destroy")

    def _remove_bridge(self, network: Network) -> None:
        """Remove the bridge, once the kernel has removed the ports of ended containers.

        A connection that was open at a container's end can keep its port for minutes, while the
        kernel retransmits to a peer that no longer answers: such a port is removed here.
        """
        patience = time.monotonic() + _PORTS_GONE_SECONDS
        while True:
            try:
                self._context.bridge.remove_bridge(network, with_ports=time.monotonic() > patience)
                return
            except InUseError:
                # A starting container has an address before its record shows it.
                claims = self._context.endpoints.all()
                if any(claim.network_id == network.id for claim in claims):
                    raise
            time.sleep(_PORTS_GONE_PAUSE)

    def note(self, network: Network, action: str, container_id: str = "") -> None:
        """Record an event of a network, with Docker's attributes."""
        attributes = {"name": network.name, "type": network.driver}
        if container_id:
            attributes["container"] = container_id
        self._context.journal.record("network", action, network.id, attributes)


def _canonical(text: str) -> str:
    """Return a range without the bits of a host, as Docker takes it."""
    return str(ipaddress.ip_network(text, strict=False)) if text else ""


def _gateway(subnet: str, ip_range: str) -> str:
    """Return the bridge's address: the first of the range if there is one, as Docker does."""
    first = str(ipaddress.ip_network(ip_range or subnet).network_address)
    return gateway_of(subnet) if first == subnet.partition("/")[0] else first


def _check_inside(network: Network) -> None:
    subnet = ipaddress.ip_network(network.subnet)
    for text, whole in ((network.ip_range, network.subnet), (network.ip_range6, network.subnet6)):
        part = ipaddress.ip_network(text, strict=False) if text else None
        if part and not part.subnet_of(ipaddress.ip_network(whole)):  # type: ignore[arg-type]  # of one family
            raise InvalidArgumentError(f"ip-range {part} is not inside the subnet {whole}")
    subnets = [subnet, *([ipaddress.ip_network(network.subnet6)] if network.subnet6 else [])]
    named = {"gateway": network.gateway, "gateway6": network.gateway6, **network.reserved}
    for word, text in named.items():
        if text and not any(ipaddress.ip_address(text) in item for item in subnets):
            raise InvalidArgumentError(f"{word} {text} is not inside the subnet {subnet}")
