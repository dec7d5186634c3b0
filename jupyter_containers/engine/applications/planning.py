"""Plans the steps from the existing objects to the requested ones: values in, values out.

The decisions are those of Docker Compose 2.40: a container is recreated when its config hash,
image, networks or volumes differ from the file; a service that shrinks loses obsolete containers
first, then those with high numbers; a service starts when its dependencies meet their conditions,
and everything is created before anything is started.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from jupyter_containers.compose.consistency import scale
from jupyter_containers.compose.project import Project, document_hash, service_hash
from jupyter_containers.engine.applications import labels
from jupyter_containers.engine.applications.observed import Attached, Instance, Seen
from jupyter_containers.engine.applications.steps import (
    Await,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    DiscardContainer,
    Draft,
    KeepContainer,
    Plan,
    RemoveImage,
    RemoveNetwork,
    RemoveVolume,
    StartContainer,
    StopContainer,
)
from jupyter_containers.errors import InvalidStateError, NotFoundError
from jupyter_containers.lazy_dataclasses import dataclass, field

Recreate = Literal["diverged", "force", "never"]
SHARED = ("network_mode", "ipc", "pid")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpWish:
    """The options of ``up``.

    ``images`` are image IDs by service; ``chosen`` are the services that were named, all if empty;
    ``image_volumes`` are the paths that an image declares as volumes, by service; ``awaited`` are
    conditions of services awaited by something other than a service of the project.
    """

    images: Mapping[str, str] = field(default_factory=dict)
    image_volumes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    chosen: frozenset[str] = frozenset()
    recreate: Recreate = "diverged"
    recreate_dependencies: Recreate = "diverged"
    renew_volumes: bool = False
    timeout: float | None = None
    remove_orphans: bool = False
    ignore_orphans: bool = False
    start: bool = True
    wait: bool = False
    awaited: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def ordered(services: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the services, each after its dependencies."""
    found: dict[str, None] = {}
    for root in services:
        trail = [(root, iter(services[root].get("depends_on") or ()))]
        while trail:
            name, others = trail[-1]
            other = next((one for one in others if one in services and one not in found), None)
            if other is None:
                found[name] = None
                trail.pop()
            else:
                trail.append((other, iter(services[other].get("depends_on") or ())))
    return list(found)


def container_name(project: Project, service: str, number: int) -> str:
    """Return the name of a service's container: ``container_name``, or ``project-service-1``."""
    own = project.services[service].get("container_name")
    return str(own) if own else f"{project.name}-{service}-{number}"


def is_orphan(instance: Instance, declared: Iterable[str]) -> bool:
    """Return whether a container belongs to no service; a one-off one counts once it has ended."""
    if instance.oneoff:
        return instance.state in ("exited", "dead")
    return instance.service not in declared


def plan_up(project: Project, seen: Seen, wish: UpWish) -> Plan:
    """Return the plan that brings a project up from the existing objects."""
    return _Up(project, seen, wish).plan()


