"""The existing objects of a project: containers, networks and volumes, found by their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jupyter_containers.engine.applications import labels
from jupyter_containers.lazy_dataclasses import dataclass, field, replace

if TYPE_CHECKING:
    from jupyter_containers.engine.containers.container import Container


@dataclass(frozen=True, slots=True)
class Attached:
    """A volume of a container; ``anonymous`` if it was created without a name."""

    target: str
    volume: str
    read_only: bool = False
    anonymous: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One container of a service, as observed.

    ``number`` is 0 for a one-off container; ``state`` is Docker's word, ``health`` empty
    without a health check; ``dependencies`` are condition and restart by service.
    """

    id: str
    name: str
    service: str
    number: int = 1
    oneoff: bool = False
    state: str = "running"
    health: str = ""
    exit_code: int = 0
    config_hash: str = ""
    image_id: str = ""
    networks: tuple[str, ...] = ()
    attached: tuple[Attached, ...] = ()
    created: float = 0.0
    dependencies: Mapping[str, tuple[str, bool]] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        """True while it runs, is paused or is restarting."""
        return self.state in ("running", "restarting", "paused")

    def stopped(self) -> Instance:
        """Return a copy in the stopped state."""
        return replace(self, state="exited")


@dataclass(frozen=True, slots=True)
class Seen:
    """The existing objects of a project; networks and volumes are labels by name."""

    instances: tuple[Instance, ...] = ()
    networks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    volumes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def of(self, service: str) -> list[Instance]:
        """Return a service's containers by number, without one-off ones."""
        found = [one for one in self.instances if one.service == service and not one.oneoff]
        return sorted(found, key=lambda one: one.number)


def instance_of(container: Container) -> Instance:
    """Return a container of a project as a value."""
    record, own = container.record, container.labels
    number = own.get(labels.NUMBER, "")
    return Instance(
        id=container.id,
        name=container.name,
        service=own.get(labels.SERVICE, ""),
        number=int(number) if number.isdecimal() and len(number) < 10 else 0,
        oneoff=own.get(labels.ONEOFF) == "True",
        state=str(container.status),
        health=container.health,
        exit_code=record.state.exit_code,
        config_hash=own.get(labels.CONFIG_HASH, ""),
        image_id=own.get(labels.IMAGE, ""),
        networks=tuple(request.name for request in record.networks),
        attached=tuple(
            Attached(mount.target, mount.name, mount.read_only, mount.anonymous)
            for mount in record.mounts
            if mount.type == "volume"
        ),
        created=record.created,
        dependencies=labels.read_dependencies(own.get(labels.DEPENDENCIES, "")),
    )


def instances_of(containers: Sequence[Container]) -> tuple[Instance, ...]:
    """Return the containers as values."""
    return tuple(instance_of(container) for container in containers)
