"""Views in the main area: the widgets of cell outputs, over the panel's connection.

A view's messages are the widget's; the connection adds the number of the channel.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from jupyter_containers.errors import ContainersError
from jupyter_containers.panel.messages import FromView, Opened, OpenView, ToView
from jupyter_containers.widgets.gallery import Gallery

if TYPE_CHECKING:
    from jupyter_containers.engine import Engine
    from jupyter_containers.widgets.live import LiveWidget

_LOG_TAIL = 5000


class Views:
    """The views of one page."""

    def __init__(self, engine: Engine, tell: Callable[..., None]) -> None:
        self._engine, self._tell = engine, tell
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._open: dict[int, LiveWidget] = {}

    def open(self, wish: OpenView) -> Opened:
        """Open a view and start its work; raise if it cannot start."""
        channel = next(self._numbers)
        gallery = Gallery(lambda content, buffers: self._tell(FromView(channel, content), buffers))
        widget, title = self._make(wish, gallery)
        with self._lock:
            self._open[channel] = widget
        # The page must know the channel before the widget uses it: a terminal waits for its size.
        threading.Thread(target=self._start, args=(widget,), daemon=True).start()
        return Opened(channel, title)

    def receive(self, message: ToView, buffers: Sequence[bytes]) -> None:
        """Pass a message to its widget; drop one for a view that has ended."""
        with self._lock:
            widget = self._open.get(message.channel)
        if widget is not None:
            widget.receive_message(message.content, buffers)

    def end(self, channel: int) -> None:
        """Close a view; do nothing if it has already ended."""
        with self._lock:
            widget = self._open.pop(channel, None)
        if widget is not None:
            widget.close()

    def close(self) -> None:
        """Close all views."""
        with self._lock:
            channels = list(self._open)
        for channel in channels:
            self.end(channel)

    def _make(self, wish: OpenView, gallery: Gallery) -> tuple[LiveWidget, str]:
        engine, name = self._engine, wish.name
        if wish.view == "layers":
            from jupyter_containers.commands.render.layers import Layers
            from jupyter_containers.widgets.layers import LayersWidget

            layers = engine.images.layers(name)
            return LayersWidget(Layers(layers), gallery), layers.name
        if wish.view == "project_logs":
            from jupyter_containers.commands.applications import Deeds
            from jupyter_containers.widgets.logs import LogsWidget

            source = Deeds.of_project(engine, name).log()
            return LogsWidget(f"Log of {name}", source, gallery), name
        container = engine.containers.get(name)
        if wish.view == "logs":
            from jupyter_containers.commands.verbs.looking import log_source
            from jupyter_containers.widgets.logs import LogsWidget

            source = log_source(engine, container.id, {"follow": True, "tail": _LOG_TAIL})
            title = f"Log of {container.name}"
            return LogsWidget(title, source, gallery), container.name
        from jupyter_containers.commands.verbs.terminals import shell_work
        from jupyter_containers.widgets.terminal import TerminalWidget

        work = shell_work(engine, container.id)
        return TerminalWidget(work, gallery), container.name

    def _start(self, widget: LiveWidget) -> None:
        from jupyter_containers.widgets.screen import ScreenWidget

        if not isinstance(widget, ScreenWidget):
            return
        try:
            widget.start()
        except ContainersError:
            # The widget shows its failure as its state, so there is nothing to end.
            return
