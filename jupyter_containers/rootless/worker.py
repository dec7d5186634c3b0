"""The process in which an ordinary user's engine works, for one kernel.

Every call has a thread, but the calls of the caller's main thread run in the main thread here: only
there does an interrupt end any wait, as in an engine of the same process.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from jupyter_containers.engine.services import NOUNS
from jupyter_containers.errors import ContainersError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.lazy_modules import queue, socket
from jupyter_containers.rootless.wire import Channel, receive_socket, values_only

# The terminals of engine.containers.foreground, which stay here and are used from the kernel.
_SESSIONS = ("ContainerSession", "ExecSession")


@dataclass(slots=True)
class _Call:
    """A call in progress: the objects that the caller lends, and the caller's messages to it."""

    channel: Channel
    answers: queue.SimpleQueue[tuple[str, Any]] = field(default_factory=queue.SimpleQueue)
    tokens: set[int] = field(default_factory=set)
    asking: threading.Lock = field(default_factory=threading.Lock)
    descriptors: list[int] = field(default_factory=list)


class Worker:
    """Serves one engine; :meth:`run` returns when the kernel is gone."""

    def __init__(self, control: socket.socket, engine: Any) -> None:
        self._control, self._engine = control, engine
        self._objects: dict[int, Any] = {}
        # By the caller's numbers; those of a call that returned an iterator live as long as it.
        self._tokens: dict[int, CancelToken] = {}
        self._of_object: dict[int, set[int]] = {}
        self._numbers = itertools.count()
        self._main: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._main_call: _Call | None = None
        self._switching = threading.Lock()

    def run(self) -> None:
        """Run the calls of the main thread, until the kernel closes its end."""
        signal.signal(signal.SIGINT, self._interrupted)
        threading.Thread(target=self._accept, daemon=True).start()
        while (work := self._main.get()) is not None:
            work()

    def _interrupted(self, number: int, frame: object) -> None:  # noqa: ARG002  # a signal handler
        if self._main_call is not None:
            raise KeyboardInterrupt

    def _accept(self) -> None:
        try:
            while (connection := receive_socket(self._control)) is not None:
                channel = Channel(connection)
                threading.Thread(target=self._serve, args=(channel,), daemon=True).start()
        finally:
            self._main.put(None)  # whatever happened: a worker never outlives its kernel

    def _serve(self, channel: Channel) -> None:
        call = _Call(channel)
        try:
            while True:
                kind, *rest = channel.receive(lambda ref, fds: self._resolve(call, ref, fds))
                match kind:
                    case "call":
                        self._begin(call, *rest)
                    case "answer":
                        call.answers.put((rest[0], rest[1]))
                    case "cancel":
                        self._token(rest[0]).cancel()
                    case "interrupt":
                        self._interrupt(call)
                    case "drop":
                        self._objects.pop(rest[0], None)
                        self._forget(self._of_object.pop(rest[0], set()))
        except EOFError:
            for number in list(call.tokens):
                self._token(number).cancel()
            self._interrupt(call)
            call.answers.put(("error", EOFError("the caller is gone")))

    def _begin(
        self,
        call: _Call,
        in_main: bool,
        place: str,
        environ: dict[str, str] | None,
        target: Any,
        method: str,
        args: tuple[Any, ...],
        flags: dict[str, Any],
    ) -> None:
        def work() -> None:
            if in_main:
                self._settle_in(place, environ)
            self._perform(call, target, method, args, flags, in_main)

        if in_main:
            self._main.put(work)
        else:
            threading.Thread(target=work, daemon=True).start()

    def _settle_in(self, place: str, environ: dict[str, str] | None) -> None:
        if environ is not None:
            kept = {key: value for key, value in os.environ.items() if key.startswith(_OWN)}
            os.environ.clear()
            os.environ.update(environ | kept)
        try:
            os.chdir(place)
        except OSError:
            os.chdir("/")  # the kernel's folder no longer exists, nor do relative paths in it

    def _perform(
        self,
        call: _Call,
        target: Any,
        method: str,
        args: tuple[Any, ...],
        flags: dict[str, Any],
        in_main: bool,
    ) -> None:
        result: tuple[str, Any]
        try:
            try:
                if in_main:
                    self._main_call = call
                found = getattr(target, method)
                result = ("value", found(*args, **flags) if callable(found) else found)
            finally:
                with self._switching:
                    self._main_call = None if in_main else self._main_call
        except StopIteration:
            result = ("end", None)
        except BaseException as error:  # noqa: BLE001  # the caller's to handle
            result = ("error", _portable(error))
        while call.descriptors:
            os.close(call.descriptors.pop())
        given, call.tokens = call.tokens, set()
        if isinstance(result[1], Iterator):
            self._of_object[self._keep(result[1])] = given
        else:
            self._forget(given)
        try:
            call.channel.send(result, self._refer)
        except (OSError, EOFError):
            return  # the caller is gone and needs no result
        except Exception as error:  # noqa: BLE001  # a result that cannot be pickled is a defect here
            call.channel.send(("error", TypeError(f"{method}: {error}")), self._refer)

    def _interrupt(self, call: _Call) -> None:
        with self._switching:
            if self._main_call is call:
                thread = threading.main_thread()
                signal.pthread_kill(thread.ident or 0, signal.SIGINT)

    def _refer(self, value: Any, descriptors: list[int]) -> Any:
        noun = getattr(type(value), "noun", "")
        if noun in NOUNS and getattr(self._engine, noun) is value:
            return ("service", noun)
        if isinstance(value, Iterator):
            return ("iterator", self._number(value))
        if type(value).__name__ in _SESSIONS:
            descriptors.append(value.descriptor)
            return ("session", self._keep(value), value.container_id, len(descriptors) - 1)
        return None

    def _keep(self, value: Any) -> int:
        number = next(self._numbers)
        self._objects[number] = value
        return number

    def _number(self, value: Any) -> int:
        known = (number for number, kept in list(self._objects.items()) if kept is value)
        found = next(known, None)
        return self._keep(value) if found is None else found

    def _token(self, number: int) -> CancelToken:
        return self._tokens.setdefault(number, CancelToken())

    def _forget(self, numbers: set[int]) -> None:
        for number in numbers:
            self._tokens.pop(number, None)

    def _resolve(self, call: _Call, reference: tuple[Any, ...], descriptors: list[int]) -> Any:
        match reference:
            case ("service", noun):
                return getattr(self._engine, noun)
            case ("object", number):
                return self._objects[number]
            case ("token", number):
                call.tokens.add(number)
                return self._token(number)
            case ("file", index, mode):
                return os.fdopen(descriptors[index], mode, buffering=0)
            case ("descriptor", index):
                call.descriptors.append(descriptors[index])
                return descriptors[index]
            case ("callback", number, waits):
                return _Callback(call, number, waits, self._refer)
            case ("stream", number):
                return _Stream(_Callback(call, number, True, self._refer))
        raise ValueError(f"unknown reference {reference!r}")


