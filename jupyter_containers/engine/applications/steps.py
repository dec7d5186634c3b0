"""The steps of a plan: actions and their dependencies.

A step has a unique key in its plan; ``needs`` are the keys of steps that must be done first.
A step whose needs failed is not executed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from jupyter_containers.engine.applications.observed import Attached, Instance
from jupyter_containers.lazy_dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CreateNetwork:
    """Create a network; ``model`` is its declaration."""

    name: str
    key: str
    model: Mapping[str, Any]
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RemoveNetwork:
    """Remove an unused network; with ``again`` it is recreated afterwards."""

    name: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class CreateVolume:
    """Create a volume."""

    name: str
    model: Mapping[str, Any]
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RemoveVolume:
    """Remove a volume and its data."""

    name: str


@dataclass(frozen=True, slots=True)
class RemoveImage:
    """Remove an image that the project used."""

    name: str


@dataclass(frozen=True, slots=True)
class CreateContainer:
    """Create a container of a service; ``replaces`` is the container that it replaces.

    ``inherits`` are the anonymous volumes that it takes over from that one.
    """

    service: str
    number: int
    name: str
    replaces: Instance | None = None
    inherits: tuple[Attached, ...] = ()


@dataclass(frozen=True, slots=True)
class KeepContainer:
    """Leave an unchanged container as it is."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Start a new or stopped container, found by its name."""

    service: str
    name: str


@dataclass(frozen=True, slots=True)
class StopContainer:
    """Stop a container."""

    instance: Instance
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class DiscardContainer:
    """Stop and remove a container, with ``volumes`` also its anonymous volumes."""

    instance: Instance
    timeout: float | None = None
    volumes: bool = False


@dataclass(frozen=True, slots=True)
class RestartContainer:
    """Stop a container and start it."""

    instance: Instance
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class KillContainer:
    """Send a signal to a container."""

    instance: Instance
    signal: str = "SIGKILL"


@dataclass(frozen=True, slots=True)
class PauseContainer:
    """Freeze a container."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class UnpauseContainer:
    """Resume a frozen container."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class RemoveContainer:
    """Remove a stopped container, with ``force`` also a running one."""

    instance: Instance
    force: bool = False
    volumes: bool = False


@dataclass(frozen=True, slots=True)
class Await:
    """Wait until a service's containers meet a condition of ``depends_on``.

    ``running_or_healthy`` is the condition of ``--wait``.  If it is not ``required``,
    failure is only a warning.
    """

    service: str
    names: tuple[str, ...]
    condition: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class Barrier:
    """Do nothing; later steps wait for all earlier ones."""


Action: TypeAlias = (
    CreateNetwork
    | RemoveNetwork
    | CreateVolume
    | RemoveVolume
    | RemoveImage
    | CreateContainer
    | KeepContainer
    | StartContainer
    | StopContainer
    | DiscardContainer
    | RestartContainer
    | KillContainer
    | PauseContainer
    | UnpauseContainer
    | RemoveContainer
    | Await
    | Barrier
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan."""

    key: str
    action: Action
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in a valid sequential order; ``warnings`` are for the user."""

    steps: tuple[Step, ...] = ()
    warnings: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys, in the plan's order."""
        return tuple(step.key for step in self.steps)


@dataclass(slots=True)
class Draft:
    """A plan under construction."""

    steps: dict[str, Step] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def add(self, key: str, action: Action, needs: Iterable[str] = ()) -> str:
        """Add a step once; return its key."""
        if key not in self.steps:
            known = tuple(dict.fromkeys(one for one in needs if one in self.steps))
            self.steps[key] = Step(key, action, known)
        return key

    def barrier(self, key: str, keys: Iterable[str] | None = None) -> tuple[str, ...]:
        """Add a barrier after all steps, or after ``keys``; return the needs of later steps."""
        wanted = tuple(self.steps if keys is None else dict.fromkeys(keys))
        if len(wanted) < 2:
            return wanted
        return (self.add(key, Barrier(), wanted),)

    def plan(self) -> Plan:
        """Return the plan."""
        return Plan(tuple(self.steps.values()), tuple(self.warnings))
