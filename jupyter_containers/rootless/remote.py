"""The engine for a kernel of an ordinary user: a worker process does its work.

It has the services of :class:`~jupyter_containers.engine.Engine`, with the same behaviour: values
and errors are returned and raised here, callbacks are called here, an interrupt first stops the
work in the worker.
"""

from __future__ import annotations

import contextvars
import itertools
import os
import select
import threading
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cached_property, partial
from types import MethodType
from typing import TYPE_CHECKING, Any, Literal

from jupyter_containers.engine.collection import Collection
from jupyter_containers.engine.services import NOUNS, service_class
from jupyter_containers.errors import ContainersError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import socket, subprocess
from jupyter_containers.rootless.wire import Channel, send_socket, values_only
from jupyter_containers.runtime.self_exec import self_exec_command
from jupyter_containers.settings import Settings, environment, load_settings

if TYPE_CHECKING:
    from jupyter_containers.engine.sessions.service import SessionService

_LOOK_SECONDS = 0.02
_SHORT_CUTS = {
    "run": "containers",
    "build": "builds",
    "pull": "images",
    "push": "images",
    "compose": "applications",
}
# Callbacks without a result: the worker does not wait for them.
_ONE_WAY = ("emit", "on_output")
# These run here: they are composed of public methods, keep state, or use the caller's modules.
_COMPOSED = ("service", "compose", "to_dataframe")


class RemoteEngine:
    """The engine of a user who is not root; the arguments are those of ``Engine``.

    The worker starts with the first call.  Raises :class:`UnsupportedError` then if the host does
    not let users create namespaces.
    """

    def __init__(self, **overrides: Any) -> None:
        self.settings: Settings = load_settings(overrides=overrides)
        self._link: _Link | None = None
        self._opening = threading.Lock()

    def __enter__(self) -> RemoteEngine:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        if name in _SHORT_CUTS:
            return getattr(getattr(self, _SHORT_CUTS[name]), name)
        if name.startswith("_"):
            raise AttributeError(name)
        service = service_class(name)
        kind = _RemoteCollection if issubclass(service, Collection) else _RemoteService
        made = kind(self, name, service)
        setattr(self, name, made)
        return made

    @cached_property
    def sessions(self) -> SessionService:
        """Sessions: composed of public methods, with threads of the caller's."""
        from jupyter_containers.engine.sessions.service import SessionService

        return SessionService(self.containers, self.settings.result_max_bytes)

    def api(self, address: str = "") -> AbstractContextManager[str]:
        """Serve the Docker Engine API for as long as a ``with`` block lasts; yield its address."""
        from jupyter_containers.engine.system.serving import serving

        return serving(self.settings, address)

    @property
    def link(self) -> _Link:
        """The worker, which is started if there is none."""
        with self._opening:
            if self._link is None or not self._link.alive:
                self._link = _Link(self, self.settings)
            return self._link

    def close(self) -> None:
        """End the worker; containers keep running."""
        with self._opening:
            link, self._link = self._link, None
        if link is not None:
            link.close()


class _RemoteService:
    """One service of the engine in the worker, named by its noun."""

    def __init__(self, engine: RemoteEngine, noun: str, service: type) -> None:
        self._engine, self.noun, self._service = engine, noun, service

    def __getattr__(self, name: str) -> Any:
        if name[1:] in NOUNS:  # another service that a composed method uses: _containers, _images …
            return getattr(self._engine, name[1:])
        attribute = getattr(self._service, name)
        if name in _COMPOSED:
            return partial(attribute, self)

        def method(*args: Any, **flags: Any) -> Any:
            return self._engine.link.call(("service", self.noun), name, args, flags)

        if callable(attribute):  # signature and docstring, for completion and help
            method.__wrapped__ = MethodType(attribute, self)  # type: ignore[attr-defined]  # as functools.wraps does
            method.__doc__ = attribute.__doc__
        return method


class _RemoteCollection(_RemoteService, Collection[Any]):
    """A service that is also a collection."""

    def __call__(self, *args: Any, **flags: Any) -> Any:
        return self.list(*args, **flags)

    def get(self, name: str, *args: Any) -> Any:
        """Return one item; raise :class:`NotFoundError`."""
        return self.__getattr__("get")(name, *args)

    def everything(self) -> list[Any]:
        """Return all items."""
        found: list[Any] = self.__getattr__("everything")()
        return found


