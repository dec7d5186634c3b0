"""What an engine does with networks."""

from __future__ import annotations

from typing import Any

from jupyter_containers.engine.api.parts import Parts
from jupyter_containers.engine.inspecting import network_document
from jupyter_containers.engine.results import (
    NetworkSummary,
    PruneResult,
)
from jupyter_containers.options.values import parse_labels


class NetworksAPI(Parts):
    """What an engine does with networks."""

    def networks(self) -> list[NetworkSummary]:
        """Return the networks, the predefined ones first."""
        bridges = [NetworkSummary.of(item) for item in self._networks.all()]
        words = [NetworkSummary("", "host", "host"), NetworkSummary("", "none", "null")]
        return [*bridges[:1], *words, *bridges[1:]]

    def create_network(
        self,
        name: str,
        *,
        subnet: str = "",
        gateway: str = "",
        internal: bool = False,
        label: Any = (),
    ) -> NetworkSummary:
        """Create a bridge network; without ``subnet`` a free one is chosen."""
        item = self._networks.create(
            name, subnet=subnet, gateway=gateway, internal=internal, labels=parse_labels(label)
        )
        return NetworkSummary.of(item)

    def remove_network(self, name: str) -> None:
        """Remove a network that no container uses."""
        network = self._networks.find(name)
        members = [
            record.name
            for record in self._containers.all()
            if record.options.network in (network.name, network.id)
        ]
        self._networks.remove(name, members)

    def inspect_network(self, name: str) -> dict[str, Any]:
        """Return Docker's ``network inspect`` object."""
        network = self._networks.find(name)
        members = [
            record
            for record in self._containers.all()
            if record.state.status.alive
            and record.endpoint is not None
            and record.endpoint.network_id == network.id
        ]
        return network_document(network, members)

    def prune_networks(self) -> PruneResult:
        """Remove networks that no container uses."""
        used = {record.options.network for record in self._containers.all()}
        unused = [item for item in self._networks.removable() if not {item.name, item.id} & used]
        for item in unused:
            self._networks.remove(item.id, ())
        return PruneResult(tuple(item.name for item in unused))