_OWN = "JUPYTER_CONTAINERS_"


@dataclass(frozen=True, slots=True)
class _Callback:
    """A callable of the caller; called without waiting, or with its result awaited."""

    call: _Call
    number: int
    waits: bool
    refer: Callable[[Any, list[int]], Any]

    def __call__(self, *args: Any) -> Any:
        if not self.waits:
            self.call.channel.send(("tell", self.number, args), self.refer)
            return None
        with self.call.asking:
            self.call.channel.send(("ask", self.number, args), self.refer)
            kind, value = self.call.answers.get()
        if kind == "error":
            raise value
        return value


@dataclass(frozen=True, slots=True)
class _Stream:
    """A file object of the caller without a descriptor."""

    ask: _Callback

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes."""
        return bytes(self.ask("read", size))

    def write(self, data: bytes) -> int:
        """Write all of ``data``."""
        self.ask("write", bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: every write has been delivered."""


def _portable(error: BaseException) -> BaseException:
    """Return an error that can be pickled and has the same text."""
    import pickle

    error.__traceback__ = error.__cause__ = error.__context__ = None
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
    except Exception:  # noqa: BLE001  # whatever goes wrong in its class
        return ContainersError(str(error)) if isinstance(error, Exception) else error
    return error


def main() -> int:
    """Serve the kernel at the other end of the socket whose number is the argument."""
    from jupyter_containers.rootless.settling import enter_for

    control = socket.socket(fileno=int(sys.argv[1]))
    channel = Channel(control)
    try:
        enter_for()
        from jupyter_containers.engine import Engine

        with Engine() as engine:
            channel.send(("ready",), values_only)
            Worker(control, engine).run()
    except ContainersError as error:
        channel.send(("error", _portable(error)), values_only)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