class _Link:
    """A worker, and the channels to it that no call is using."""

    def __init__(self, engine: RemoteEngine, settings: Settings) -> None:
        self.engine = engine
        self.tokens = itertools.count()
        self._idle: list[Channel] = []
        self._guard = threading.Lock()
        self._environ: dict[str, str] | None = None
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = _start_worker(theirs.fileno(), settings)
        answer = Channel(self._control).receive(values_only)
        if answer[0] == "error":
            self.close()
            raise answer[1]
        # Otherwise a worker would survive an engine that is deleted but never closed.
        self._end = weakref.finalize(engine, self._control.close)

    @property
    def alive(self) -> bool:
        """True until the worker has ended."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the worker and wait for it."""
        self._control.close()
        with self._guard:
            idle, self._idle = self._idle, []
        for channel in idle:
            channel.close()
        self._process.wait()

    def call(
        self,
        target: Any,
        method: str,
        args: tuple[Any, ...],
        flags: dict[str, Any],
        tokens: dict[int, CancelToken] | None = None,
    ) -> Any:
        """Call a method in the worker; return its result or raise its exception.

        ``tokens`` are the cancel tokens of earlier calls that created the target.
        """
        in_main = threading.current_thread() is threading.main_thread()
        environ = None
        if in_main:
            now = dict(os.environ)
            environ = None if now == self._environ else now
            self._environ = now
        args = tuple(_lendable("", value) for value in args)
        flags = {name: _lendable(name, value) for name, value in flags.items()}
        exchange = _Exchange(self, self._channel(), tokens or {})
        exchange.begin((in_main, os.getcwd(), environ, _Target(target), method, args, flags))
        return exchange.result()

    def _channel(self) -> Channel:
        with self._guard:
            if self._idle:
                return self._idle.pop()
        ours, theirs = socket.socketpair()
        with theirs:
            send_socket(self._control, theirs)
        return Channel(ours)

    def give_back(self, channel: Channel) -> None:
        """Keep a channel for the next call."""
        with self._guard:
            if self._control.fileno() >= 0:
                self._idle.append(channel)
                return
        channel.close()

    def drop(self, number: int) -> None:
        """Let the worker drop an object that it keeps for this process."""
        if self.alive:
            try:
                channel = self._channel()
                channel.send(("drop", number), values_only)
                self.give_back(channel)
            except OSError:
                return  # the worker is gone, with all its objects


class _Target:
    """The target of a method call, as a reference."""

    def __init__(self, reference: Any) -> None:
        self.reference = reference


@dataclass(frozen=True, slots=True)
class _Lent:
    """An argument that is not a value, and how the worker accesses it."""

    kind: Literal["one-way", "callback", "stream", "descriptor", "rb", "wb"]
    value: Any


def _lendable(name: str, value: Any) -> Any:
    """Return an argument in the form in which it is sent to the worker."""
    if name == "stdin" and isinstance(value, int):
        return _Lent("descriptor", value)
    if hasattr(value, "read") or hasattr(value, "write"):
        try:
            number = value.fileno()
        except (AttributeError, OSError, ValueError):
            return _Lent("stream", value)
        return _Lent("rb" if value.readable() else "wb", number)
    if callable(value) and not isinstance(value, type):
        return _Lent("one-way" if name in _ONE_WAY else "callback", value)
    return value


