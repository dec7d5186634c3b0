"""The life of a container: its statuses and the operations allowed in each.

::

    created ──start──▶ running ◀──unpause── paused
       │                 │  └──────pause──────▲
       │                 ▼ (process ends)
       └──remove──▶   exited ──start──▶ running …   exited ──remove──▶ (gone)

``restarting``, ``removing`` and ``dead`` are Docker's words for the states in between; ``created``,
``running`` and ``stopped`` of the OCI Runtime Specification 1.1 ("State") map to ``created``,
``running`` and ``exited`` here.
"""

from __future__ import annotations

from enum import StrEnum

from jupyter_containers.errors import InvalidStateError


class Status(StrEnum):
    """A container's status in Docker's words."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"

    @property
    def alive(self) -> bool:
        """True while the container has processes."""
        return self in (Status.RUNNING, Status.PAUSED)

    @property
    def up(self) -> bool:
        """True also between two runs of a container with a restart policy: Docker's ``Running``."""
        return self.alive or self is Status.RESTARTING


_ALLOWED: dict[str, frozenset[Status]] = {
    "start": frozenset({Status.CREATED, Status.EXITED}),
    "stop": frozenset(Status),
    "kill": frozenset({Status.RUNNING, Status.PAUSED}),
    "exec": frozenset({Status.RUNNING}),
    "attach": frozenset({Status.RUNNING}),
    "pause": frozenset({Status.RUNNING}),
    "unpause": frozenset({Status.PAUSED}),
    "restart": frozenset({Status.RESTARTING}),
    "remove": frozenset({Status.CREATED, Status.EXITED, Status.DEAD}),
}


def require(name: str, status: Status, operation: str) -> None:
    """Raise :class:`InvalidStateError` if ``operation`` is not allowed in ``status``."""
    if status in _ALLOWED[operation]:
        return
    hints = {
        "remove": f"stop it first, or remove it with force (rm -f {name})",
        "exec": f"start it first: start {name}" if not status.alive else f"unpause {name}",
        "attach": f"start it first: start {name}",
        "start": f"unpause {name}" if status is Status.PAUSED else "",
        "kill": "",
        "restart": "",
    }
    raise InvalidStateError(
        f"cannot {operation} container {name}: it is {status}",
        status=str(status),
        operation=operation,
        hint=hints.get(operation, ""),
    )
