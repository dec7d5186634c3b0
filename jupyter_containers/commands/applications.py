"""What a live view and the panel do with an application."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jupyter_containers.commands.render.application import colour_of
from jupyter_containers.commands.session import LogSource
from jupyter_containers.engine.applications import labels
from jupyter_containers.engine.applications.reporting import Reporter
from jupyter_containers.errors import ServiceNotReadyError
from jupyter_containers.events import CancelToken, EventSink, discard

if TYPE_CHECKING:
    from jupyter_containers.engine import Engine
    from jupyter_containers.engine.applications.application import Application
    from jupyter_containers.engine.applications.lines import ProjectLine
    from jupyter_containers.engine.applications.status import ProjectStatus
    from jupyter_containers.engine.containers.container import Container

_TAIL = 1000
_TOLD = 20  # lines of a service that did not become ready
_PAUSE, _MOMENT = 0.1, 0.5


class Deeds:
    """The verbs of one application, by their names."""

    def __init__(self, application: Application) -> None:
        self._application = application

    @classmethod
    def of_project(cls, engine: Engine, name: str) -> Deeds:
        """Return those of a project that is known by its labels alone.

        No file is looked for: the one in this folder may be another project's.
        """
        return cls(engine.compose(project=name, folder=os.sep))

    def look(self) -> ProjectStatus:
        """Return the project as it is."""
        return self._application.status()

    def act(self, action: str, service: str = "") -> None:
        """Start, stop, restart or take down; ``service`` empty is all of them."""
        services = (service,) if service else ()
        match action:
            case "start":
                self._application.start(*services)
            case "stop":
                self._application.stop(*services)
            case "restart":
                self._application.restart(*services)
            case "down":
                self._application.down(*services)

    def log(self, service: str = "") -> LogSource:
        """Return what all services write, or one; each line begins with who wrote it."""
        services = (service,) if service else ()

        def lines(cancel: CancelToken) -> Iterator[bytes]:
            names = [one.name for one in self.look().services]
            found = self._application.logs(*services, follow=True, tail=_TAIL, cancel=cancel)
            for line in found:
                yield coloured(line, names)

        return lines


def wait_until_ready(
    application: Application,
    services: Sequence[str] = (),
    *,
    emit: EventSink = discard,
    timeout: float | None = None,
) -> None:
    """Wait until containers run, and are healthy where they have a check.

    A container that has ended with the exit code 0 is ready too: a job beside the services.
    Raises :class:`ServiceNotReadyError` with the last lines of one that failed.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    reporter = Reporter(emit)
    told: set[str] = set()
    try:
        while True:
            pending = []
            for one in _numbered(application, services):
                task = f"Container {one.name}"
                if not _is_ready(one, application):
                    pending.append(one)
                    if one.health:
                        told.add(task)
                        reporter.status(task, "Waiting")
                elif task in told:
                    told.remove(task)
                    reporter.finish(task, "Healthy")
            if not pending:
                return
            if deadline is not None and time.monotonic() > deadline:
                names = ", ".join(one.name for one in pending)
                raise ServiceNotReadyError(f"not ready after {timeout:g} s: {names}")
            time.sleep(_PAUSE)
    finally:
        reporter.close()


def _numbered(application: Application, services: Sequence[str]) -> list[Container]:
    found = application.ps(*services, all=True)
    return [one for one in found if one.labels.get(labels.ONEOFF) != "True"]


def _is_ready(container: Container, application: Application) -> bool:
    state, health, code = str(container.status), container.health, container.exit_code
    failed = ""
    if state in ("exited", "dead"):
        if not code:
            return True
        failed = f"container {container.name} exited ({code})"
    elif health == "unhealthy":
        failed = f"container {container.name} is unhealthy"
    if failed:
        service = container.labels.get(labels.SERVICE, "")
        lines = [line.text for line in application.logs(service, tail=_TOLD)]
        raise ServiceNotReadyError(failed, log_tail=lines)
    if state != "running" or health:
        return health == "healthy"
    # A program that cannot start ends at once: without a check it must have run for a moment.
    return time.time() - (container.record.state.started or 0.0) > _MOMENT


def coloured(line: ProjectLine, services: list[str]) -> bytes:
    """Return a line behind its container's name in the colour of the service."""
    red, green, blue = bytes.fromhex(colour_of(services, line.service)[1:])
    data = line.data if line.data.endswith(b"\n") else line.data + b"\n"
    return f"\x1b[38;2;{red};{green};{blue}m{line.source} |\x1b[0m ".encode() + data
