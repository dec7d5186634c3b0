"""What an engine does with networks."""

from __future__ import annotations

from typing import Any

from jupyter_containers.engine.api.collections import NetworkCollection
from jupyter_containers.engine.api.parts import Parts
from jupyter_containers.engine.filters import Filters, PruneFilter
from jupyter_containers.engine.images.image import parse_time
from jupyter_containers.engine.networks.catalog import mode_id
from jupyter_containers.engine.networks.documents import mode_document, network_document
from jupyter_containers.engine.records import ContainerRecord
from jupyter_containers.engine.results import (
    NetworkSummary,
    PruneResult,
)
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.network.model import Network
from jupyter_containers.options.network import NetworkOptions, endpoint_request

MODE_DRIVERS = {"host": "host", "none": "null"}


class NetworksAPI(Parts):
    """What an engine does with networks."""

    @property
    def networks(self) -> NetworkCollection:
        """All networks: call it to list them, iterate, ``get(name)``, ``create(…)``."""
        return NetworkCollection(self)

    def network(self, name: str) -> NetworkSummary:
        """Return the network that a name, ID or unique ID prefix means."""
        mode = self._mode(name)
        if mode:
            return NetworkSummary(mode_id(mode), mode, MODE_DRIVERS[mode])
        return NetworkSummary.of(self._networks.find(name))

    def list_networks(self) -> list[NetworkSummary]:
        """Return what ``networks()`` does."""
        bridges = [NetworkSummary.of(item) for item in self._networks.all()]
        words = [
            NetworkSummary(mode_id(mode), mode, driver) for mode, driver in MODE_DRIVERS.items()
        ]
        return [*bridges[:1], *words, *bridges[1:]]

    def create_network(self, name: str, **flags: Any) -> NetworkSummary:
        """Create a bridge network; without ``subnet`` a free one is chosen.

        ``flags`` are Docker's in snake_case: ``subnet``, ``gateway``, ``ip_range``, ``internal``,
        ``ipv6``, ``label``, ``aux_address``, ``opt``, ``attachable``, ``driver``.
        """
        return NetworkSummary.of(self._networks.create(name, NetworkOptions.of(**flags)))

    def connect_network(self, network: str, name: str, **flags: Any) -> None:
        """Connect a container to a network, now if it runs and at each of its starts.

        ``flags``: ``alias``, ``ip``, ``ip6``, ``link``, ``link_local_ip``, ``gw_priority``.
        """
        self._refuse_mode(network, "joined by a container that exists")
        found = self._networks.find(network)
        request = endpoint_request(found.name, flags)
        record = self._containers.find(name)
        with self._lifecycle.locked(record.id):
            self._connections.connect(self._containers.find(record.id), request)

    def disconnect_network(self, network: str, name: str, *, force: bool = False) -> None:
        """Disconnect a container from a network, now if it runs and at each of its starts.

        ``force`` is Docker's flag for a container that its daemon has lost; here none gets lost.
        """
        del force
        found = self._networks.find(network)
        record = self._containers.find(name)
        with self._lifecycle.locked(record.id):
            self._connections.disconnect(self._containers.find(record.id), found)

    def remove_network(self, name: str) -> None:
        """Remove a network that no running container uses."""
        self._refuse_mode(name, "removed")
        network = self._networks.find(name)
        self._networks.remove(network.id, [record.name for record in self._members(network)])

    def inspect_network(self, name: str) -> dict[str, Any]:
        """Return Docker's ``network inspect`` object."""
        mode = self._mode(name)
        if mode:
            members = [
                record
                for record in self._containers.all()
                if record.state.status.alive and record.options.network == mode
            ]
            return mode_document(mode, mode_id(mode), MODE_DRIVERS[mode], members)
        network = self._networks.find(name)
        return network_document(network, self._members(network))

    @staticmethod
    def _mode(text: str) -> str:
        fits = (mode for mode in MODE_DRIVERS if text in (mode, mode_id(mode), mode_id(mode)[:12]))
        return next(fits, "")

    def _refuse_mode(self, name: str, what: str) -> None:
        if mode := self._mode(name):
            raise InvalidArgumentError(f"{mode} is a predefined network and cannot be {what}")

    def _members(self, network: Network) -> list[ContainerRecord]:
        return [
            record
            for record in self._containers.all()
            if record.state.status.alive
            and any(endpoint.network_id == network.id for endpoint in record.endpoints)
        ]

    def prune_networks(self, *, filters: Filters | None = None) -> PruneResult:
        """Remove networks that no container uses, running or not.

        Filters: ``label``, ``label!``, ``until``.
        """
        selection = PruneFilter(filters)
        if self._rooms.containers.damaged():
            return PruneResult(())  # nobody knows which networks those are in
        used = {request.name for record in self._containers.all() for request in record.networks}
        unused = [
            item
            for item in self._networks.removable()
            if not {item.name, item.id} & used and selection.accepts(item.labels, _made_at(item))
        ]
        for item in unused:
            self._networks.remove(item.id, ())
        return PruneResult(tuple(item.name for item in unused))


def _made_at(network: Network) -> float:
    made = parse_time(network.created)
    return made.timestamp() if made is not None else 0.0
