"""A page without a browser: it keeps received messages, and calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from jupyter_containers.errors import ContainerNotFoundError, OperationCancelledError, RegistryError
from jupyter_containers.panel.messages import VERSION


class FakeComm:
    """A comm of ipykernel 7, as far as a connection knows it."""

    def __init__(self, comm_id: str = "comm") -> None:
        self.comm_id = comm_id
        self.told: list[tuple[dict[str, Any], list[bytes]]] = []
        self.closed = False
        self.on_message: Callable[[Any], None] = lambda _: None
        self.on_farewell: Callable[[Any], None] = lambda _: None
        self._reply_subshell_for: Any = lambda data, default: "the busy main shell"

    def send(self, data: Any = None, metadata: Any = None, buffers: Any = None) -> None:
        self.told.append((data, list(buffers or ())))

    def on_msg(self, callback: Any) -> None:
        self.on_message = callback

    def on_close(self, callback: Any) -> None:
        self.on_farewell = callback

    def close(self) -> None:
        self.closed = True


class FakePage:
    """The page's side of a connection."""

    def __init__(self, comm: FakeComm) -> None:
        self.comm = comm
        self._next = 0

    def call(self, do: str, *buffers: bytes, **fields: Any) -> dict[str, Any]:
        """Call and return the answer or failure."""
        self._next += 1
        number = self._next
        self.say({"kind": "request", "id": number, "call": {"do": do, **fields}}, *buffers)
        return self.wait(lambda said: said.get("id") == number and said["kind"] != "progress")

    def say(self, data: Any, *buffers: bytes) -> None:
        self.comm.on_message({"content": {"data": data}, "buffers": buffers})

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [data for data, _ in self.comm.told if data["kind"] == kind]

    def wait(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            for data, _ in list(self.comm.told):
                if wanted(data):
                    return data
            time.sleep(0.005)
        raise AssertionError(f"not told: {self.comm.told}")


def hello(*versions: int) -> dict[str, Any]:
    return {"versions": list(versions or (VERSION,))}


class FakeService(SimpleNamespace):
    """A service of functions; ``listed`` is the result of calling it."""

    def __call__(self, *args: Any, **flags: Any) -> Any:
        return self.listed(*args, **flags)


class FakeEngine:
    """An engine of values; ``happen`` makes an event."""

    settings = SimpleNamespace(root="/store")

    def __init__(self) -> None:
        self.containers = FakeService(listed=self._containers, stop=self._stop)
        self.images = FakeService(listed=list)
        self.networks = FakeService(listed=list)
        self.volumes = FakeService(listed=self._volumes)
        self.builds = FakeService(history=list)
        self.registries = FakeService(logins=self._logins, list=list)
        self.system = FakeService(events=self._follow, names=self._names, inspect=self._inspect)
        self.done: list[tuple[Any, ...]] = []
        self.volume_names = ["data"]
        self.damaged = False
        self._events: list[Any] = []

    def _follow(self, cancel: Any) -> Any:
        while True:
            while self._events:
                yield self._events.pop(0)
            if cancel.wait(0.005):
                raise OperationCancelledError("cancelled")

    def happen(self, type: str, action: str) -> None:
        self._events.append(SimpleNamespace(type=type, action=action))

    def _containers(self, all: bool) -> Sequence[Any]:
        assert all
        return ()

    def _logins(self) -> list[str]:
        if self.damaged:
            raise RegistryError("config.json is not valid JSON")
        return ["quay.io"]

    def _volumes(self) -> Sequence[Any]:
        from datetime import UTC, datetime

        made = datetime.fromtimestamp(5, UTC)
        return [
            SimpleNamespace(name=name, driver="local", mountpoint=f"/v/{name}", created=made)
            for name in self.volume_names
        ]

    def _stop(self, name: str) -> None:
        if name == "nowhere":
            raise ContainerNotFoundError("no such container: nowhere", hint="look at ps")
        if name == "broken":
            raise RuntimeError("a fault of ours")
        self.done.append(("stop", name))

    def _names(self, kind: str) -> list[str]:
        return ["busybox:latest"] if kind == "image" else []

    def _inspect(self, name: str, kind: str) -> Mapping[str, object]:
        return {"Name": name, "Kind": kind} if name != "odd" else {"Odd": object()}