class _Exchange:
    """One call: a separate thread receives, so that an interrupt can come at any time."""

    def __init__(self, link: _Link, channel: Channel, tokens: dict[int, CancelToken]) -> None:
        self._link, self._channel = link, channel
        self._lent: dict[int, Any] = {}
        self._numbers = itertools.count()
        self._tokens = dict(tokens)
        self._ended = threading.Event()
        self._outcome: tuple[str, Any] = ("error", EOFError())
        self._fault: BaseException | None = None

    def begin(self, message: tuple[Any, ...]) -> None:
        """Send the call and start receiving."""
        self._channel.send(("call", *message), self._refer)
        context = contextvars.copy_context()
        threading.Thread(
            target=context.run, args=(self._listen,), name="engine-call", daemon=True
        ).start()

    def result(self) -> Any:
        """Return or raise the outcome; an interrupt first stops the work in the worker."""
        try:
            self._wait()
        except BaseException:
            self._stop()
            raise
        kind, value = self._outcome
        if self._fault is not None:
            raise self._fault
        if kind == "value":
            return value
        raise StopIteration if kind == "end" else value

    def _wait(self) -> None:
        if not self._tokens:
            self._ended.wait()
        sent: set[int] = set()
        while not self._ended.wait(_LOOK_SECONDS):
            for number, token in self._tokens.items():
                if token.cancelled and number not in sent:
                    sent.add(number)
                    self._send(("cancel", number))

    def _stop(self) -> None:
        """Wait until the work in the worker has ended, however often the caller is interrupted."""
        while not self._ended.is_set():
            try:
                self._send(("interrupt",))
                for number in self._tokens:
                    self._send(("cancel", number))
                self._ended.wait()
            except KeyboardInterrupt:
                continue

    def _send(self, message: tuple[Any, ...]) -> None:
        try:
            self._channel.send(message, values_only)
        except OSError:
            return  # the worker is gone: the receiver reports that

    def _listen(self) -> None:
        try:
            while True:
                kind, *rest = self._channel.receive(self._resolve)
                if kind == "tell":
                    self._notify(*rest)
                elif kind == "ask":
                    self._channel.send(("answer", *self._invoke(*rest)), self._refer)
                else:
                    self._outcome = (kind, rest[0])
                    break
            self._link.give_back(self._channel)
        except (EOFError, OSError) as error:
            self._channel.close()
            gone = ContainersError(
                "the engine's worker has ended", hint="the next command starts another one"
            )
            gone.__cause__ = error
            self._outcome = ("error", gone)
        finally:
            self._ended.set()

    def _notify(self, number: int, args: tuple[Any, ...]) -> None:
        if self._fault is not None:
            return
        try:
            self._lent[number](*args)
        except BaseException as error:  # noqa: BLE001  # raised in the caller's thread
            self._fault = error
            self._send(("interrupt",))

    def _invoke(self, number: int, args: tuple[Any, ...]) -> tuple[str, Any]:
        lent = self._lent[number]
        try:
            if callable(lent):
                return "value", lent(*args)
            method, value = args
            return "value", getattr(lent, method)(value)
        except BaseException as error:  # noqa: BLE001  # raised in the worker
            return "error", error

    def _refer(self, value: Any, descriptors: list[int]) -> Any:
        if isinstance(value, _RemoteService):
            return ("service", value.noun)
        if isinstance(value, _Target):
            return value.reference
        if isinstance(value, CancelToken):
            number = next(self._link.tokens)
            self._tokens[number] = value
            return ("token", number)
        if isinstance(value, _Lent):
            return self._lend(value, descriptors)
        return None

    def _lend(self, lent: _Lent, descriptors: list[int]) -> Any:
        if lent.kind in ("descriptor", "rb", "wb"):
            descriptors.append(lent.value)
            index = len(descriptors) - 1
            return (
                ("descriptor", index) if lent.kind == "descriptor" else ("file", index, lent.kind)
            )
        number = next(self._numbers)
        self._lent[number] = lent.value
        if lent.kind == "stream":
            return ("stream", number)
        return ("callback", number, lent.kind == "callback")

    def _resolve(self, reference: tuple[Any, ...], descriptors: list[int]) -> Any:
        match reference:
            case ("service", noun):
                return getattr(self._link.engine, noun)
            case ("iterator", number):
                return _RemoteIterator(self._link, number, self._tokens)
            case ("session", number, container_id, index):
                return RemoteSession(self._link, number, container_id, descriptors[index])
        raise ValueError(f"unknown reference {reference!r}")


class _RemoteIterator(Iterator[Any]):
    """The items of an iterator in the worker, which is dropped there when it is deleted here."""

    def __init__(self, link: _Link, number: int, tokens: dict[int, CancelToken]) -> None:
        self._link, self._number, self._tokens = link, number, tokens
        self._end = weakref.finalize(self, link.drop, number)
        # A kernel that ends also ends its worker.
        self._end.atexit = False

    def __next__(self) -> Any:
        return self._link.call(("object", self._number), "__next__", (), {}, self._tokens)

    def close(self) -> None:
        """End the iteration early."""
        self._end()


class RemoteSession:
    """A terminal whose other half is in the worker; see :class:`TerminalSession`."""

    def __init__(self, link: _Link, number: int, container_id: str, descriptor: int) -> None:
        self.container_id = container_id
        self.descriptor = descriptor
        self._link, self._number = link, number
        self._closed = False

    def read(self, timeout: float | None = None) -> bytes | None:
        """Return output, ``b""`` at its end, None if there was none in ``timeout``."""
        if not select.select([self.descriptor], [], [], timeout)[0]:
            return None
        data: bytes | None = self._call("read", 0)
        return data

    def write(self, data: bytes) -> None:
        """Write typed keys; after the end they are dropped."""
        self._call("write", data)

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size and signal the process."""
        self._call("resize", rows, columns)

    def wait(self, timeout: float | None = None) -> int | None:
        """Return the exit code, None if the process is still running after ``timeout`` seconds."""
        code: int | None = self._call("wait", timeout)
        return code

    def close(self) -> None:
        """Close the terminal; a second call does nothing."""
        if not self._closed:
            self._closed = True
            os.close(self.descriptor)
            self._call("close")
            self._link.drop(self._number)

    def _call(self, method: str, *args: Any) -> Any:
        return self._link.call(("object", self._number), method, args, {})


def _start_worker(descriptor: int, settings: Settings) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        self_exec_command("jupyter_containers.rootless.worker", str(descriptor)),
        pass_fds=(descriptor,),
        env={**os.environ, **environment(settings)},
        # The worker ignores interrupts of the kernel's process group: the kernel relays them.
        start_new_session=True,
    )
