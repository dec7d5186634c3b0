"""The steps of a plan: what is done, and after which other steps.

A step has a key of its own in its plan; ``needs`` are keys of steps that have to be done before.
A step whose needs failed is not carried out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from jupyter_containers.engine.applications.observed import Attached, Instance


@dataclass(frozen=True, slots=True)
class CreateNetwork:
    """Make a network; ``model`` is its declaration."""

    name: str
    key: str
    model: Mapping[str, Any]
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RemoveNetwork:
    """Remove a network that nothing uses any more; with ``again`` it is made again."""

    name: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class CreateVolume:
    """Make a volume."""

    name: str
    model: Mapping[str, Any]
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RemoveVolume:
    """Remove a volume with its files."""

    name: str


@dataclass(frozen=True, slots=True)
class RemoveImage:
    """Remove an image that was used."""

    name: str


@dataclass(frozen=True, slots=True)
class CreateContainer:
    """Make a container of a service; with ``replaces`` in the place of another one.

    ``inherits`` are the anonymous volumes that it takes over.
    """

    service: str
    number: int
    name: str
    replaces: Instance | None = None
    inherits: tuple[Attached, ...] = ()


@dataclass(frozen=True, slots=True)
class KeepContainer:
    """Leave a container as it is: nothing of it has changed."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Start a container that was made or that does not run; found by its name."""

    service: str
    name: str


@dataclass(frozen=True, slots=True)
class StopContainer:
    """Stop a container."""

    instance: Instance
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class DiscardContainer:
    """Stop and remove a container, with ``volumes`` its anonymous volumes too."""

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
    """Let a frozen container go on."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class RemoveContainer:
    """Remove a container that does not run, with ``force`` also one that does."""

    instance: Instance
    force: bool = False
    volumes: bool = False


@dataclass(frozen=True, slots=True)
class Await:
    """Wait until a service's containers meet a condition of ``depends_on``.

    ``running_or_healthy`` is the condition of ``--wait``.  What is not ``required`` gives a
    warning where it fails.
    """

    service: str
    names: tuple[str, ...]
    condition: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class Barrier:
    """Do nothing: later steps wait for all before."""


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
    """Steps in an order in which they could be done one by one; ``warnings`` are for the user."""

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
    """A plan that is being made."""

    steps: dict[str, Step] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def add(self, key: str, action: Action, needs: Iterable[str] = ()) -> str:
        """Add a step once; return its key."""
        if key not in self.steps:
            known = tuple(dict.fromkeys(one for one in needs if one in self.steps))
            self.steps[key] = Step(key, action, known)
        return key

    def barrier(self, key: str, keys: Iterable[str] | None = None) -> tuple[str, ...]:
        """Return the needs of steps that wait for all before, or for ``keys``."""
        wanted = tuple(self.steps if keys is None else dict.fromkeys(keys))
        if len(wanted) < 2:
            return wanted
        return (self.add(key, Barrier(), wanted),)

    def plan(self) -> Plan:
        """Return the plan."""
        return Plan(tuple(self.steps.values()), tuple(self.warnings))
