"""By which names containers know each other, kept in their hosts files.

There is no name server of ours that would have to live: every container of a network that people
made has the others in its ``/etc/hosts``, by name, alias, short ID and host name.  That is read by
every C library and language, answers in both directions, and is rewritten in place whenever
somebody joins or leaves.  What people wrote into the file themselves stays.  On the default network
only what ``--link`` asked for is known.

Files of a container beside ``hosts``: ``hosts.head``, what does not depend on others, and
``hosts.known``, what we wrote last.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec

from jupyter_containers.engine.bundle import Bundle
from jupyter_containers.engine.networks import Networks
from jupyter_containers.engine.records import ContainerRecord, EndpointRecord
from jupyter_containers.engine.rooms import Rooms
from jupyter_containers.errors import (
    ContainerNotFoundError,
    InvalidArgumentError,
    InvalidStateError,
)
from jupyter_containers.network.names import HostEntry, hosts_lines
from jupyter_containers.options.network import DEFAULT_NETWORK, NetworkRequest


class Hostnames:
    """The names on the networks of one store."""

    def __init__(self, rooms: Rooms, networks: Networks) -> None:
        self._rooms, self._networks = rooms, networks

    def bundle(self, container_id: str) -> Bundle:
        """Return the folder of a container."""
        return Bundle(self._rooms.settings.root / "containers" / container_id)

    def write(self, container_id: str, head: str) -> str:
        """Write the hosts file of a starting container and return its path."""
        bundle = self.bundle(container_id)
        bundle.write("hosts.head", head)
        text = head + hosts_lines(self._known_to(container_id, self._rooms.endpoints.all()))
        bundle.write("hosts.known", text)
        return bundle.write("hosts", text)

    def introduce(self, network_ids: Collection[str], *, also: str = "") -> None:
        """Tell the containers of these networks who is there now; ``also`` one that left."""
        if not network_ids:
            return
        # One at a time: who looks later also writes later.
        with self._rooms.store.locks.hold("hosts"):
            claims = self._rooms.endpoints.all()
            concerned = dict.fromkeys(
                claim.container_id
                for claim in claims
                if claim.network_id in network_ids
                and (claim.links or not self._networks.is_default(claim.network_id))
            )
            for container_id in (*concerned, *([also] if also else [])):
                self._rewrite(container_id, claims)

    def _rewrite(self, container_id: str, claims: Sequence[EndpointRecord]) -> None:
        bundle = self.bundle(container_id)
        head = bundle.read("hosts.head")
        if not head:
            return  # a build step, or one that is just being started and writes its own
        text = head + hosts_lines(self._known_to(container_id, claims))
        known = bundle.read("hosts.known")
        if text == known:
            return
        ours = set(known.splitlines())
        added = [line for line in bundle.read("hosts").splitlines() if line not in ours]
        bundle.write("hosts.known", text)
        bundle.write("hosts", text + "".join(f"{line}\n" for line in added))

    def _known_to(self, container_id: str, claims: Iterable[EndpointRecord]) -> list[HostEntry]:
        claims = list(claims)
        own = [claim for claim in claims if claim.container_id == container_id]
        found: list[HostEntry] = []
        for mine in own:
            named = not self._networks.is_default(mine.network_id)
            for claim in claims:
                if claim.network_id != mine.network_id:
                    continue
                further = [alias for target, alias in mine.links if target == claim.container_id]
                names = (*further, *(claim.names if named or further else ()))
                found += [
                    HostEntry(address, names)
                    for address in (claim.address, claim.address6)
                    if address and names
                ]
        return found

    def links_of(
        self, record: ContainerRecord, request: NetworkRequest
    ) -> tuple[tuple[str, str], ...]:
        """Return the containers that a starting one is linked to, by ID, and their aliases here.

        On the default network they must run, as with Docker.
        """
        found = []
        for name, alias in request.links:
            target = self._rooms.containers.find(name)
            if target is None:
                raise ContainerNotFoundError(f"cannot link to {name}: no such container")
            on_default = self._networks.find(request.name).name == DEFAULT_NETWORK
            if on_default and DEFAULT_NETWORK not in [item.name for item in target.networks]:
                raise InvalidArgumentError(
                    f"cannot link to {target.name}, as it does not belong to the default network"
                )
            if on_default and not target.state.status.alive:
                raise InvalidStateError(
                    f"cannot link {record.name} to {target.name}: it does not run",
                    status=str(target.state.status),
                    operation="link",
                    hint=f"start it first: start {target.name}",
                )
            found.append((target.id, alias))
        return tuple(found)

    def link_variables(self, record: ContainerRecord) -> tuple[str, ...]:
        """Return the variables by which Docker tells a container about its links.

        Only on the default network; on others a link is a name and nothing more.
        """
        found: list[str] = []
        for request in record.networks:
            if request.name != DEFAULT_NETWORK:
                continue
            for name, alias in request.links:
                target = self._rooms.containers.find(name)
                if target is not None and target.endpoints:
                    found += _variables(record.name, alias, target)
        return tuple(found)

    def rename(self, record: ContainerRecord, former: str) -> None:
        """Let the networks know a running container by its new name."""
        for claim in self._rooms.endpoints.all():
            if claim.container_id == record.id and former in claim.names:
                self._rooms.endpoints.update(
                    claim.id, lambda item: _renamed(item, former, record.name)
                )
        self.introduce({endpoint.network_id for endpoint in record.endpoints})


def _renamed(claim: EndpointRecord, former: str, name: str) -> EndpointRecord:
    names = tuple(name if known == former else known for known in claim.names)
    return msgspec.structs.replace(claim, names=names)


def _variables(name: str, alias: str, target: ContainerRecord) -> list[str]:
    word = alias.upper().replace("-", "_")
    address = target.endpoints[0].address
    exposed = sorted(
        dict.fromkeys((*target.config.exposed_ports, *target.options.expose)),
        key=lambda text: (int(text.partition("/")[0]), text.partition("/")[2] != "tcp"),
    )
    found = [f"{word}_NAME=/{name}/{alias}"]
    for number, text in enumerate(exposed):
        port, _, protocol = text.partition("/")
        url = f"{protocol}://{address}:{port}"
        if number == 0:
            found.append(f"{word}_PORT={url}")
        key = f"{word}_PORT_{port}_{protocol.upper()}"
        found += [
            f"{key}={url}",
            f"{key}_ADDR={address}",
            f"{key}_PORT={port}",
            f"{key}_PROTO={protocol}",
        ]
    skipped = {"HOME", "PATH"}
    for entry in (*target.config.env, *target.options.env):
        variable, _, value = entry.partition("=")
        if variable not in skipped:
            found.append(f"{word}_ENV_{variable}={value}")
    return found
