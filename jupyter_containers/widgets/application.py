"""An application as a picture that follows its containers, with buttons; its log opens below.

The picture is drawn again after an event; what the services use is measured every two seconds
while a view is visible. A button's work runs in a thread of its own.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import ipywidgets
import msgspec

from jupyter_containers.commands.render.application import (
    MOST_DRAWN,
    ApplicationView,
    colour_of,
    ports_of,
    svg,
    tone_of,
    words_of,
)
from jupyter_containers.commands.session import LogSource
from jupyter_containers.errors import ContainersError
from jupyter_containers.widgets.following import FollowingWidget
from jupyter_containers.widgets.gallery import Gallery
from jupyter_containers.widgets.logs import LogsWidget
from jupyter_containers.widgets.messages import (
    ApplicationAct,
    ApplicationDrawn,
    ApplicationFromView,
    ApplicationHello,
    DashboardPort,
    Notice,
    ServiceLine,
)

if TYPE_CHECKING:
    from jupyter_containers.engine import Engine
    from jupyter_containers.engine.applications.status import ProjectStatus, ServiceStatus
    from jupyter_containers.engine.journal import JournalEvent

_DRAWING = frozenset(
    ("create", "start", "die", "destroy", "pause", "unpause", "rename", "update", "health_status")
)
_DOING = {
    "start": "starting …",
    "stop": "stopping …",
    "restart": "restarting …",
    "down": "taking it down …",
}


class Deeds(Protocol):
    """The operations of a widget on its application."""

    def look(self) -> ProjectStatus:
        """Return the project as it is."""

    def act(self, action: str, service: str) -> None:
        """Start, stop, restart or take down; ``service`` empty is all of them."""

    def log(self, service: str) -> LogSource:
        """Return the log of all services, or of one."""


class ApplicationWidget(FollowingWidget):
    """One application, as ``deeds`` sees it."""

    module = "application"
    from_view = ApplicationFromView
    interval: ClassVar[float | None] = 2.0

    def __init__(
        self,
        engine: Engine,
        first: ApplicationView,
        deeds: Deeds,
        gallery: Gallery,
        cell: Callable[[], object] = lambda: None,
    ) -> None:
        self._engine, self._view, self._deeds = engine, first, deeds
        self._used: dict[str, tuple[float, int]] = {}
        self._busy = ""
        self._last: ApplicationDrawn | None = None
        super().__init__(engine, gallery, cell)
        self._box = ipywidgets.VBox([self])

    def concerns(self, event: JournalEvent) -> bool:
        """Return whether an event changes containers, so that the picture is updated."""
        return event.action.partition(":")[0] in _DRAWING

    def look(self) -> None:
        """Read the status; send the picture if it has changed."""
        status = self._deeds.look()
        self._view.status = status
        self._measure(status)
        drawn = self._drawn()
        if drawn != self._last:
            self._last = drawn
            self.tell(drawn)

    def hello(self) -> ApplicationHello:
        """Return the initial message for a new view."""
        return ApplicationHello(**msgspec.structs.asdict(self._drawn()))

    def handle(self, message: Any, view: str, buffers: Sequence[Any]) -> None:
        """Handle the buttons."""
        del view, buffers
        if not isinstance(message, ApplicationAct):
            return
        if message.action in _DOING:
            if self._busy:
                return
            self._busy = _DOING[message.action]
            self._loop.wake()
        threading.Thread(target=self._act, args=(message,), daemon=True).start()

    def finish(self) -> None:
        """End both threads; close the logs."""
        super().finish()
        for child in self._box.children[1:]:
            child.close()
        self._box.close()

    def fallback(self) -> tuple[str, str]:
        """Return the table, and the drawing that needs no kernel."""
        return str(self._view), self._view._repr_html_()

    def _bundle(self) -> dict[str, Any]:
        view = {"version_major": 2, "version_minor": 0, "model_id": self._box.model_id}
        return {**self._static(), "application/vnd.jupyter.widget-view+json": view}

    def _act(self, message: ApplicationAct) -> None:
        try:
            if message.action == "logs":
                self._open_log(message.service)
            else:
                self._deeds.act(message.action, message.service)
            self.tell(Notice(""))
        except ContainersError as error:
            self.tell(Notice(f"{error.message}{f' ({error.hint})' if error.hint else ''}"))
        finally:
            if message.action in _DOING:
                self._busy = ""
            self._loop.wake()

    def _open_log(self, service: str) -> None:
        title = f"Log of {service or self._view.status.name}"
        logs = LogsWidget(title, self._deeds.log(service), self._gallery, on_close=self._take_away)
        self._box.children = (*self._box.children, logs)
        logs.start()

    def _take_away(self, child: Any) -> None:
        if not self.closed:
            self._box.children = tuple(item for item in self._box.children if item is not child)

    def _measure(self, status: ProjectStatus) -> None:
        services = {one.id: one.service for one in status.containers if one.state == "running"}
        cpu: dict[str, float] = defaultdict(float)
        memory: dict[str, int] = defaultdict(int)
        for sample in self._engine.containers.stats(list(services)) if services else ():
            service = services.get(sample.container_id, "")
            cpu[service] += sample.cpu_percent
            memory[service] += sample.memory_usage
        self._used = {name: (round(cpu[name], 1), memory[name]) for name in cpu}

    def _drawn(self) -> ApplicationDrawn:
        status, base = self._view.status, self._view.base
        drawn = bool(status.services) and len(status.services) <= MOST_DRAWN
        names = [one.name for one in status.services]
        return ApplicationDrawn(
            name=status.name,
            words=status.status_text or "no containers",
            svg=svg(status, base) if drawn else "",
            services=[self._line(one, names) for one in status.services],
            containers=len(status.containers),
            running=sum(one.state == "running" for one in status.containers),
            busy=self._busy,
        )

    def _line(self, service: ServiceStatus, names: Sequence[str]) -> ServiceLine:
        cpu, memory = self._used.get(service.name, (0.0, 0))
        return ServiceLine(
            name=service.name,
            words=words_of(service),
            tone=tone_of(service),
            colour=colour_of(names, service.name),
            image=service.image,
            ports=[DashboardPort(text, url) for text, url in ports_of(service, self._view.base)],
            needs=[item.service for item in service.depends_on],
            cpu=cpu,
            memory=memory,
        )
