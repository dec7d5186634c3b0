"""Widgets on the page: each command's widget, and the cell that it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from jupyter_containers.commands.execute import perform
from jupyter_containers.commands.session import LogSource, Session, TerminalWork
from jupyter_containers.commands.words import Parsed, View

if TYPE_CHECKING:
    from jupyter_containers.commands.render.application import ApplicationView
    from jupyter_containers.widgets.gallery import Gallery

_VIEW_SECONDS = 3.0


class Page:
    """The live widgets of one kernel; nothing is imported before the first one."""

    def __init__(self, cell_number: Callable[[], int]) -> None:
        self._cell_number = cell_number
        self._gallery: Gallery | None = None
        self.cell_id: str | None = None

    @property
    def gallery(self) -> Gallery:
        """The collection of open widgets."""
        if self._gallery is None:
            from jupyter_containers.widgets.gallery import Gallery

            self._gallery = Gallery()
            self._gallery.begin(self.cell_id)
        return self._gallery

    def begin_cell(self, cell_id: str | None) -> None:
        """Close the widgets of earlier runs of a cell that begins to run."""
        self.cell_id = cell_id
        if self._gallery is not None:
            self._gallery.begin(cell_id)

    def close(self) -> None:
        """Close all widgets."""
        if self._gallery is not None:
            self._gallery.close()

    def open_terminal(self, work: TerminalWork) -> Any:
        """Open a terminal and start its work; raise if it cannot start."""
        from jupyter_containers.widgets.terminal import TerminalWidget

        terminal = TerminalWidget(work, self.gallery, self._cell_number)
        terminal.show()
        try:
            terminal.start()
        except BaseException:
            terminal.discard()
            raise
        return terminal

    def open_log(self, title: str, source: LogSource, wait: bool) -> bool:
        """Show a log, with ``wait`` until it ends; return False if the page has no widgets."""
        from jupyter_containers.widgets.logs import LogsWidget

        logs = LogsWidget(title, source, self.gallery, self._cell_number)
        logs.show()
        if logs.live and not logs.seen.wait(_VIEW_SECONDS):
            logs.discard()
            return False
        logs.start()
        if logs.live and not wait:
            return True
        try:
            logs.wait()
        except BaseException:
            # The user pressed Stop: the log stays, but is no longer followed.
            logs.stop()
            raise
        return True

    def present(self, session: Session, parsed: Parsed, result: Any) -> Any:
        """Return the result, which is shown as a live widget if the command has one."""
        if parsed.verb is None or parsed.help:
            return result
        from jupyter_containers.commands.render.application import ApplicationView
        from jupyter_containers.commands.render.results import Showable

        if isinstance(result, ApplicationView):
            return result.shown_by(partial(self._show_application, session, result))
        if not isinstance(result, Showable):
            return result  # -q and --format produce text
        live = parsed.verb.live
        if live is None or not live.wanted(parsed):
            return result
        show = {
            View.STATS: self._show_stats,
            View.DASHBOARD: self._show_dashboard,
            View.LAYERS: self._show_layers,
            View.NETWORK: self._show_network,
            View.EXPLANATION: self._show_explained,
        }[live.view]
        return result.shown_by(partial(show, session, parsed, result))

    def _show_stats(self, session: Session, parsed: Parsed, _: Any) -> None:
        from jupyter_containers.widgets.stats import StatsWidget

        widget = StatsWidget(lambda: perform(session, parsed), self.gallery, self._cell_number)
        widget.start()
        widget.show()

    def _show_layers(self, _: Session, __: Parsed, layers: Any) -> None:
        from jupyter_containers.widgets.layers import LayersWidget

        LayersWidget(layers, self.gallery, self._cell_number).show()

    def _show_network(self, session: Session, parsed: Parsed, found: Any) -> None:
        from jupyter_containers.widgets.network import NetworkWidget

        self._show_following(NetworkWidget, session, parsed, found)

    def _show_explained(self, session: Session, parsed: Parsed, found: Any) -> None:
        from jupyter_containers.widgets.explain import ExplainWidget

        self._show_following(ExplainWidget, session, parsed, found)

    def _show_application(self, session: Session, found: ApplicationView) -> None:
        from jupyter_containers.commands.applications import Deeds
        from jupyter_containers.widgets.application import ApplicationWidget

        deeds = Deeds(found.application)
        widget = ApplicationWidget(session.engine, found, deeds, self.gallery, self._cell_number)
        widget.start()
        widget.show()

    def _show_following(
        self, kind: Callable[..., Any], session: Session, parsed: Parsed, found: Any
    ) -> None:
        """Show a widget that performs the command again after events."""
        again = partial(perform, session, parsed)
        widget = kind(session.engine, found, again, self.gallery, self._cell_number)
        widget.start()
        widget.show()

    def _show_dashboard(self, session: Session, parsed: Parsed, _: Any) -> None:
        from jupyter_containers.commands.render.links import proxy_base
        from jupyter_containers.commands.verbs.looking import log_source
        from jupyter_containers.commands.verbs.terminals import shell_work
        from jupyter_containers.widgets.dashboard import DashboardWidget

        engine = session.engine
        widget = DashboardWidget(
            engine,
            lambda: perform(session, parsed),
            lambda name: log_source(engine, name, {"follow": True, "tail": 5000}),
            lambda name: shell_work(engine, name),
            self.gallery,
            self._cell_number,
            proxy_base(),
        )
        widget.start()
        widget.show()
