"""Host names: the names of containers for each other, in their hosts files.

Every container of a user-defined network has the others in its ``/etc/hosts``, by name, alias,
short ID and host name.  This works with every C library and language, also for reverse lookups; the
file is rewritten in place whenever a container joins or leaves (see :mod:`.name_files` for its
location).  The name server (:mod:`.name_service`) reads the same file.  On the default network,
only names given by ``--link`` are known.

The engine's block is between two comment lines; the rest of the file is not changed while the
container runs.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterator, Sequence

import msgspec

from jupyter_containers.engine.bundle import Bundle
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.name_files import SIZE, open_hosts
from jupyter_containers.engine.networks.catalog import Networks
from jupyter_containers.engine.records import ContainerRecord, EndpointRecord
from jupyter_containers.errors import (
    ContainerNotFoundError,
    InvalidArgumentError,
    InvalidStateError,
)
from jupyter_containers.lazy_dataclasses import replace
from jupyter_containers.network.names import HostEntry, hosts_lines
from jupyter_containers.options.network import DEFAULT_NETWORK, NetworkRequest

_BEGIN = "# containers of the same network:\n"
_END = "# (end of containers)\n"


class Hostnames:
    """The names on the networks of one store."""

    def __init__(self, context: EngineContext, networks: Networks) -> None:
        self._context, self._networks = context, networks
        self._folders = f"{context.settings.root.resolve()}/containers"

    def bundle(self, container_id: str) -> Bundle:
        """Return the bundle of a container."""
        return Bundle(self._context.settings.layout.containers / container_id)

    def known(self, owner_id: str) -> str:
        """Return the lines of a hosts file for the other containers on the networks of an owner."""
        return self._blocks(self._context.endpoints.all()).get(owner_id, "")

    def write(self, container_id: str, head: str) -> str:
        """Write the hosts file of a starting container; return its path."""
        with self._context.store.locks.hold("hosts"):
            block = self._blocks(self._context.endpoints.all()).get(container_id, "")
            return self.bundle(container_id).write_name_file("hosts", head + block)

    def refresh(self, record: ContainerRecord) -> None:
        """Update the hosts file of a starting container with those that joined in the meantime."""
        if any(not self._networks.is_default(item.network_id) for item in record.endpoints):
            with self._context.store.locks.hold("hosts"):
                block = self._blocks(self._context.endpoints.all()).get(record.id, "")
                _replace_block(self._folder(record.id), block)

    def refresh_all(self, network_ids: Collection[str]) -> None:
        """Update the hosts files of all containers in these networks."""
        if not network_ids:
            return
        # One at a time, so that a later reader of the records is also the later writer.
        with self._context.store.locks.hold("hosts"):
            claims = self._context.endpoints.all()
            blocks = self._blocks(claims)
            concerned = dict.fromkeys(
                claim.container_id for claim in claims if claim.network_id in network_ids
            )
            for container_id in concerned:
                if container_id in blocks:
                    _replace_block(self._folder(container_id), blocks[container_id])

    def forget(self, container_id: str, addresses: Collection[str]) -> None:
        """Remove a left network's names, and the container's own addresses there, from its file."""
        with self._context.store.locks.hold("hosts"):
            block = self._blocks(self._context.endpoints.all()).get(container_id, "")
            _replace_block(self._folder(container_id), block, without=addresses)

    def _folder(self, container_id: str) -> str:
        # Text, because pathlib takes a third of the time to update two hundred containers.
        return f"{self._folders}/{container_id}"

    def _blocks(self, claims: Sequence[EndpointRecord]) -> dict[str, str]:
        """Return the engine's block of the hosts file by container, for those that have one.

        Most containers of a network have the same block, so each text is created once.
        """
        default = self._context.networks.by_name(DEFAULT_NETWORK)
        members: dict[str, list[EndpointRecord]] = {}
        places: dict[str, list[EndpointRecord]] = {}
        for claim in claims:
            members.setdefault(claim.network_id, []).append(claim)
            places.setdefault(claim.container_id, []).append(claim)
        made: dict[tuple[object, ...], str] = {}
        found = {}
        for container_id, own in places.items():
            key = tuple((claim.network_id, claim.links) for claim in own)
            if key not in made:
                entries = [
                    entry
                    for claim in own
                    for entry in _entries(
                        claim,
                        members[claim.network_id],
                        named=default is None or claim.network_id != default.id,
                    )
                ]
                text = hosts_lines(entries)
                made[key] = f"{_BEGIN}{text}{_END}" if text else ""
            if made[key]:
                found[container_id] = made[key]
        return found

    def links_of(
        self, record: ContainerRecord, request: NetworkRequest
    ) -> tuple[tuple[str, str], ...]:
        """Return the containers that a starting one is linked to, by ID, and their aliases.

        On the default network they must run, as with Docker.  On others one that is not here yet is
        returned by the name under which it will come.
        """
        found = []
        for name, alias in request.links:
            target = self._context.containers.find(name)
            on_default = self._networks.find(request.name).name == DEFAULT_NETWORK
            if target is None and on_default:
                raise ContainerNotFoundError(f"cannot link to {name}: no such container")
            if target is None:
                found.append((name, alias))
                continue
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

    def unlink(self, record: ContainerRecord, alias: str) -> None:
        """Remove a link on the default network, also from the hosts file of a running container.

        Raises :class:`NotFoundError` where the container has no such link.
        """
        networks = tuple(
            _unlinked(request, alias) if request.name == DEFAULT_NETWORK else request
            for request in record.networks
        )
        if networks == record.networks:
            raise ContainerNotFoundError(f"no such link: {record.name}/{alias}")
        self._context.containers.update(
            record.id, lambda current: msgspec.structs.replace(current, networks=networks)
        )
        default = self._networks.find(DEFAULT_NETWORK)
        for claim in self._context.endpoints.all():
            if claim.container_id == record.id and claim.network_id == default.id:
                self._context.endpoints.update(
                    claim.id,
                    lambda item: msgspec.structs.replace(item, links=_apart(item.links, alias)),
                )
        self.forget(record.id, ())

    def link_variables(self, record: ContainerRecord) -> tuple[str, ...]:
        """Return the environment variables of Docker for a container's links.

        They exist only on the default network; elsewhere a link is only a name.
        """
        found: list[str] = []
        for request in record.networks:
            if request.name != DEFAULT_NETWORK:
                continue
            for name, alias in request.links:
                target = self._context.containers.find(name)
                if target is not None and target.endpoints:
                    found += _variables(record.name, alias, target)
        return tuple(found)

    def rename(self, record: ContainerRecord, former: str) -> None:
        """Update a running container's name in its networks."""
        for claim in self._context.endpoints.all():
            if claim.container_id == record.id and former in claim.names:
                self._context.endpoints.update(
                    claim.id, lambda item: _rename_claim(item, former, record.name)
                )
        self.refresh_all({endpoint.network_id for endpoint in record.endpoints})


