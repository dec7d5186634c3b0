"""Networks of a cluster: names that resolve.

Every pod of a cluster reaches every other one by its address.  A *network* is a headless Service,
whose pods find each other by the names of their containers: it is the pods' subdomain and the first
domain that they search.  It isolates nothing; that is a NetworkPolicy's work.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from jupyter_containers.engine.collection import Collection, Items
from jupyter_containers.engine.filters import Filters, PruneFilter
from jupyter_containers.engine.records import ContainerRecord
from jupyter_containers.engine.results import NetworkSummary, PruneResult
from jupyter_containers.errors import (
    AlreadyExistsError,
    InUseError,
    InvalidArgumentError,
    NetworkNotFoundError,
)
from jupyter_containers.kubernetes.client import Cluster
from jupyter_containers.kubernetes.labels import (
    KIND,
    MEMBER,
    NAME,
    NETWORK,
    OWNER,
    labels_of,
    object_name,
)
from jupyter_containers.kubernetes.unsupported import missing
from jupyter_containers.options.flag import with_keywords
from jupyter_containers.options.groupflags import ConnectFlags, CreateNetworkFlags
from jupyter_containers.options.network import DEFAULT_NETWORK
from jupyter_containers.options.values import check_name, parse_labels

if TYPE_CHECKING:
    from lightkube.resources.core_v1 import Service

DRIVER = "kubernetes"


class ClusterNetworks(Collection[NetworkSummary]):
    """The networks of one user in a namespace; ``users`` returns the containers."""

    noun = "networks"

    def __init__(self, cluster: Cluster, users: Callable[[], Sequence[ContainerRecord]]) -> None:
        self._cluster, self._users = cluster, users

    def get(self, name: str) -> NetworkSummary:
        """Return the network with this name, ID or unique ID prefix."""
        for each in self.list():
            if each.name == name or (len(name) > 3 and each.id.startswith(name)):
                return each
        raise NetworkNotFoundError(f"no such network: {name}")

    @with_keywords(CreateNetworkFlags)
    def create(self, name: str, **flags: Unpack[CreateNetworkFlags]) -> NetworkSummary:
        """Create a network; its addresses are the cluster's."""
        from lightkube.resources.core_v1 import Service

        check_name(name, "network")
        given: dict[str, Any] = {key: value for key, value in flags.items() if value}
        labels = parse_labels(given.pop("label", ()))
        given.pop("attachable", None)
        if given.pop("driver", "bridge") not in ("bridge", DRIVER):
            raise missing("another network driver", "the cluster's network is the only one")
        if given:
            option = next(iter(given)).replace("_", "-")
            raise missing(f"network create --{option}", "the addresses of pods are the cluster's")
        if name == DEFAULT_NETWORK or name in self.names():
            raise AlreadyExistsError(f"network with name {name} already exists")
        owner = self._cluster.owner
        document = {
            "metadata": {
                "name": object_name(name, owner),
                "labels": labels_of(NETWORK, name, owner, labels),
                "annotations": {NAME: name},
            },
            "spec": {
                "clusterIP": "None",
                "publishNotReadyAddresses": True,
                "selector": {MEMBER: object_name(name, owner)},
            },
        }
        self._cluster.create(f"network {name}", Service, document)
        return self.get(name)

    def connect(self, network: str, container: str, **flags: Unpack[ConnectFlags]) -> None:  # noqa: ARG002  # refused
        """Refuse: the networks of a pod are fixed."""
        raise missing("network connect", "the networks of a pod are fixed; run it again with them")

    def disconnect(self, network: str, container: str, *, force: bool = False) -> None:  # noqa: ARG002  # refused
        """Refuse: the networks of a pod are fixed."""
        raise missing("network disconnect", "the networks of a pod are fixed")

    def remove(self, name: str) -> None:
        """Remove a network; raise if a running container uses it."""
        from lightkube.resources.core_v1 import Service

        found = self.get(name)
        if found.name == DEFAULT_NETWORK:
            raise InvalidArgumentError(f"{name} is a pre-defined network and cannot be removed")
        users = self._members(found.name)
        if users:
            raise InUseError(
                f"network {name} is in use by {', '.join(each.name for each in users)}"
            )
        self._cluster.request(
            f"network {name}",
            lambda client: client.delete(Service, object_name(found.name, self._cluster.owner)),
        )

    def _members(self, name: str) -> Items[ContainerRecord]:
        return [
            each
            for each in self._users()
            if each.state.status.up and any(request.name == name for request in each.networks)
        ]

    def inspect(self, name: str) -> dict[str, Any]:
        """Return Docker's ``network inspect`` object."""
        from jupyter_containers.engine.networks.documents import network_document
        from jupyter_containers.network.model import Network

        found = self.get(name)
        network = Network(
            id=found.id, name=found.name, interface="", subnet="", gateway="", labels=found.labels
        )
        document = network_document(network, ())
        document |= {"Driver": DRIVER, "Options": {}}
        document["IPAM"]["Config"] = []
        document["Containers"] = {
            each.id: {
                "Name": each.name,
                "EndpointID": "",
                "MacAddress": "",
                "IPv4Address": next((end.address for end in each.endpoints), ""),
                "IPv6Address": "",
            }
            for each in self._members(found.name)
        }
        return document

    def prune(self, *, filters: Filters | None = None) -> PruneResult:
        """Remove all networks that no container, running or stopped, uses."""
        selection = PruneFilter(filters)
        used = {request.name for each in self._users() for request in each.networks}
        removed = []
        for each in self.list():
            created = 0.0
            if each.name in used or each.name == DEFAULT_NETWORK:
                continue
            if selection.accepts(each.labels, created):
                self.remove(each.name)
                removed.append(each.name)
        return PruneResult(tuple(removed))

    def names(self) -> Items[str]:
        """Return the names of all networks: for completion."""
        return [each.name for each in self.list()]

    def list(self) -> Items[NetworkSummary]:
        """Return the networks: the cluster's own, which is called bridge, then the rest."""
        from lightkube.resources.core_v1 import Service

        labels: dict[str, Any] = {OWNER: self._cluster.owner, KIND: NETWORK}
        services = self._cluster.request(
            "networks", lambda client: list(client.list(Service, labels=labels))
        )
        own = NetworkSummary(_id(self._cluster.namespace), DEFAULT_NETWORK, DRIVER)
        return [own, *map(_summary, services)]

    __call__ = list

    def everything(self) -> Items[NetworkSummary]:
        """Return all networks."""
        return self.list()


def _summary(service: Service) -> NetworkSummary:
    metadata = service.metadata
    assert metadata is not None  # every object has it
    annotations = metadata.annotations or {}
    return NetworkSummary(
        _id(metadata.uid or ""), annotations.get(NAME) or metadata.name or "", DRIVER
    )


def _id(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
