"""An overview of containers with buttons; logs and terminals open below.

A thread updates it while it is visible.  A button's work runs in a separate thread: a handler must
be short, and a stop may take ten seconds.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets

from jupyter_containers.commands.render.links import browsable
from jupyter_containers.commands.session import LogSource, TerminalWork
from jupyter_containers.errors import ContainersError
from jupyter_containers.widgets.follow_loop import FollowLoop
from jupyter_containers.widgets.gallery import Gallery
from jupyter_containers.widgets.live import LiveWidget
from jupyter_containers.widgets.logs import LogsWidget
from jupyter_containers.widgets.messages import (
    Act,
    DashboardFromView,
    DashboardHello,
    DashboardPort,
    Notice,
    Row,
    Rows,
)
from jupyter_containers.widgets.terminal import TerminalWidget

if TYPE_CHECKING:
    from jupyter_containers.commands.render.results import Table
    from jupyter_containers.engine import Container, Engine

# CPU percentages and bytes of memory, oldest first, and the memory's limit.
Used = tuple[deque[float], deque[int], int]

INTERVAL_SECONDS = 1.0
_KEPT = 60
_DOING = {
    "start": "starting …",
    "stop": "stopping …",
    "restart": "restarting …",
    "remove": "removing …",
}


class DashboardWidget(LiveWidget):
    """All containers that ``look`` returns, with their usage.

    ``base`` is the notebook server's base URL, if it proxies ports.
    """

    module = "dashboard"
    from_view = DashboardFromView

    def __init__(
        self,
        engine: Engine,
        look: Callable[[], Table[Container]],
        open_log: Callable[[str], LogSource],
        open_shell: Callable[[str], TerminalWork],
        gallery: Gallery,
        cell: Callable[[], object] = lambda: None,
        base: str = "",
    ) -> None:
        self._engine, self._find, self._base = engine, look, base
        self._open_log, self._open_shell = open_log, open_shell
        self._containers: Table[Container] = look()
        self._used: dict[str, Used] = {}
        self._doing: dict[str, str] = {}
        self._loop = FollowLoop(
            self._look,
            lambda error: self.tell(Notice(error.message)),
            interval=lambda: INTERVAL_SECONDS,
            watched=lambda: self.watched,
        )
        super().__init__(gallery, cell)
        self._box = ipywidgets.VBox([self])

    def start(self) -> None:
        """Start updating."""
        self._loop.start()

    def greet(self, view: str) -> None:
        """Send all rows to a new view."""
        self.tell(DashboardHello(self.rows()), to=view)
        self._loop.wake()

    def handle(self, message: Any, view: str, buffers: Sequence[Any]) -> None:
        """Handle the buttons."""
        del view, buffers
        if not isinstance(message, Act):
            return
        action, container_id = message.action, message.id
        if action in _DOING and container_id not in self._doing:
            self._doing[container_id] = _DOING[action]
            self._loop.wake()
        threading.Thread(target=self._act, args=(action, container_id), daemon=True).start()

    def finish(self) -> None:
        """Close everything opened below."""
        self._loop.stop()
        for child in self._box.children[1:]:
            child.close()
        self._box.close()

    def fallback(self) -> tuple[str, str]:
        """Return the containers as a table."""
        return str(self._containers), self._containers._repr_html_()

    def rows(self) -> list[Row]:
        """Return the rows in the page's form."""
        return [self._row(container) for container in self._containers]

    def _bundle(self) -> dict[str, Any]:
        view = {"version_major": 2, "version_minor": 0, "model_id": self._box.model_id}
        return {**self._static(), "application/vnd.jupyter.widget-view+json": view}

    def _row(self, container: Container) -> Row:
        cpu, memory, limit = self._used.get(container.id, ((), (), 0))
        return Row(
            id=container.id,
            name=container.name,
            image=container.image,
            state=str(container.status),
            status=container.status_pattern.at(time.time()),
            health=container.health,
            ports=[DashboardPort(*browsable(text, self._base)) for text in container.ports],
            cpu=list(cpu),
            memory=list(memory),
            limit=limit,
            busy=self._doing.get(container.id, ""),
        )

    def _look(self) -> None:
        self._containers = self._find()
        running = [item.id for item in self._containers if item.status.alive]
        used: dict[str, Used] = {}
        for sample in self._engine.containers.stats(running) if running else ():
            fresh: Used = (deque(maxlen=_KEPT), deque(maxlen=_KEPT), 0)
            cpu, memory, _ = self._used.get(sample.container_id, fresh)
            cpu.append(round(sample.cpu_percent, 2))
            memory.append(sample.memory_usage)
            used[sample.container_id] = (cpu, memory, sample.memory_limit)
        self._used = used
        self.tell(Rows(self.rows()))

    def _act(self, action: str, container_id: str) -> None:
        try:
            self._perform(action, container_id)
            self.tell(Notice(""))
        except ContainersError as error:
            hint = f" ({error.hint})" if error.hint else ""
            self.tell(Notice(f"{error.message}{hint}"))
        finally:
            if action in _DOING:
                self._doing.pop(container_id, None)
            self._loop.wake()

    def _perform(self, action: str, container_id: str) -> None:
        engine = self._engine
        match action:
            case "start":
                engine.containers.start(container_id)
            case "stop":
                engine.containers.stop(container_id)
            case "restart":
                engine.containers.restart(container_id)
            case "remove":
                engine.containers.remove(container_id, force=True)
            case "logs":
                name = engine.containers.get(container_id).name
                logs = LogsWidget(
                    f"Log of {name}",
                    self._open_log(container_id),
                    self._gallery,
                    on_close=self._take_away,
                )
                self._place(logs)
                logs.start()
            case "terminal":
                work = self._open_shell(container_id)
                terminal = TerminalWidget(work, self._gallery, on_close=self._take_away)
                self._place(terminal)
                try:
                    terminal.start()
                except ContainersError:
                    terminal.close()
                    raise

    def _place(self, child: Any) -> None:
        self._box.children = (*self._box.children, child)

    def _take_away(self, child: Any) -> None:
        if not self.closed:
            self._box.children = tuple(item for item in self._box.children if item is not child)
