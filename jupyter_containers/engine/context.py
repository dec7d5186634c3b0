"""The context of an engine's services: store, runtime, network and registry, opened on first use.

Opening the store costs a millisecond, probing the host a few: a command that only lists images
never probes, and one that only runs containers never loads the registry client.  All are closed
together.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar, cast

from jupyter_containers.engine.journal import Journal
from jupyter_containers.engine.records import (
    BuildNote,
    BuiltSteps,
    ContainerRecord,
    EndpointRecord,
    VolumeRecord,
)
from jupyter_containers.engine.shared_stores import additional_stores
from jupyter_containers.events import CancelToken
from jupyter_containers.filesystems import RUN_ROOT_HINT, check_contents, check_place
from jupyter_containers.lazy_modules import hashlib, json
from jupyter_containers.network.model import Network
from jupyter_containers.runtime.process import ProcessIdentity
from jupyter_containers.settings import Settings, default_settings
from jupyter_containers.store import Store

if TYPE_CHECKING:
    from jupyter_containers.engine.quotas import Quotas
    from jupyter_containers.engine.registry_logins import RegistryLogin
    from jupyter_containers.network.bridge import BridgeDriver
    from jupyter_containers.network.firewall import Firewall
    from jupyter_containers.network.packet_filter import PacketFilter
    from jupyter_containers.registry import (
        Credential,
        CredentialSource,
        CredentialStore,
        RegistryClient,
        RegistryFiles,
    )
    from jupyter_containers.registry.configuration import Route
    from jupyter_containers.runtime.drivers import Driver
    from jupyter_containers.runtime.host import HostCapabilities
    from jupyter_containers.runtime.monitor import Monitor
    from jupyter_containers.runtime.oci_runtime import OCIRuntime
    from jupyter_containers.store import Collection

T = TypeVar("T")

MAIN_BRIDGE = "jc0"
# Temporary credentials by registry, for the duration of a block (see RegistryService.lending).
LENT: ContextVar[Mapping[str, Credential]] = ContextVar("LENT")


class EngineContext:
    """Store, runtime, network and registry for one set of settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.workbench = settings.layout.builds
        check_place(settings.run_root, "a folder for sockets and locks", RUN_ROOT_HINT)
        if settings.run_root.is_dir():
            check_contents(settings.run_root, "a folder for sockets and locks", RUN_ROOT_HINT)
        self.store = Store.open(
            settings.root, additional_stores(settings), lambda: self.driver.name
        )
        self.journal = Journal(self.store.journal)

    @cached_property
    def containers(self) -> Collection[ContainerRecord]:
        """The records of containers."""
        return self.store.records.collection("containers", ContainerRecord)

    @cached_property
    def networks(self) -> Collection[Network]:
        """The records of bridge networks."""
        return self.store.records.collection("networks", Network)

    @cached_property
    def endpoints(self) -> Collection[EndpointRecord]:
        """The addresses assigned to containers."""
        return self.store.records.collection("endpoints", EndpointRecord)

    @cached_property
    def volumes(self) -> Collection[VolumeRecord]:
        """The records of volumes."""
        return self.store.records.collection("volumes", VolumeRecord)

    @cached_property
    def builds(self) -> Collection[BuildNote]:
        """The records of finished builds."""
        return self.store.records.collection("builds", BuildNote)

    @cached_property
    def built_steps(self) -> Collection[BuiltSteps]:
        """The steps of those builds, by the same ID."""
        return self.store.records.collection("built-steps", BuiltSteps)

    @cached_property
    def registry_logins(self) -> Collection[RegistryLogin]:
        """The passwords of the registries that run on this machine."""
        from jupyter_containers.engine.registry_logins import RegistryLogin

        return self.store.records.collection("registry-logins", RegistryLogin)

    @cached_property
    def host(self) -> HostCapabilities:
        """The capabilities of this machine, probed once."""
        from jupyter_containers.runtime.cgroup_delegation import layout_for_root
        from jupyter_containers.runtime.host import probe

        found = probe(self.settings.runtime)
        if not found.users.initial:
            return found
        return dataclasses.replace(found, cgroups=layout_for_root(found.cgroups))

    @cached_property
    def driver(self) -> Driver:
        """The storage driver that works here, tested once."""
        from jupyter_containers.runtime.drivers import choose

        settings = self.settings
        wish, scratch = settings.storage_driver, self.store.scratch
        return choose(wish, settings.root, settings.layout.storage_driver, scratch)

    @cached_property
    def runtime(self) -> OCIRuntime:
        """The OCI runtime.

        Raises :class:`UnsupportedError` if none works here, naming what would provide one.
        """
        from jupyter_containers.runtime.oci_runtime import OCIRuntime
        from jupyter_containers.runtime.spec import CGROUP_PARENT

        # Derived from the root like bridge and firewall table, so that a sweep finds its own
        # store's groups.
        parent = CGROUP_PARENT if self._is_main else f"{CGROUP_PARENT}-{self._mark}"
        return OCIRuntime(self.host, self.settings.layout.runtime, cgroup_parent=parent)

    @cached_property
    def monitor(self) -> Monitor:
        """Conmon, configured for that runtime."""
        from jupyter_containers.runtime.monitor import Monitor

        return Monitor(self.host.require_conmon(), self.runtime)

    @cached_property
    def settings_text(self) -> str:
        """The settings as JSON, for the processes that conmon starts."""
        values = dataclasses.asdict(self.settings)
        values |= {"root": str(self.settings.root), "run_root": str(self.settings.run_root)}
        return json.dumps(values | {"bridge_name": self.bridge_name})

    @cached_property
    def bridge_name(self) -> str:
        """The interface of the default network; each store of a host has its own."""
        if self.settings.bridge_name:
            return self.settings.bridge_name
        return MAIN_BRIDGE if self._is_main else f"jc{self._mark}"

    @cached_property
    def subnet_pool(self) -> str:
        """The address pool for subnets: a sixteenth of the configured one for a secondary store."""
        pool = ipaddress.IPv4Network(self.settings.subnet_pool)
        if self.bridge_name == MAIN_BRIDGE or pool.prefixlen > 20:
            return str(pool)
        parts = list(pool.subnets(prefixlen_diff=4))
        return str(parts[int(self._mark, 16) % len(parts)])

    @cached_property
    def quotas(self) -> Quotas:
        """The limits that the administrator has set for this user."""
        from jupyter_containers.engine.quotas import read_quotas

        return read_quotas()

    @property
    def _is_main(self) -> bool:
        return default_settings(os.environ).root == self.settings.root

    @property
    def _mark(self) -> str:
        return hashlib.sha256(os.fsencode(self.settings.root)).hexdigest()[:8]

    @cached_property
    def firewall(self) -> PacketFilter:
        """The firewall table of published ports and network isolation."""
        if self.host.users.initial:
            return self._table
        from jupyter_containers.network.relayed import RelayedFirewall
        from jupyter_containers.network.usermode import Uplink

        user = self.settings.layout.user
        reason = user.no_uplink.read_text() if user.no_uplink.exists() else ""
        return RelayedFirewall(self._inside(self._table), Uplink(user.uplink), reason)

    def _inside(self, target: T, outside: Sequence[str] = ()) -> T:
        """Return the object, wrapped so that it runs inside this user's network namespace."""
        if self.host.users.initial:
            return target
        from jupyter_containers.network.namespace import NetworkNamespace
        from jupyter_containers.network.relayed import InNamespace

        def enter() -> NetworkNamespace:
            pid, _ = self.settings.layout.user.holder.read_text().split()
            return NetworkNamespace.from_pid(int(pid))

        return cast(T, InNamespace(target, enter, outside))

    @cached_property
    def _table(self) -> Firewall:
        from jupyter_containers.network.firewall import DEFAULT_TABLE, Firewall

        name = self.bridge_name
        return Firewall(DEFAULT_TABLE if name == MAIN_BRIDGE else f"{DEFAULT_TABLE}_{name}")

    @cached_property
    def bridge(self) -> BridgeDriver:
        """The driver of bridge networks."""
        from jupyter_containers.network.bridge import BridgeDriver

        return self._inside(BridgeDriver(self._table), outside=("uplink_mtu",))

    @property
    def process(self) -> ProcessIdentity:
        """This process, as the owner of unfinished work; never cached, because of forks."""
        identity = ProcessIdentity.of(os.getpid())
        assert identity is not None  # we are alive
        return identity

    @cached_property
    def credentials(self) -> CredentialStore:
        """The user's registry credentials."""
        from jupyter_containers.registry import CredentialStore

        return CredentialStore()

    @cached_property
    def registry_files(self) -> RegistryFiles:
        """Docker's and Podman's registry configuration files, read once."""
        from jupyter_containers.registry import read_registry_files

        return read_registry_files(Path(path) for path in self.settings.registry_files)

    def registry(
        self,
        name: str,
        credential: Credential | None = None,
        cancel: CancelToken | None = None,
        *,
        repository: str = "",
        push: bool = False,
        search: bool = False,
        insecure: bool = False,
        on_wait: Callable[[str, float], None] | None = None,
    ) -> RegistryClient:
        """Return a client for one registry or one of its repositories; close it after use.

        ``push`` opens it for writing, ``search`` for searching only, ``insecure`` permits access
        without TLS.  ``on_wait(host, seconds)`` is called before a pause that the registry
        requests.  ``credential`` replaces the stored ones, to test it.  Raises :class:`DeniedError`
        if the machine's configuration blocks the repository.
        """
        from jupyter_containers.registry import FixedCredentials, RegistryClient, route
        from jupyter_containers.registry.credentials import RepositoryCredentials
        from jupyter_containers.registry.delivery import ignore_wait
        from jupyter_containers.registry.search import search_endpoint

        action: Literal["pull", "push", "search"] = (
            "push" if push else "search" if search else "pull"
        )
        self.quotas.check_registry(f"{name}/{repository}" if repository else name, action)
        way = route(
            name,
            repository,
            insecure=self.settings.insecure_registries,
            mirrors=self.settings.registry_mirrors,
            files=self.registry_files,
            push=push,
        )
        self._check_route(name, repository, way)
        credential = credential or LENT.get({}).get(name)
        source = RepositoryCredentials(self.credentials, repository)
        given = FixedCredentials({way.main.registry: credential}) if credential else None
        return RegistryClient(
            name,
            credentials=given or self._with_logins(source),
            insecure=(*way.insecure, way.main.host) if insecure else way.insecure,
            mirrors=way.mirrors,
            certificate_folders=[Path(place) for place in self.settings.certificate_folders],
            endpoint=search_endpoint(name) if search else way.main,
            cancel=cancel,
            on_wait=on_wait or ignore_wait,
        )

    def _with_logins(self, source: CredentialSource) -> CredentialSource:
        """Return the credentials, preceded by those of registries that run on this machine."""
        logins = self.registry_logins.all()
        if not logins:
            return source
        from jupyter_containers.engine.registry_logins import LocalLogins

        return LocalLogins(tuple(logins), self.containers.all(), source)

    def _check_route(self, name: str, repository: str, way: Route) -> None:
        """Raise :class:`DeniedError` for a mirror or location that the lab file does not allow."""
        from jupyter_containers.registry.endpoint import Endpoint

        if self.quotas.allow.pull is None:
            return
        own = Endpoint.of_registry(name).host
        others = [
            f"{each.host}{each.prefix}/{each.renamed(repository)}".rstrip("/")
            for each in (way.main, *way.mirrors)
            if each.host != own or each.renamed(repository) != repository
        ]
        if others:
            whole = f"{name}/{repository}" if repository else name
            self.quotas.check_locations(whole, others, self.quotas.trusted_hosts())

    def close(self) -> None:
        """Close everything that was opened."""
        self.store.close()
