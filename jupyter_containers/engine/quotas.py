"""The limits that the machine's administrator sets: ``/etc/jupyter_containers/lab.toml``.

::

    for_root = false              # true where every user is root, as in a pod
    locked = ["registry_mirrors"] # settings below that users cannot change

    [settings]                    # defaults of everybody's settings
    additional_stores = ["/srv/class"]

    [limits]                      # for each user; absent: no limit
    containers = 5                # running at once
    memory = "2g"                 # of all running containers together
    cpus = 2
    disk = "10g"                  # images, containers, volumes, build cache

    [allow]                       # absent: everything is allowed
    pull = ["docker.io/library", "registry.lab:5000/*"]
    push = ["registry.lab:5000"]
    archives = false              # load, import, ADD of an archive, OCI layouts, local caches

    [groups.staff]                # other limits for the members of a group
    memory = "8g"
    [users.alice]                 # or for one user; overrides the groups
    disk = "50g"

The engine refuses requests beyond the limits, counted over all known stores of the user
(:mod:`.usage`).  Where it can create control groups, all of a user's containers are in one that has
the limits, and the kernel enforces their sum; elsewhere each process is limited, and the engine
adds up the containers' requests.  Programs that the user runs without this engine are limited only
by the administrator's settings for the login (systemd's ``user-.slice``, disk quotas, a hub's
limits).
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from jupyter_containers.engine.usage import Elsewhere, KnownRoots, store_size
from jupyter_containers.errors import DeniedError, InvalidArgumentError, QuotaError
from jupyter_containers.lazy_dataclasses import dataclass, field, replace
from jupyter_containers.oci.decoding import DECODE_ERRORS
from jupyter_containers.settings import LAB_FILE, SYSTEM_REGISTRY_FILES, machine_user, read_lab

if TYPE_CHECKING:
    from jupyter_containers.engine.context import EngineContext
    from jupyter_containers.options import RunOptions


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The limits of one user; None means no limit."""

    containers: int | None = None
    memory: int | str | None = None
    cpus: float | None = None
    disk: int | str | None = None


class Allow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The registries that a user may pull from and push to; None means all."""

    pull: tuple[str, ...] | None = None
    push: tuple[str, ...] | None = None
    archives: bool = True


_EVERYTHING = Allow()


class LabFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The administrator's file."""

    for_root: bool = False
    contexts: dict[str, object] = {}  # read by contexts.py
    locked: tuple[str, ...] = ()
    settings: dict[str, object] = {}
    limits: Limits = Limits()
    allow: Allow = Allow()
    groups: dict[str, Limits] = {}
    users: dict[str, Limits] = {}