class _Up:
    """A plan of ``up`` under construction."""

    def __init__(self, project: Project, seen: Seen, wish: UpWish) -> None:
        self._project, self._seen, self._wish = project, seen, wish
        self._draft = Draft()
        # The final containers of each service; None for the ID of one not created yet.
        self._ids: dict[str, list[str | None]] = {}
        self._names: dict[str, list[str]] = {}
        self._running: dict[str, set[str]] = {}
        self._stopped: set[str] = set()
        # Services left out (--no-deps) still have containers that others refer to.
        for one in seen.instances:
            if not one.oneoff and one.service not in project.services:
                self._ids.setdefault(one.service, []).append(one.id)

    def plan(self) -> Plan:
        self._networks()
        self._volumes()
        self._orphans()
        surroundings = self._draft.barrier("surroundings")
        services = ordered(self._project.services)
        for service in services:
            self._service(service, surroundings)
        if self._wish.start:
            made = self._draft.barrier("created")
            for service in services:
                self._start(service, made)
            for other, entry in self._wish.awaited.items():
                self._dependency("run", other, entry)
            if self._wish.wait:
                self._wait(services)
        return self._draft.plan()

    # -- networks and volumes --------------------------------------------------------------------

    def _networks(self) -> None:
        for key, model in (self._project.model.get("networks") or {}).items():
            name = (model or {}).get("name") or f"{self._project.name}_{key}"
            self._network(key, name, model or {})

    def _network(self, key: str, name: str, model: Mapping[str, Any]) -> None:
        existing = self._seen.networks.get(name)
        if model.get("external"):
            if existing is None:
                raise NotFoundError(
                    f"network {name} declared as external, but could not be found",
                    hint=f"network create {name}",
                )
            return
        digest = network_hash(model)
        wanted = labels.resource_labels(
            self._project.name, labels.NETWORK, key, model.get("labels", {}), digest
        )
        if existing is None:
            self._draft.add(f"network {name}", CreateNetwork(name, key, model, wanted))
            return
        self._check_owner("network", name, existing, labels.NETWORK, key)
        known = existing.get(labels.CONFIG_HASH, digest)
        if existing.get(labels.PROJECT) == self._project.name and known != digest:
            users = [one for one in self._seen.instances if name in one.networks]
            stops = [
                self._draft.add(f"stop {one.name}", StopContainer(one, self._wish.timeout))
                for one in users
                if one.running
            ]
            self._stopped.update(one.name for one in users)
            gone = self._draft.add(
                f"remove network {name}",
                RemoveNetwork(name, again=True),
                stops,
            )
            self._draft.add(f"network {name}", CreateNetwork(name, key, model, wanted), [gone])

    def _check_owner(
        self, kind: str, name: str, existing: Mapping[str, str], label: str, key: str
    ) -> None:
        owner = existing.get(labels.PROJECT)
        if owner == self._project.name and existing.get(label, key) == key:
            return
        if kind == "network" and owner == self._project.name:
            raise InvalidStateError(
                f"network {name} was found but has incorrect label {label} set to "
                f'"{existing.get(label, "")}" (expected: "{key}")',
                status="existing",
                operation="up",
            )
        if owner is None:
            word = "created by Docker Compose" if kind == "volume" else "created by compose"
            text = f"{kind} {name!r} already exists but was not {word}"
            if kind == "network":
                text = f"a network with name {name} exists but was not created by compose"
        else:
            text = f'{kind} "{name}" already exists but was created for project "{owner}"'
            if kind == "network":
                text = (
                    f"a network with name {name} exists but was not created for project "
                    f'"{self._project.name}"'
                )
        text = text.replace("'", '"')
        self._draft.warnings.append(f"{text}. Use `external: true` to use an existing {kind}")

    def _volumes(self) -> None:
        for key, model in (self._project.model.get("volumes") or {}).items():
            model = model or {}
            name = model.get("name") or f"{self._project.name}_{key}"
            existing = self._seen.volumes.get(name)
            if model.get("external"):
                if existing is None:
                    raise NotFoundError(
                        f'external volume "{name}" not found', hint=f"volume create {name}"
                    )
                continue
            if existing is not None:
                self._check_owner("volume", name, existing, labels.VOLUME, key)
                digest = volume_hash(model)
                if existing.get(labels.CONFIG_HASH, digest) != digest:
                    self._draft.warnings.append(
                        f'Volume "{name}" exists but doesn\'t match configuration in compose file. '
                        "It is kept; remove it (down -v) to make it again"
                    )
                continue
            wanted = labels.resource_labels(
                self._project.name,
                labels.VOLUME,
                key,
                model.get("labels", {}),
                volume_hash(model),
            )
            self._draft.add(f"volume {name}", CreateVolume(name, model, wanted))

    def _orphans(self) -> None:
        declared = {*self._project.declared, *self._project.services}
        orphans = [one for one in self._seen.instances if is_orphan(one, declared)]
        if not orphans or self._wish.ignore_orphans:
            return
        if self._wish.remove_orphans:
            for one in orphans:
                self._draft.add(f"remove {one.name}", DiscardContainer(one, self._wish.timeout))
            return
        names = " ".join(one.name for one in orphans)
        self._draft.warnings.append(
            f"Found orphan containers ([{names}]) for this project. If you removed or renamed this "
            "service in your compose file, you can run this command with the --remove-orphans flag "
            "to clean it up."
        )

    # -- containers ------------------------------------------------------------------------------

    def _service(self, service: str, surroundings: Sequence[str]) -> None:
        """Add the steps that bring a service's containers in line with the file."""
        wanted = scale(dict(self._project.services[service]))
        chosen = not self._wish.chosen or service in self._wish.chosen
        policy = self._wish.recreate if chosen else self._wish.recreate_dependencies
        digest = self._hash(service)
        present = self._seen.of(service)
        obsolete = {one.id for one in present if self._obsolete(service, one, policy, digest)}
        # Up-to-date ones with low numbers are kept first.
        present.sort(key=lambda one: (one.id in obsolete, one.number, one.created))
        self._ids[service], self._names[service] = [], []
        self._running[service] = set()
        needs = [*surroundings, *self._references(service)]
        for position, one in enumerate(present):
            if position >= wanted:
                self._draft.add(
                    f"remove {one.name}", DiscardContainer(one, self._wish.timeout), needs
                )
            elif one.id in obsolete:
                self._recreate(service, one, needs)
            else:
                self._keep(service, one, needs)
        number = max((one.number for one in present), default=0)
        for added in range(wanted - len(present)):
            self._create(service, number + 1 + added, needs)

    def _hash(self, service: str) -> str:
        """Return the config hash; empty if it depends on the ID of a container not created yet."""
        for other in referenced(self._project.services[service]):
            if not self._ids.get(other):
                raise InvalidStateError(
                    f"cannot share a namespace or volumes with service {other}: container missing",
                    status="missing",
                    operation="up",
                )
        ids = {
            other: found[0] if found else None for other, found in self._ids.items()
        }  # those of earlier services
        model = resolved(self._project.services[service], ids)
        return "" if model is None else service_hash(model)

    def _references(self, service: str) -> list[str]:
        """Return the steps that create the containers to which a service's containers refer."""
        model = self._project.services[service]
        names = [*referenced(model), *(text.partition(":")[0] for text in model.get("links", ()))]
        return [f"create {container}" for name in names for container in self._names.get(name, ())]

    def _obsolete(self, service: str, one: Instance, policy: Recreate, digest: str) -> bool:
        if policy != "diverged":
            return policy == "force"
        if one.config_hash != digest:
            return True
        image = self._wish.images.get(service, "")
        if image and one.image_id != image:
            return True
        model = self._project.services[service]
        if one.running and one.name not in self._stopped and not self._connected(model, one):
            return True
        mounted = {item.volume for item in one.attached}
        volumes = self._project.model.get("volumes") or {}
        return any(
            (volumes.get(item["source"]) or {}).get("name") not in mounted
            for item in model.get("volumes", ())
            if item["type"] == "volume" and item.get("source")
        )

    def _connected(self, model: Mapping[str, Any], one: Instance) -> bool:
        networks = self._project.model.get("networks") or {}
        return all(
            (networks.get(key) or {}).get("name") in one.networks
            for key in model.get("networks") or ()
        )

    def _recreate(self, service: str, old: Instance, needs: Sequence[str]) -> None:
        stops = [*needs, *self._stop_dependents(service)]
        name = container_name(self._project, service, old.number)
        inherits = () if self._wish.renew_volumes else self._inherited(service, old)
        action = CreateContainer(service, old.number, name, old, inherits)
        self._draft.add(f"create {name}", action, stops)
        self._ids[service].append(None)
        self._names[service].append(name)

    def _inherited(self, service: str, old: Instance) -> tuple[Attached, ...]:
        """Return the anonymous volumes that the new container takes over."""
        own = self._project.services[service].get("volumes", ())
        named = {item["target"] for item in own if item.get("source")}
        places = {
            *(item["target"] for item in own if not item.get("source")),
            *self._wish.image_volumes.get(service, ()),
        }
        return tuple(
            item for item in old.attached if item.target in places and item.target not in named
        )

    def _stop_dependents(self, service: str) -> list[str]:
        """Stop the services that are restarted together with this one."""
        found = []
        for name, model in self._project.services.items():
            if not ((model.get("depends_on") or {}).get(service) or {}).get("restart"):
                continue
            for one in self._seen.of(name):
                if one.running:
                    found.append(
                        self._draft.add(f"stop {one.name}", StopContainer(one, self._wish.timeout))
                    )
                    self._stopped.add(one.name)
        return found

    def _keep(self, service: str, one: Instance, needs: Sequence[str]) -> None:
        self._ids[service].append(one.id)
        self._names[service].append(one.name)
        if one.state == "running" and one.name not in self._stopped:
            self._running[service].add(one.name)
        kept = one.stopped() if one.name in self._stopped else one
        self._draft.add(f"keep {one.name}", KeepContainer(kept), needs)

    def _create(self, service: str, number: int, needs: Sequence[str]) -> None:
        name = container_name(self._project, service, number)
        self._draft.add(f"create {name}", CreateContainer(service, number, name), needs)
        self._ids[service].append(None)
        self._names[service].append(name)

    # -- starts ----------------------------------------------------------------------------------

    def _start(self, service: str, made: Sequence[str]) -> None:
        needs = [*made]
        for other, entry in (self._project.services[service].get("depends_on") or {}).items():
            needs += self._dependency(service, other, entry)
        for name in self._names[service]:
            if name not in self._running[service]:
                self._draft.add(f"start {name}", StartContainer(service, name), needs)

    def _dependency(self, service: str, other: str, entry: Mapping[str, Any]) -> list[str]:
        """Return the steps that satisfy a dependency."""
        required = bool(entry.get("required", True))
        if other not in self._project.services:
            return []
        names = tuple(self._names[other])
        if not names:
            if required and scale(dict(self._project.services[other])):
                raise InvalidStateError(
                    f"{service} is missing dependency {other}", status="missing", operation="up"
                )
            return []
        started = [f"start {name}" for name in names]
        condition = entry.get("condition", "service_started")
        if condition == "service_started":
            return started
        key = f"await {other} {condition}{'' if required else ' optional'}"
        return [
            self._draft.add(key, Await(other, names, condition, required), [*started, "created"])
        ]

    def _wait(self, services: Sequence[str]) -> None:
        for service in services:
            names = tuple(self._names[service])
            if names and (not self._wish.chosen or service in self._wish.chosen):
                needs = [f"start {name}" for name in names]
                action = Await(service, names, "running_or_healthy")
                self._draft.add(f"await {service}", action, needs)


