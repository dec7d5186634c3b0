"""What bridges and published ports need of a packet filter, wherever its table is.

:class:`~.firewall.Firewall` is the machine's own, :class:`~.relayed.RelayedFirewall` that of a user
who is root in one network namespace only.  ``tests/conformance/test_firewalls.py`` holds for both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from jupyter_containers.network.model import Network, PublishedPort

__all__ = ["PacketFilter"]


class PacketFilter(Protocol):
    """Networks and the ports that lead into them; thread-safe.

    Adding and removing *networks* must be serialised by the caller, ports need no lock.
    """

    @property
    def holds_ports(self) -> bool:
        """Whether publishing takes the host's ports: a reservation must be given up before."""

    def ensure_network(self, network: Network) -> bool:
        """Return True when the table or the network had to be set up; idempotent.

        True for a network that was there before means that the rules were flushed: the published
        ports of running containers are to be published again.
        """

    def remove_network(self, network: Network) -> None:
        """Forget a network; with the last one the table is gone.  Idempotent."""

    def publish(self, container_id: str, ports: Sequence[PublishedPort]) -> None:
        """Lead the ports to the container: all of them, or none when an error is raised.

        A port that a container which ended has left is taken over.
        """

    def unpublish(self, container_id: str) -> None:
        """Lead no port to the container; ports that others took over stay.  Idempotent."""

    def current(self) -> dict[str, tuple[PublishedPort, ...]]:
        """Return the published ports by container id."""

    def sweep(self, alive: Iterable[str]) -> tuple[str, ...]:
        """Unpublish the containers that are not ``alive``; return their ids."""
