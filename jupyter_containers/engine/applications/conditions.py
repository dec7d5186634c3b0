"""The conditions of ``depends_on`` and ``--wait``: met, pending, or unreachable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jupyter_containers.engine.applications.steps import Await
from jupyter_containers.errors import ContainersError, ServiceNotReadyError

if TYPE_CHECKING:
    from jupyter_containers.engine.containers.container import Container


def condition_of(
    containers: Sequence[Container], action: Await
) -> tuple[ContainersError | None, bool]:
    """Return the reason why a condition can never be met, and whether it is met."""
    met = True
    for container in containers:
        status, code = str(container.status), container.record.state.exit_code
        if action.condition == "service_completed_successfully":
            if status != "exited":
                met = False
            elif code:
                text = f'"{action.service}" didn\'t complete successfully: exit {code}'
                return ServiceNotReadyError(f"service {text}" if action.required else text), False
            continue
        if status == "exited":
            return _not_started(action, f"container {container.name} exited ({code})"), False
        health = container.health
        if not health and action.condition == "service_healthy":
            text = f"container {container.name} has no healthcheck configured"
            return _not_started(action, text), False
        if health == "unhealthy":
            return _not_started(action, f"container {container.name} is unhealthy"), False
        met = met and (health == "healthy" if health else status == "running")
    return None, met


def _not_started(action: Await, text: str) -> ContainersError:
    if action.condition == "running_or_healthy":
        return ServiceNotReadyError(text)
    if not action.required:
        return ServiceNotReadyError(f'"{action.service}" is not running or is unhealthy: {text}')
    return ServiceNotReadyError(f"dependency failed to start: {text}")