def _unlinked(request: NetworkRequest, alias: str) -> NetworkRequest:
    return replace(request, links=_apart(request.links, alias))


def _apart(links: tuple[tuple[str, str], ...], alias: str) -> tuple[tuple[str, str], ...]:
    return tuple(link for link in links if link[1] != alias)


def _entries(
    own: EndpointRecord, members: Sequence[EndpointRecord], *, named: bool
) -> Iterator[HostEntry]:
    """Yield the hosts entries of a network; without ``named`` only those of linked containers."""
    for claim in members:
        known_as = {claim.container_id, *claim.names}
        further = [alias for target, alias in own.links if target in known_as]
        names = (*further, *(claim.names if named or further else ()))
        for address in (claim.address, claim.address6):
            if address and names:
                yield HostEntry(address, names)


def _replace_block(folder: str, block: str, without: Collection[str] = ()) -> None:
    """Replace the engine's block in the hosts file of a running container.

    Lines with addresses in ``without`` are removed from the rest.
    """
    try:
        descriptor = open_hosts(folder)
    except (FileNotFoundError, ValueError):
        return  # a build step, or a starting container that writes its own
    try:
        replace_block(descriptor, block, without)
    finally:
        os.close(descriptor)


def replace_block(descriptor: int, block: str, without: Collection[str] = ()) -> None:
    """Replace the engine's block in an open file, in place: a running container has it mounted.

    If the container has filled the file system, everything but the block is dropped.
    """
    text = os.pread(descriptor, SIZE, 0).decode(errors="surrogateescape")
    before, begin, rest = text.partition(_BEGIN)
    after = rest.partition(_END)[2] if begin else ""
    if without:
        lines = before.splitlines(keepends=True)
        before = "".join(line for line in lines if line.partition("\t")[0] not in without)
    changed = f"{before}{block}{after}"
    if changed == text:
        return
    data = changed.encode(errors="surrogateescape")
    if os.fstat(descriptor).st_size >= SIZE or not _write_contents(descriptor, data):
        os.ftruncate(descriptor, 0)
        _write_contents(descriptor, block.encode())


def _write_contents(descriptor: int, data: bytes) -> bool:
    """Replace a file's contents; return False if there is no space."""
    try:
        done = os.pwrite(descriptor, data, 0)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
    if done == len(data):
        os.ftruncate(descriptor, done)
    return done == len(data)


def _rename_claim(claim: EndpointRecord, former: str, name: str) -> EndpointRecord:
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