def referenced(model: Mapping[str, Any]) -> list[str]:
    """Return the services to whose containers a service refers (namespaces, volumes)."""
    found = [
        str(model[word])[8:] for word in SHARED if str(model.get(word, "")).startswith("service:")
    ]
    found += [
        str(text).partition(":")[0]
        for text in model.get("volumes_from", ())
        if not str(text).startswith("container:")
    ]
    return found


def resolved(model: Mapping[str, Any], ids: Mapping[str, str | None]) -> Mapping[str, Any] | None:
    """Return a service whose references to services are replaced by container IDs.

    None if one of those containers does not exist yet.
    """
    names = referenced(model)
    if not names and not model.get("volumes_from"):
        return model
    if any(ids.get(name) is None for name in names):
        return None
    changed = dict(model)
    for word in SHARED:
        text = str(model.get(word, ""))
        if text.startswith("service:"):
            changed[word] = f"container:{ids[text[8:]]}"
    if model.get("volumes_from"):
        changed["volumes_from"] = [_volumes_from(str(text), ids) for text in model["volumes_from"]]
    return changed


def _volumes_from(text: str, ids: Mapping[str, str | None]) -> str:
    name, _, rest = text.partition(":")
    if name == "container":
        return rest.partition(":")[0]
    return str(ids[name])


