"""Plans of the lifecycle verbs: start, stop, restart, kill, pause, remove.

``depends_on`` are the services that each one waits for; ``seen`` are the existing objects.
Services start after their dependencies and stop before them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jupyter_containers.engine.applications.observed import Instance, Seen
from jupyter_containers.engine.applications.planning import ordered
from jupyter_containers.engine.applications.steps import (
    Action,
    Await,
    Draft,
    KillContainer,
    PauseContainer,
    Plan,
    RemoveContainer,
    RestartContainer,
    StartContainer,
    StopContainer,
    UnpauseContainer,
)
from jupyter_containers.errors import NotFoundError

# Condition, required and restart by service, by the service that waits.
Waits = Mapping[str, Mapping[str, Mapping[str, Any]]]


def waits_of(models: Mapping[str, Mapping[str, Any]] | None, seen: Seen) -> Waits:
    """Return the dependencies of services: from the file, else from the containers' labels."""
    if models is not None:
        return {name: model.get("depends_on") or {} for name, model in models.items()}
    return {
        one.service: {
            name: {"condition": condition, "restart": restart, "required": True}
            for name, (condition, restart) in one.dependencies.items()
        }
        for one in seen.instances
    }


def _graph(waits: Waits, names: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    return {name: {"depends_on": waits.get(name, {})} for name in names}


def _services(waits: Waits, seen: Seen, chosen: Sequence[str]) -> list[str]:
    known = dict.fromkeys([*waits, *(one.service for one in seen.instances)])
    return [name for name in ordered(_graph(waits, known)) if not chosen or name in chosen]


def plan_start(seen: Seen, waits: Waits, chosen: Sequence[str] = (), *, wait: bool = False) -> Plan:
    """Return the plan that starts services and their dependencies; their containers must exist."""
    draft = Draft()
    wanted = {*chosen} or {*waits}
    pending = list(wanted)
    while pending:
        for other in waits.get(pending.pop(), ()):
            if other not in wanted and seen.of(other):
                wanted.add(other)
                pending.append(other)
    for service in _services(waits, seen, list(wanted)):
        instances = seen.of(service)
        if not instances and (service in chosen or not chosen):
            raise NotFoundError(
                f'service "{service}" has no container to start', hint=f"compose up -d {service}"
            )
        needs: list[str] = []
        for other, entry in waits.get(service, {}).items():
            needs += _dependency(draft, seen, other, entry)
        for one in instances:
            if one.state != "running":
                draft.add(f"start {one.name}", StartContainer(service, one.name), needs)
    if wait:
        for service in wanted:
            names = tuple(one.name for one in seen.of(service))
            draft.add(
                f"await {service}",
                Await(service, names, "running_or_healthy"),
                [f"start {name}" for name in names],
            )
    return draft.plan()


def _dependency(draft: Draft, seen: Seen, other: str, entry: Mapping[str, Any]) -> list[str]:
    names = tuple(one.name for one in seen.of(other))
    started = [f"start {name}" for name in names]
    condition = entry.get("condition", "service_started")
    if condition == "service_started" or not names:
        return started
    required = bool(entry.get("required", True))
    key = f"await {other} {condition}{'' if required else ' optional'}"
    return [draft.add(key, Await(other, names, condition, required), started)]


def plan_stop(
    seen: Seen, waits: Waits, chosen: Sequence[str] = (), timeout: float | None = None
) -> Plan:
    """Return the plan that stops services, each before its dependencies."""
    draft = Draft()
    dependents: dict[str, list[str]] = {}
    for name, others in waits.items():
        for other in others:
            dependents.setdefault(other, []).append(name)
    keys: dict[str, list[str]] = {}
    for service in reversed(_services(waits, seen, chosen)):
        needs = [key for name in dependents.get(service, ()) for key in keys.get(name, ())]
        keys[service] = [
            draft.add(f"stop {one.name}", StopContainer(one, timeout), needs)
            for one in seen.of(service)
            if one.running
        ]
    return draft.plan()


def plan_restart(
    seen: Seen,
    waits: Waits,
    chosen: Sequence[str] = (),
    timeout: float | None = None,
    *,
    no_deps: bool = False,
) -> Plan:
    """Return the plan that restarts services, and the dependents restarted with them."""
    draft = Draft()
    wanted = {*chosen} or {one.service for one in seen.instances}
    if not no_deps:
        pending = list(wanted)
        while pending:
            service = pending.pop()
            for name, others in waits.items():
                if name not in wanted and (others.get(service) or {}).get("restart"):
                    wanted.add(name)
                    pending.append(name)
    for service in _services(waits, seen, list(wanted)):
        needs = [
            f"restart {one.name}" for other in waits.get(service, ()) for one in seen.of(other)
        ]
        for one in seen.of(service):
            draft.add(f"restart {one.name}", RestartContainer(one, timeout), needs)
    return draft.plan()


def plan_each(
    instances: Iterable[Instance], word: str, action: Callable[[Instance], Action]
) -> Plan:
    """Return a plan with one step for each container, all concurrent."""
    draft = Draft()
    for one in instances:
        draft.add(f"{word} {one.name}", action(one))
    return draft.plan()


def _chosen(seen: Seen, chosen: Sequence[str]) -> list[Instance]:
    return [
        one for one in seen.instances if not one.oneoff and (not chosen or one.service in chosen)
    ]


def plan_kill(
    seen: Seen, chosen: Sequence[str] = (), signal: str = "SIGKILL", *, oneoff: bool = False
) -> Plan:
    """Return the plan that sends a signal to the running containers."""
    instances = [one for one in seen.instances if oneoff and one.oneoff] + _chosen(seen, chosen)
    alive = [one for one in instances if one.state in ("running", "paused")]
    return plan_each(alive, "kill", lambda one: KillContainer(one, signal))


def plan_pause(seen: Seen, chosen: Sequence[str] = ()) -> Plan:
    """Return the plan that freezes the running containers."""
    running = [one for one in _chosen(seen, chosen) if one.state == "running"]
    return plan_each(running, "pause", PauseContainer)


def plan_unpause(seen: Seen, chosen: Sequence[str] = ()) -> Plan:
    """Return the plan that resumes frozen containers."""
    frozen = [one for one in _chosen(seen, chosen) if one.state == "paused"]
    return plan_each(frozen, "unpause", UnpauseContainer)


def removable(seen: Seen, chosen: Sequence[str] = ()) -> list[Instance]:
    """Return the containers that ``rm`` removes: stopped ones, including one-off ones."""
    return [
        one for one in seen.instances if not one.running and (not chosen or one.service in chosen)
    ]


def plan_remove(instances: Iterable[Instance], *, force: bool, volumes: bool) -> Plan:
    """Return the plan that removes containers."""
    return plan_each(instances, "remove", lambda one: RemoveContainer(one, force, volumes))
