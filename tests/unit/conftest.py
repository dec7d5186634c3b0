from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from jupyter_containers.oci.state import Status

SHORT_CUTS = {"run": "containers", "build": "builds", "pull": "images", "push": "images"}


class FakeEngine:
    """Records every call; returns the value (or the result of the function) in ``answers``.

    Calls are named ``containers.stop``, those that list ``containers``, short cuts ``run``.  A call
    must also fit the signature of the real service's method of that name, and its flags must be
    options that the engine knows.
    """

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.closed = False

    def __enter__(self) -> FakeEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.closed = True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return partial(self.answer, name) if name in SHORT_CUTS else FakeService(self, name)

    def answer(self, name: str, *args: Any, **kwargs: Any) -> Any:
        _check_signature(name, args, kwargs)
        self.calls.append((name, args, kwargs))
        answer = self.answers.get(name)
        return answer(*args, **kwargs) if callable(answer) else answer

    @property
    def last(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        """The last call, without the arguments that are functions (sinks, callbacks)."""
        name, args, kwargs = self.calls[-1]
        return name, args, {key: value for key, value in kwargs.items() if not callable(value)}


class FakeService:
    """One service of a :class:`FakeEngine`."""

    def __init__(self, engine: FakeEngine, noun: str) -> None:
        self._engine, self._noun = engine, noun

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._engine.answer(self._noun, *args, **kwargs)

    def __getattr__(self, verb: str) -> Any:
        if verb.startswith("_"):
            raise AttributeError(verb)
        return partial(self._engine.answer, f"{self._noun}.{verb}")


def _check_signature(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    from jupyter_containers.engine.containers.workplace import run_options
    from jupyter_containers.engine.services import service_class
    from jupyter_containers.options import ExecOptions
    from jupyter_containers.options.build import BuildOptions

    noun, _, verb = name.rpartition(".") if "." in name else (SHORT_CUTS.get(name, name), "", name)
    service = service_class(noun)
    method = getattr(service, "list" if verb == noun else verb)
    bound = inspect.signature(method).bind(service, *args, **kwargs)
    flags = bound.arguments.get("flags", {})
    if name in ("run", "containers.create"):
        run_options(*args[:1], args[1] if len(args) > 1 else None, flags)
    elif name == "containers.exec":
        ExecOptions.of(*args[1:], **flags)
    elif name == "build":
        BuildOptions.of(*args, **flags)


@dataclass
class FakeContainer:
    id: str = "4f5e" + "0" * 60
    name: str = "web"
    image: str = "debian:12"
    command: str = "sleep 1000000000000"
    created: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(minutes=2))
    status: Status = Status.RUNNING
    status_text: str = "Up 2 minutes"
    ports: tuple[str, ...] = ("127.0.0.1:8000->8000/tcp",)
    labels: dict[str, str] = field(default_factory=lambda: {"b": "2", "a": "1"})
    networks: tuple[str, ...] = ("bridge",)
    mounts: tuple[str, ...] = ()
    local_volumes: int = 0

    @property
    def short_id(self) -> str:
        return self.id[:12]


@dataclass
class FakeImage:
    id: str = "sha256:" + "ab" * 32
    names: tuple[str, ...] = ("app:latest", "localhost:5000/team/app:1")
    digests: tuple[str, ...] = ()
    created: datetime | None = field(default_factory=lambda: datetime.now(UTC) - timedelta(days=20))
    size: int = 187_000_000

    @property
    def short_id(self) -> str:
        return self.id.removeprefix("sha256:")[:12]


@pytest.fixture
def fake_engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def a_container() -> FakeContainer:
    return FakeContainer()


@pytest.fixture
def an_image() -> FakeImage:
    return FakeImage()