def network_hash(model: Mapping[str, Any]) -> str:
    """Return Docker Compose's config hash of a network."""
    return document_hash(model)


def volume_hash(model: Mapping[str, Any]) -> str:
    """Return Docker Compose's config hash of a volume, whose driver is ``local`` by default."""
    with_driver = {"name": model.get("name", ""), "driver": model.get("driver") or "local"}
    rest = {key: value for key, value in model.items() if key not in with_driver}
    return document_hash({**with_driver, **rest})


@dataclass(frozen=True, slots=True, kw_only=True)
class DownWish:
    """The options of ``down``; ``chosen`` empty means the whole project.

    ``images`` are the names of images to be removed.
    """

    chosen: frozenset[str] = frozenset()
    volumes: bool = False
    images: tuple[str, ...] = ()
    timeout: float | None = None
    remove_orphans: bool = False


def plan_down(
    seen: Seen,
    wish: DownWish,
    *,
    depends_on: Mapping[str, Iterable[str]],
    declared: Iterable[str] | None,
    networks: Sequence[str],
    volumes: Sequence[str],
) -> Plan:
    """Return the plan that takes a project down: dependents first, then networks, images, volumes.

    ``depends_on`` has the enabled services of the file.  ``declared`` None: there is no file, and
    the services are those of the containers.  ``networks`` and ``volumes`` are the names of those
    that are not external.
    """
    draft = Draft()
    services = {one.service for one in seen.instances if not one.oneoff}
    known = services if declared is None else {*declared}
    enabled = services if declared is None else {*depends_on}
    included = [
        one
        for one in seen.instances
        if not one.oneoff and one.service in enabled and one.service in (wish.chosen or enabled)
    ]
    _discard_in_order(draft, included, services, depends_on, wish)
    _discard_orphans(draft, seen, known, wish)
    gone = draft.barrier("containers gone")
    for name in networks:
        if name in seen.networks:
            draft.add(f"remove network {name}", RemoveNetwork(name), gone)
    for name in wish.images:
        draft.add(f"remove image {name}", RemoveImage(name), gone)
    for name in volumes if wish.volumes else ():
        if name in seen.volumes:
            draft.add(f"remove volume {name}", RemoveVolume(name), gone)
    return draft.plan()


def _discard_orphans(draft: Draft, seen: Seen, known: Iterable[str], wish: DownWish) -> None:
    if wish.remove_orphans:
        gone = draft.barrier("services gone")
        for one in seen.instances:
            if one.oneoff or is_orphan(one, known):
                draft.add(f"remove {one.name}", DiscardContainer(one, wish.timeout), gone)


def _discard_in_order(
    draft: Draft,
    instances: Sequence[Instance],
    services: Iterable[str],
    depends_on: Mapping[str, Iterable[str]],
    wish: DownWish,
) -> None:
    """Add the removal of containers, dependents first."""
    graph = {name: {"depends_on": depends_on.get(name, ())} for name in services}
    dependents: dict[str, list[str]] = {}
    for name, others in depends_on.items():
        for other in others:
            dependents.setdefault(other, []).append(name)
    keys: dict[str, list[str]] = {}
    for service in reversed(ordered(graph)):
        needs = [key for name in dependents.get(service, ()) for key in keys.get(name, ())]
        keys[service] = [
            draft.add(
                f"remove {one.name}", DiscardContainer(one, wish.timeout, wish.volumes), needs
            )
            for one in instances
            if one.service == service
        ]
