"""Bridges and published ports of a user who is root in one network namespace only.

Inside that namespace bridges, addresses and rules are the same as for root.  The engine stays
outside, where registries and the host's own servers are reachable, and each call enters the
namespace (:class:`InNamespace`).  The host's ports are outside too: the uplink (slirp4netns)
listens there and relays to the same port inside, where the firewall's map leads to the container.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import msgspec

from jupyter_containers.errors import UnsupportedError
from jupyter_containers.network.firewall import Firewall
from jupyter_containers.network.model import Network, PublishedPort
from jupyter_containers.network.namespace import NetworkNamespace
from jupyter_containers.network.usermode import GUEST_ADDRESS, Uplink

__all__ = ["InNamespace", "RelayedFirewall"]


class InNamespace:
    """Wraps an object of this room, so that its methods are called inside a network namespace.

    ``enter`` opens the namespace for each call.  ``outside`` names methods that are called in the
    caller's namespace.
    """

    __slots__ = ("_enter", "_outside", "_target")

    def __init__(
        self, target: Any, enter: Callable[[], NetworkNamespace], outside: Sequence[str] = ()
    ) -> None:
        self._target, self._enter, self._outside = target, enter, outside

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name in self._outside or not callable(found):
            return found

        def call(*args: Any, **flags: Any) -> Any:
            with self._enter() as namespace:
                return namespace.run(partial(found, *args, **flags))

        return call


class RelayedFirewall:
    """The :class:`~.packet_filter.PacketFilter` of a user, whose table is inside a namespace.

    The uplink holds the published ports: a reservation must be closed first.  ``missing`` is the
    reason if there is no uplink.
    """

    holds_ports = True

    __slots__ = ("_firewall", "_missing", "_uplink")

    def __init__(self, firewall: Firewall, uplink: Uplink, missing: str = "") -> None:
        self._firewall, self._uplink, self._missing = firewall, uplink, missing

    def ensure_network(self, network: Network) -> bool:
        """Return whether the table or the network had to be set up; idempotent."""
        return self._firewall.ensure_network(network)

    def remove_network(self, network: Network) -> None:
        """Remove the network from the table."""
        self._firewall.remove_network(network)

    def publish(self, container_id: str, ports: Sequence[PublishedPort]) -> None:
        """Lead the ports to the container: all of them, or none if an error is raised."""
        if not ports:
            return
        if self._missing:
            raise UnsupportedError(
                f"cannot publish ports: {self._missing}",
                capability="networks without root",
                provided_by="apt-get install slirp4netns",
            )
        for port in ports:
            if ":" in port.host_ip:
                raise UnsupportedError(
                    f"cannot publish on [{port.host_ip}]: slirp4netns listens on IPv4 only",
                    capability="publishing over IPv6 without root",
                    provided_by="publish on 127.0.0.1 or 0.0.0.0",
                )
        inside = [msgspec.structs.replace(port, host_ip=GUEST_ADDRESS) for port in ports]
        # The uplink first: it reports ports in use, so an element in the map can only be a
        # leftover.
        opened: list[PublishedPort] = []
        try:
            for port in ports:
                # It is open if the same container is published again in a recreated table.
                if not self._uplink.is_open(port):
                    self._uplink.open_port(port)
                    opened.append(port)
            self._firewall.publish(container_id, inside)
        except BaseException:
            self._close(opened)
            raise

    def unpublish(self, container_id: str) -> None:
        """Remove the container's ports."""
        ports = self.current().get(container_id, ())
        self._firewall.unpublish(container_id)
        self._close(ports)

    def _close(self, ports: Iterable[PublishedPort]) -> None:
        numbers = {(port.protocol, port.host_port) for port in ports}
        if numbers and not self._missing:
            self._uplink.close_ports(numbers)

    def current(self) -> dict[str, tuple[PublishedPort, ...]]:
        """Return the published ports by container ID; the address is the uplink's inside."""
        return self._firewall.current()

    def sweep(self, alive: Iterable[str]) -> tuple[str, ...]:
        """Unpublish ports of containers not among ``alive``; return their IDs."""
        dead = sorted(set(self.current()) - set(alive))
        for container_id in dead:
            self.unpublish(container_id)
        return tuple(dead)
