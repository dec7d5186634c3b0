"""What all widgets share: messages from views, static fallbacks, an end.

A front end sends messages of an open widget to the kernel's main thread, where they would wait for
the cell that runs; :meth:`LiveWidget._stay_live` has them handled in a thread beside it where the
kernel can (ipykernel 7).  Handlers therefore run in any thread: they lock, stay short and do not
print.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import anywidget
import msgspec
import traitlets

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.oci.decoding import convert_message
from jupyter_containers.widgets import messages
from jupyter_containers.widgets.bundle import bundle
from jupyter_containers.widgets.gallery import Gallery

# A cell that is moved loses its view and gets another; only what stays without one was removed.
_REMOVED_SECONDS = 3.0


class LiveWidget(anywidget.AnyWidget):
    """A widget over one bundle; subclasses answer ``hello`` and handle messages by type.

    ``from_view`` is the union of what a view may send; anything else is dropped.
    """

    module: ClassVar[str]
    from_view: ClassVar[Any] = messages.Life

    def __init__(self, gallery: Gallery, cell: Callable[[], object] = lambda: None) -> None:
        self._gallery, self._cell = gallery, cell
        if gallery.send is None:
            self.add_traits(_esm=traitlets.Unicode(bundle(self.module)).tag(sync=True))
        super().__init__()
        self._shown_in: object = None
        self._handle: Any = None
        self._lock = threading.RLock()
        self._views: set[str] = set()
        self._over = threading.Event()
        self.seen = threading.Event()
        # The kernel finds the cell that an output belongs to in the context, not in the thread.
        self._context = contextvars.copy_context()
        self.live = self._stay_live()
        self.on_msg(self._receive)
        gallery.add(self)

    # How messages travel: on a comm of its own, or on the connection of its gallery.

    def open(self) -> None:
        """Open the comm, where there is to be one (called by ipywidgets)."""
        if self._gallery.send is None:
            super().open()

    def send(self, content: dict[str, Any], buffers: Sequence[bytes] | None = None) -> None:
        """Send to all views."""
        if self._gallery.send is None:
            super().send(content, buffers)
        else:
            self._gallery.send(content, buffers or ())

    def receive_message(self, content: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Take a message that came on the connection."""
        self._receive(self, content, buffers)

    # What a subclass says and does.

    def greet(self, view: str) -> None:
        """Send ``hello`` to a new view, with everything that it needs (the lock is held)."""
        raise NotImplementedError

    def handle(self, message: Any, view: str, buffers: Sequence[Any]) -> None:
        """Handle one message of a view, a value of ``from_view``."""

    def finish(self) -> None:
        """End threads and work; called once, at the close."""

    def fallback(self) -> tuple[str, str]:
        """Return what is shown where no widget can be: plain text and static HTML."""
        raise NotImplementedError

    # The machinery.

    @property
    def closed(self) -> bool:
        """True once the widget was closed."""
        return self._over.is_set()

    @property
    def watched(self) -> bool:
        """True while a view shows it."""
        return bool(self._views)

    def tell(
        self, message: msgspec.Struct, buffers: Sequence[bytes] | None = None, to: str = ""
    ) -> None:
        """Send a message to all views, or to one; nothing happens after the close."""
        if not self._over.is_set():
            self.send(msgspec.to_builtins(message) | ({"to": to} if to else {}), buffers)

    def show(self) -> None:
        """Show it in the present cell; once in one cell, however often it is asked for."""
        cell = self._cell()
        if self._handle is not None and cell is not None and cell == self._shown_in:
            return
        self._shown_in = cell
        from IPython.display import DisplayHandle

        make: Any = DisplayHandle  # IPython's methods carry no annotations
        self._handle = make()
        self._handle.display(self._bundle(), raw=True)

    def _ipython_display_(self) -> None:
        self.show()

    def refresh(self) -> None:
        """Bring the static part of its output up to date, for those who read it without us."""
        if self._handle is not None and not self.closed:
            with contextlib.suppress(Exception):
                # The front end may be gone; what is shown there is then of no interest.
                self._context.run(self._handle.update, self._bundle(), raw=True)

    def discard(self) -> None:
        """End it and take it off the page: it never came to be what it was to be."""
        self.close(leaving={"text/plain": ""})

    def close(self, leaving: Mapping[str, str] | None = None) -> None:
        """End it; its output then is static."""
        if self._over.is_set():
            return
        self._over.set()
        self._gallery.forget(self)
        with contextlib.suppress(Exception):
            # Whatever fails while something ends must not keep the rest from ending.
            self.finish()
        if self._handle is not None:
            with contextlib.suppress(Exception):
                self._context.run(self._handle.update, leaving or self._static(), raw=True)
        super().close()
        # A widget that is closed shows nothing for ipywidgets; this one shows what it was.
        self.__dict__.pop("_repr_mimebundle_", None)

    def _bundle(self) -> dict[str, Any]:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        return {**self._static(), "application/vnd.jupyter.widget-view+json": view}

    def _static(self) -> dict[str, Any]:
        text, markup = self.fallback()
        # The Lab extension knows by the mark what it may show once the widget has gone.
        marked = f'<div data-jupyter-containers="static">{markup}</div>'
        return {"text/plain": text, "text/html": marked}

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return self._static() if self.closed else self._bundle(), {}

    def __repr__(self) -> str:
        return self.fallback()[0]

    def _stay_live(self) -> bool:
        comm = self.comm
        if comm is None and self._gallery.send is not None:
            return True
        if not hasattr(comm, "_reply_subshell_for"):
            return False
        comm._reply_subshell_for = None  # noqa: SLF001  # there is no public way
        return True

    def _receive(self, _: Any, message: Any, buffers: Any) -> None:
        if not isinstance(message, Mapping) or self._over.is_set():
            return
        try:
            said = convert_message(message, self.from_view)
            view = convert_message(message.get("view", ""), str)
        except InvalidArgumentError:
            return
        with self._lock:
            match said:
                case messages.Ready() if view not in self._views:
                    # A view asks until it is answered; only the first time counts.
                    self._views.add(view)
                    self.greet(view)
                    self.seen.set()
                case messages.Here():
                    self._views.add(view)
                case messages.Gone():
                    self._views.discard(view)
                case messages.Cleared():
                    # Views of a page that was reloaded said no farewell: ask who is left.
                    self._views.clear()
        if isinstance(said, messages.Cleared):
            self.tell(messages.Who())
            timer = threading.Timer(_REMOVED_SECONDS, self._close_unwatched)
            timer.daemon = True
            timer.start()
        self.handle(said, view, buffers or ())

    def _close_unwatched(self) -> None:
        if not self._views:
            self.close()
