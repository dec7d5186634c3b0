"""The service of networks: create, connect, inspect, remove."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol, Unpack

from jupyter_containers.engine.collection import Collection, Items
from jupyter_containers.engine.filters import Filters, PruneFilter
from jupyter_containers.engine.networks.catalog import Networks, mode_id
from jupyter_containers.engine.networks.connections import Connections
from jupyter_containers.engine.networks.documents import mode_document, network_document
from jupyter_containers.engine.records import ContainerRecord
from jupyter_containers.engine.results import (
    NetworkSummary,
    PruneResult,
)
from jupyter_containers.engine.units import parse_time
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.network.model import Network
from jupyter_containers.options.flag import with_keywords
from jupyter_containers.options.groupflags import ConnectFlags, CreateNetworkFlags
from jupyter_containers.options.network import endpoint_request
from jupyter_containers.options.network_options import NetworkOptions

MODE_DRIVERS = {"host": "host", "none": "null"}


class Members(Protocol):
    """The containers of the store, as this service needs them."""

    def find(self, text: str) -> ContainerRecord:
        """Return the container with this name, ID or unique ID prefix."""

    def all(self) -> list[ContainerRecord]:
        """Return the current records of all containers."""

    def damaged(self) -> bool:
        """Return whether any container's record cannot be read."""

    def locked(self, container_id: str) -> AbstractContextManager[None]:
        """Hold a container's lock."""


class NetworkService(Collection[NetworkSummary]):
    """The networks of one store, including the predefined ones."""

    noun = "networks"

    def __init__(self, networks: Networks, connections: Connections, members: Members) -> None:
        self._networks, self._connections, self._containers = networks, connections, members

    def get(self, name: str) -> NetworkSummary:
        """Return the network with this name, ID or unique ID prefix."""
        mode = self._mode(name)
        if mode:
            return NetworkSummary(mode_id(mode), mode, MODE_DRIVERS[mode])
        return NetworkSummary.of(self._networks.find(name))

    @with_keywords(CreateNetworkFlags)
    def create(self, name: str, **flags: Unpack[CreateNetworkFlags]) -> NetworkSummary:
        """Create a bridge network; without ``subnet``, choose a free one."""
        return NetworkSummary.of(self._networks.create(name, NetworkOptions.of(**flags)))

    @with_keywords(ConnectFlags)
    def connect(self, network: str, container: str, **flags: Unpack[ConnectFlags]) -> None:
        """Connect a container to a network: at once if it runs, and at each later start."""
        self._refuse_mode(network, "joined by an existing container")
        found = self._networks.find(network)
        request = endpoint_request(found.name, flags)
        record = self._containers.find(container)
        with self._containers.locked(record.id):
            self._connections.connect(self._containers.find(record.id), request)

    def disconnect(self, network: str, container: str, *, force: bool = False) -> None:
        """Disconnect a container from a network: at once if it runs, and at each later start.

        ``force`` is Docker's flag for a container that its daemon has lost; it has no effect here.
        """
        del force
        found = self._networks.find(network)
        record = self._containers.find(container)
        with self._containers.locked(record.id):
            self._connections.disconnect(self._containers.find(record.id), found)

    def remove(self, name: str) -> None:
        """Remove a network; raise if a running container uses it."""
        self._refuse_mode(name, "removed")
        network = self._networks.find(name)
        self._networks.remove(network.id, [record.name for record in self._members(network)])

    def inspect(self, name: str) -> dict[str, Any]:
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

    def _members(self, network: Network) -> Items[ContainerRecord]:
        return [
            record
            for record in self._containers.all()
            if record.state.status.alive
            and any(endpoint.network_id == network.id for endpoint in record.endpoints)
        ]

    def prune(self, *, filters: Filters | None = None) -> PruneResult:
        """Remove all networks that no container, running or stopped, uses.

        Filters: ``label``, ``label!``, ``until``.
        """
        selection = PruneFilter(filters)
        if self._containers.damaged():
            return PruneResult(())  # the networks of damaged containers are unknown
        unused = [item for item in self.unused() if selection.accepts(item.labels, _made_at(item))]
        for item in unused:
            self._networks.remove(item.id, ())
        return PruneResult(tuple(item.name for item in unused))

    def unused(self) -> Items[Network]:
        """Return the bridge networks that no container, running or stopped, uses."""
        used = {request.name for record in self._containers.all() for request in record.networks}
        return [item for item in self._networks.removable() if not {item.name, item.id} & used]

    def names(self) -> Items[str]:
        """Return the names of all bridge networks: cheap, for completion."""
        return [network.name for network in self._networks.all()]

    def list(self) -> Items[NetworkSummary]:
        """Return the networks: the default one, the other predefined ones, then the rest."""
        bridges = [NetworkSummary.of(item) for item in self._networks.all()]
        words = [
            NetworkSummary(mode_id(mode), mode, driver) for mode, driver in MODE_DRIVERS.items()
        ]
        return [*bridges[:1], *words, *bridges[1:]]

    __call__ = list

    def everything(self) -> Items[NetworkSummary]:
        """Return all networks."""
        return self.list()


def _made_at(network: Network) -> float:
    made = parse_time(network.created)
    return made.timestamp() if made is not None else 0.0
