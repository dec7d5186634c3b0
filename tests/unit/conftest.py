from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jupyter_containers.oci.state import Status


class FakeEngine:
    """Records every call; answers with what the test put into ``answers`` (a value or a function).

    A call must also fit the signature of the real engine's method of that name, and its flags
    must be options that the engine knows.
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

        def method(*args: Any, **kwargs: Any) -> Any:
            _check_signature(name, args, kwargs)
            self.calls.append((name, args, kwargs))
            answer = self.answers.get(name)
            return answer(*args, **kwargs) if callable(answer) else answer

        return method

    @property
    def last(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        """The last call, without the arguments that are functions (sinks, callbacks)."""
        name, args, kwargs = self.calls[-1]
        return name, args, {key: value for key, value in kwargs.items() if not callable(value)}


def _check_signature(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    from jupyter_containers.engine import Engine
    from jupyter_containers.engine.containers.workplace import run_options
    from jupyter_containers.options import ExecOptions
    from jupyter_containers.options.build import BuildOptions

    # A collection is called by its kind's name; listing is the method behind it.
    is_collection = isinstance(getattr(Engine, name), property)
    method = getattr(Engine, f"list_{name}" if is_collection else name)
    bound = inspect.signature(method).bind(Engine, *args, **kwargs)
    flags = bound.arguments.get("flags", {})
    if name in ("run", "create"):
        run_options(*args[:1], args[1] if len(args) > 1 else None, flags)
    elif name == "exec":
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
