"""One connection to one page: calls are decoded, performed in threads and answered once.

Received messages are untrusted data from a browser and are checked against the schema.  Any thread
may send.  ``Connection.close`` ends everything that the page had opened.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from jupyter_containers.errors import ContainersError, InvalidArgumentError
from jupyter_containers.oci.decoding import convert_message
from jupyter_containers.panel.messages import (
    VERSION,
    Answer,
    Call,
    CloseView,
    Command,
    Failure,
    Farewell,
    FromKernel,
    FromPage,
    Hello,
    Login,
    OpenView,
    Progress,
    Refused,
    Request,
    ToView,
    Trouble,
    Watch,
    Welcome,
)
from jupyter_containers.panel.uploads import Uploads

if TYPE_CHECKING:
    from jupyter_containers.engine import Engine
    from jupyter_containers.panel.calls import Foretell
    from jupyter_containers.panel.feed import Feed
    from jupyter_containers.panel.views import Views

Buffers = Sequence[bytes]


class Comm(Protocol):
    """The part of a comm that a connection uses."""

    comm_id: str

    def send(
        self,
        data: Any = None,
        metadata: Any = None,
        buffers: Any = None,
    ) -> None:
        """Send a message to the page."""

    def on_msg(self, callback: Callable[[Any], None] | None) -> None:
        """Pass messages of the page to ``callback``."""

    def on_close(self, callback: Callable[[Any], None] | None) -> None:
        """Pass the page's closing message to ``callback``."""

    def close(self) -> None:
        """Close the comm at the page."""


class Connection:
    """A page's connection to the engine that ``provide_engine`` returns.

    ``hang_up`` is called with the IDs of connections that the page has abandoned.
    """

    def __init__(
        self,
        comm: Comm,
        provide_engine: Callable[[], Engine],
        on_close: Callable[[Connection], None] = lambda _: None,
        forecast: Foretell | None = None,
        hang_up: Callable[[Sequence[str]], None] = lambda _: None,
    ) -> None:
        self._forecast, self._hang_up = forecast, hang_up
        self._comm, self._provide_engine, self._on_close = comm, provide_engine, on_close
        self._lock = threading.Lock()
        self._closed = False
        self._feed: Feed | None = None
        self._views: Views | None = None
        self._uploads = Uploads()
        stay_live(comm)
        comm.on_msg(self._receive)
        comm.on_close(lambda _: self.close())

    @property
    def id(self) -> str:
        """The comm's ID, which is also the page's name for the connection."""
        return self._comm.comm_id

    def begin(self, data: object) -> None:
        """Answer the page's opening message; the rest is done in a thread."""
        try:
            hello = convert_message(data, Hello)
        except InvalidArgumentError as error:
            self._refuse(
                Trouble("ProtocolError", f"the page's first message is not a hello: {error}")
            )
            return
        self._hang_up(hello.left)
        if VERSION not in hello.versions:
            spoken = ", ".join(str(version) for version in hello.versions) or "none"
            self._refuse(
                Trouble(
                    "ProtocolError",
                    f"the page speaks version {spoken} of the panel's protocol, "
                    f"this kernel {VERSION}",
                    "install the same version of jupyter-containers-engine for JupyterLab "
                    "and in the kernel's environment, then reload the page",
                )
            )
            return
        threading.Thread(target=self._open, name="panel-open", daemon=True).start()

    def tell(self, message: FromKernel, buffers: Buffers | None = None) -> None:
        """Send a message; do nothing after the close."""
        if not self._closed:
            self._comm.send(msgspec.to_builtins(message), buffers=list(buffers or ()) or None)

    def close(self) -> None:
        """End views, feed and connection; a second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self._feed is not None:
            self._feed.stop()
        if self._views is not None:
            self._views.close()
        self._uploads.close()
        self._comm.close()
        self._on_close(self)

    def _refuse(self, trouble: Trouble) -> None:
        self.tell(Refused(trouble))
        self.close()

    def _open(self) -> None:
        from jupyter_containers.panel.feed import Feed
        from jupyter_containers.panel.views import Views
        from jupyter_containers.version import __version__

        try:
            engine = self._provide_engine()
        except ContainersError as error:
            self._refuse(trouble_of(error))
            return
        with self._lock:
            if self._closed:
                return
            self._views = Views(engine, self.tell)
            self._feed = Feed(engine, self.tell, self.close)
        self.tell(Welcome(VERSION, __version__, str(engine.settings.root)))
        self._feed.start()

    def _receive(self, message: Any) -> None:
        data = message["content"].get("data")
        buffers = [bytes(item) for item in message.get("buffers") or ()]
        try:
            said: FromPage = convert_message(data, FromPage)
        except InvalidArgumentError as error:
            number = data.get("id") if isinstance(data, Mapping) else None
            if isinstance(number, int):
                self.tell(Failure(number, Trouble("ProtocolError", f"not a call: {error}")))
            return
        if isinstance(said, Farewell):
            self.close()
            return
        if isinstance(said, ToView):
            if self._views is not None:
                self._views.receive(said, buffers)
            return
        threading.Thread(
            target=self._answer, args=(said, buffers), name="panel-call", daemon=True
        ).start()

    def _answer(self, request: Request, buffers: Buffers) -> None:
        try:
            value, back = self._perform(request.id, request.call, buffers)
            self.tell(Answer(request.id, value), back)
        except ContainersError as error:
            self.tell(Failure(request.id, trouble_of(error)))
        except Exception as error:
            # Internal errors are also reported to the waiting page; the kernel's log has the
            # details.
            self.tell(Failure(request.id, Trouble(type(error).__name__, str(error) or "a fault")))
            raise

    def _perform(self, number: int, call: Call, buffers: Buffers) -> tuple[Any, Buffers]:
        from jupyter_containers.panel.calls import Calls

        if self._feed is None or self._views is None:
            raise InvalidArgumentError("the connection is not open yet")
        match call:
            case Watch(visible):
                self._feed.watch(visible)
                return None, ()
            case OpenView():
                return self._views.open(call), ()
            case CloseView(channel):
                self._views.end(channel)
                return None, ()

        def say(text: str) -> None:
            self.tell(Progress(number, text))

        done = Calls(self._provide_engine(), say, self._uploads, self._forecast).perform(
            call, buffers
        )
        if isinstance(call, Command | Login):
            # Logins and failed builds are not in the engine's event feed.
            self._feed.touch("registries", "builds")
        return done


def trouble_of(error: ContainersError) -> Trouble:
    """Return the message for an error."""
    return Trouble(type(error).__name__, error.message, error.hint or "")


def stay_live(comm: Any) -> None:
    """Handle a comm's messages while a cell runs, if the kernel supports it.

    The page sends them to a separate thread (a subshell); ipykernel 7 would still send them to the
    main thread once a cell has sent a message on the comm.
    """
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = None  # noqa: SLF001  # there is no public way