@dataclass(frozen=True, slots=True)
class Quotas:
    """The limits of this user, in bytes and CPUs; 0 is no limit."""

    containers: int = 0
    memory: int = 0
    cpus: float = 0.0
    disk: int = 0
    allow: Allow = _EVERYTHING
    file: Path = LAB_FILE
    roots: KnownRoots | None = None
    settings: Mapping[str, object] = field(default_factory=dict)

    def facts(self, context: EngineContext) -> dict[str, float]:
        """Return the existing limits (bytes, CPUs), and the disk usage if the disk is limited."""
        limits = {
            "Containers": self.containers,
            "Memory": self.memory,
            "CPUs": self.cpus,
            "Disk": self.disk,
        }
        used = {"DiskUsed": self._disk_used(context)} if self.disk else {}
        return {name: value for name, value in limits.items() if value} | used

    @property
    def limited(self) -> bool:
        """Whether containers, memory or CPUs are limited."""
        return bool(self.containers or self.memory or self.cpus)

    def capped(self, options: RunOptions) -> RunOptions:
        """Return the options with the user's limits filled in where they set none.

        Raises :class:`QuotaError` for options that ask for more.
        """
        if not self.memory and not self.cpus:
            return options
        from jupyter_containers.runtime.resources import CPU_PERIOD

        if options.cgroup_parent:
            raise self._error("--cgroup-parent would leave the control group of your limits")
        if options.memory > self.memory > 0:
            raise self._error(
                f"--memory {_size(options.memory)} is over your limit, {_size(self.memory)}"
            )
        swap = options.memory_swap
        if self.memory and (swap < 0 or swap > 2 * self.memory):
            raise self._error(f"--memory-swap is over your limit, {_size(2 * self.memory)}")
        requested = options.cpus or options.cpu_quota / (options.cpu_period or CPU_PERIOD)
        if requested > self.cpus > 0:
            raise self._error(f"--cpus {requested:g} is over your limit, {self.cpus:g}")
        return msgspec.structs.replace(
            options,
            memory=options.memory or self.memory,
            cpus=self.cpus if self.cpus and not requested else options.cpus,
        )

    @contextmanager
    def starting(
        self, context: EngineContext, container_id: str, options: RunOptions
    ) -> Iterator[None]:
        """Reserve room for one more container while it starts.

        Raises :class:`QuotaError` if there is none.
        """
        if not self.limited:
            yield
            return
        with context.store.locks.hold("quota"), self._known_roots(context) as roots:
            others = [
                record.options
                for record in context.containers.all()
                if record.id != container_id and record.state.status.alive
            ]
            beyond = roots.elsewhere(context.settings.root) if roots else Elsewhere()
            count = len(others) + len(beyond.running)
            if self.containers and count >= self.containers:
                where = (
                    f", {len(beyond.running)} of them in {beyond.roots}" if beyond.running else ""
                )
                raise self._error(
                    f"{count} containers run{where}, and your limit is {self.containers}",
                    "stop one of them",
                )
            self._enforce(context, options, others, beyond)
            yield

    @contextmanager
    def _known_roots(self, context: EngineContext) -> Iterator[KnownRoots | None]:
        """Note this store, then yield the user's stores and hold off the user's other engines."""
        if self.roots is None:
            yield None
            return
        self.roots.note(context.settings.root)
        with self.roots.held():
            yield self.roots

    def hold(self, context: EngineContext) -> bool:
        """Limit the sum of this store's containers; return False if memory cannot be limited."""
        from jupyter_containers.runtime.cgroup_limits import limit_group

        layout, parent = context.host.cgroups, context.runtime.cgroup_parent
        return limit_group(layout, parent, memory=self.memory, cpus=self.cpus)

    def _enforce(
        self,
        context: EngineContext,
        options: RunOptions,
        others: list[RunOptions],
        beyond: Elsewhere,
    ) -> None:
        # The kernel limits the sum within one store; the sum over several stores is computed here.
        elsewhere = [each for _, each in beyond.running]
        if (self.hold(context) and not elsewhere) or not (self.memory or self.cpus):
            return
        if self.memory:
            requested = sum(one.memory for one in [*others, *elsewhere])
            if options.memory + requested > self.memory:
                raise self._error(
                    f"the running containers ask for {_size(requested)} of your"
                    f" {_size(self.memory)}, and this one for {_size(options.memory)}",
                    "give it less with --memory, or stop one of them",
                )
        if self.cpus and elsewhere:
            taken = sum(one.cpus for one in [*others, *elsewhere])
            if options.cpus + taken > self.cpus:
                raise self._error(
                    f"the running containers have {taken:g} of your {self.cpus:g} CPUs,"
                    f" and this one asks for {options.cpus:g}",
                    f"give it fewer with --cpus, or stop one in {beyond.roots}",
                )

    def check_disk(self, context: EngineContext, more: int = 0) -> None:
        """Raise :class:`QuotaError` if the user's bytes, plus ``more``, exceed the disk limit."""
        if not self.disk:
            return
        used = self._disk_used(context)
        if used + more > self.disk:
            coming = f", {_size(more)} would be added" if more else ""
            raise self._error(
                f"your disk quota of {_size(self.disk)} is used up: {_size(used)} are here{coming}",
                "remove what is unused: system prune -a",
            )

    def _disk_used(self, context: EngineContext) -> int:
        """Return the bytes of this store and of the user's other ones."""
        own, root = store_size(context.store), context.settings.root
        if self.roots is None:
            return own
        self.roots.note(root)
        return own + self.roots.elsewhere(root).disk

    def check_registry(self, name: str, action: Literal["pull", "push", "search"]) -> None:
        """Raise :class:`DeniedError` if the lab file does not allow this image or registry."""
        allowed = self.allow.push if action == "push" else self.allow.pull
        if allowed is None or any(_covers(pattern, name) for pattern in allowed):
            return
        bare = "/" not in name  # the registry as a whole: login, catalog
        if bare and any(fnmatchcase(name, pattern.partition("/")[0]) for pattern in allowed):
            return
        raise DeniedError(
            f"{action} of {name} is not allowed on this machine",
            hint=f"{self.file} allows {', '.join(allowed) or 'none'}",
        )

    def check_locations(self, name: str, locations: Iterable[str], trusted: Set[str]) -> None:
        """Raise :class:`DeniedError` for a mirror or other location that is not allowed.

        ``locations`` (host and path) are read instead of ``name``'s own registry; ``trusted`` are
        the hosts that the administrator configured.
        """
        allowed = self.allow.pull
        for location in locations:
            host = location.partition("/")[0]
            if allowed is None or host in trusted or any(_covers(one, location) for one in allowed):
                continue
            raise DeniedError(
                f"pull of {name} from {location} is not allowed on this machine",
                hint=f"{self.file} allows {', '.join(allowed) or 'none'};"
                " see registry_mirrors and registries.conf",
            )

    def check_packages(self, mirror: str) -> None:
        """Raise :class:`DeniedError` for a user's own package mirror if pulls are restricted."""
        if mirror and self.allow.pull is not None and mirror != self.settings.get("debian_mirror"):
            raise DeniedError(
                f"packages from {mirror} are not allowed on this machine",
                hint=f"remove debian_mirror from your settings; see {self.file}",
            )

    def trusted_hosts(self) -> frozenset[str]:
        """Return the hosts of the mirrors in the administrator's configuration."""
        from jupyter_containers.registry import read_registry_files
        from jupyter_containers.registry.endpoint import Endpoint

        files = read_registry_files(SYSTEM_REGISTRY_FILES)
        own = self.settings.get("registry_mirrors", ())
        entries = own.split(",") if isinstance(own, str) else own
        named = (
            [str(each).strip() for each in entries] if isinstance(entries, (list, tuple)) else []
        )
        # The entry may apply to one registry: quay.io=https://mirror.
        mirrors = (each.partition("=")[2] or each for each in [*named, *files.hub_mirrors] if each)
        places = (place for rule in files.rules for place in (rule.place, *rule.mirrors))
        return frozenset(
            [
                *(Endpoint.of_mirror(mirror).host for mirror in mirrors),
                *(place.location.partition("/")[0] for place in places if place.location),
            ]
        )

    def check_archive(self, word: str) -> None:
        """Raise :class:`DeniedError` if images may not be read from files."""
        if not self.allow.archives:
            raise DeniedError(
                f"{word} is not allowed on this machine", hint=f"see archives in {self.file}"
            )

    def _error(self, what: str, advice: str = "") -> QuotaError:
        prefix = f"{advice}; " if advice else ""
        return QuotaError(what, hint=f"{prefix}the limits of this machine are in {self.file}")


def quotas_of(name: str, groups: set[str], lab: LabFile, file: Path = LAB_FILE) -> Quotas:
    """Return a user's limits: its own override those of its groups, these everybody's.

    If several groups set a limit, the largest applies.
    """
    chosen: dict[str, float] = {}
    for word in Limits.__struct_fields__:
        common = _number(lab.limits, word, file)
        of_groups = [
            value
            for group, limits in lab.groups.items()
            if group in groups and (value := _number(limits, word, file)) is not None
        ]
        own = _number(lab.users[name], word, file) if name in lab.users else None
        value = own if own is not None else max(of_groups) if of_groups else common
        chosen[word] = value or 0
    return Quotas(
        containers=int(chosen["containers"]),
        memory=int(chosen["memory"]),
        cpus=chosen["cpus"],
        disk=int(chosen["disk"]),
        allow=lab.allow,
        file=file,
        settings=lab.settings,
    )


def read_quotas(file: Path = LAB_FILE) -> Quotas:
    """Return the limits of this process's user from the administrator's file.

    Raises :class:`InvalidArgumentError` for an invalid file.
    """
    document = read_lab(file)
    if not document:
        return Quotas()
    try:
        lab = msgspec.convert(document, LabFile)
    except DECODE_ERRORS as error:
        raise InvalidArgumentError(f"{file}: {error}") from error
    uid = machine_user()
    if uid == 0 and not lab.for_root:
        return Quotas()
    found = quotas_of(*_account(uid), lab, file)
    counted = found.limited or found.disk
    return replace(found, roots=KnownRoots.of(uid)) if counted else found


def _account(uid: int) -> tuple[str, set[str]]:
    """Return a user's name and groups."""
    import grp

    try:
        entry = pwd.getpwuid(uid)
    except (KeyError, OverflowError):
        return str(uid), set()
    found = set()
    for gid in os.getgrouplist(entry.pw_name, entry.pw_gid):
        try:
            found.add(grp.getgrgid(gid).gr_name)
        except KeyError:
            continue
    return entry.pw_name, found


def _number(limits: Limits, field: str, file: Path) -> float | None:
    from jupyter_containers.options.values import parse_size

    value = getattr(limits, field)
    if value is None:
        return None
    number = parse_size(value, f"{field} in {file}") if isinstance(value, str) else value
    if number < 0:
        raise InvalidArgumentError(f"{file}: {field} is below 0")
    return float(number)


def _covers(pattern: str, name: str) -> bool:
    """Return whether a pattern matches a repository: by name, by a parent, or by wildcards."""
    pattern = pattern.rstrip("/")
    return name == pattern or name.startswith(f"{pattern}/") or fnmatchcase(name, pattern)


def _size(count: int) -> str:
    value = float(count)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.4g}{unit}"
        value /= 1024
    return f"{value:.4g}GiB"
