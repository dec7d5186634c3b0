"""Figures of the Docker Engine API: the same requests to our service and to dockerd."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path

from jupyter_containers import Engine
from jupyter_containers.engine.system.serving import Service, start_service
from tests.bench.peer import CLIENT, Docker
from tests.bench.table import Row
from tests.bench.turns import Series, in_turns, seconds

_LISTED = 500
_CLIENTS, _REQUESTS = 50, 1000
_TEXT = "FROM {image}\nENV A=1\nRUN echo a > /a\nRUN echo b > /b\nCOPY file /f\nLABEL x=y\n"


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=120)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(120)
        self.sock.connect(self._path)


class Figures:
    """Both services, with the image in both of them; close it at the end."""

    def __init__(self, folder: Path, engine: Engine, docker: Docker, image: str) -> None:
        self._folder, self._engine, self._image = folder, engine, image
        self._service = start_service(engine.settings, f"unix://{folder}/api.sock")
        self._hosts = {"ours": self._service.url, "docker": docker.environment["DOCKER_HOST"]}

    def close(self) -> None:
        """End our service."""
        self._service.stop()

    def rows(self, rounds: int, megabytes: int) -> list[Row]:
        """Measure all of them; ``megabytes`` are moved in each transfer."""
        try:
            return [*self._calls(rounds), *self._transfers(megabytes), *self._residence()]
        finally:
            self.close()

    def _client(self, name: str, *words: str, stdin: Path | None = None) -> None:
        environ = {
            **os.environ,
            "DOCKER_HOST": self._hosts[name],
            "DOCKER_CONFIG": str(self._folder),
            "DOCKER_BUILDKIT": "0",
        }
        with open(stdin or os.devnull, "rb") as given:
            done = subprocess.run(
                [CLIENT, *words],
                env=environ,
                stdin=given,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                check=False,
            )
        if done.returncode != 0:
            raise RuntimeError(f"docker {words} at {name}: {done.stderr.decode()[-500:]}")

    def _ask(self, name: str, method: str, path: str, body: object = None) -> int:
        connection = _Connection(self._hosts[name].removeprefix("unix://"))
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    def _turns(self, work: Callable[[str], object], rounds: int) -> dict[str, Series]:
        return in_turns({name: partial(work, name) for name in self._hosts}, rounds=rounds)

    def _calls(self, rounds: int) -> list[Row]:
        run = self._turns(
            lambda name: self._client(name, "run", "--rm", self._image, "true"), rounds
        )
        context = self._folder / "context"
        context.mkdir()
        (context / "Dockerfile").write_text(_TEXT.format(image=self._image))
        (context / "file").write_text("x")
        with self._stub():
            build = self._turns(lambda name: self._client(name, "build", str(context)), rounds)
        listing = self._listing(rounds)
        errors = self._crowd()
        return [
            self._row("API: `docker run --rm busybox true`", "ms", run, Fraction(1, 2)),
            *_builds(build),
            self._row(f"API: list of {_LISTED} containers", "ms", listing, Fraction(1)),
            Row(
                f"API: errors of {_REQUESTS} requests from {_CLIENTS} clients",
                "", Series((float(errors),)), limit=0,
            ),
        ]  # fmt: skip

    @contextmanager
    def _stub(self) -> Iterator[None]:
        """Let a server that only answers take part: its time is that of docker's client alone."""
        path = self._folder / "stub.sock"
        command = [sys.executable, "-m", "tests.bench.stub", str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as stub:
            try:
                assert stub.stdout is not None
                stub.stdout.readline()
                self._hosts["stub"] = f"unix://{path}"
                yield
            finally:
                self._hosts.pop("stub", None)
                stub.terminate()

    def _listing(self, rounds: int) -> dict[str, Series]:
        body = {"Image": self._image, "Cmd": ["true"], "Labels": {"a": "b"}}
        for name in self._hosts:
            for number in range(_LISTED):
                path = f"/containers/create?name=listed-{number}"
                if self._ask(name, "POST", path, body) != 201:
                    raise RuntimeError(f"a container could not be created at {name}")
        try:
            return self._turns(
                lambda name: self._ask(name, "GET", "/containers/json?all=1"), rounds
            )
        finally:
            for name in self._hosts:
                self._ask(name, "POST", "/containers/prune")

    def _crowd(self) -> int:
        with ThreadPoolExecutor(_CLIENTS) as pool:
            ask = partial(self._ask, "ours", "GET")
            return sum(status != 200 for status in pool.map(ask, ["/info"] * _REQUESTS))

    def _transfers(self, megabytes: int) -> list[Row]:
        blob = self._folder / "blob"
        with open(blob, "wb") as file:
            for _ in range(megabytes):
                file.write(os.urandom(1 << 20))
        tar = ["tar", "-C", self._folder, "-cf", self._folder / "blob.tar", "blob"]
        subprocess.run(tar, check=True)
        for name in self._hosts:
            self._client(name, "import", "-", "api/large:1", stdin=self._folder / "blob.tar")
            self._client(name, "create", "--name", "api-box", self._image, "true")
            self._client(name, "save", "-o", str(self._folder / f"{name}.tar"), "api/large:1")
        attach = (
            "run", "--rm", "--log-driver", "none", self._image,
            *("dd", "if=/dev/zero", "bs=64k", f"count={megabytes * 16}"),
        )  # fmt: skip
        out = self._folder / "out.tar"
        calls: dict[str, Callable[[str], object]] = {
            "save": lambda name: self._client(name, "save", "-o", str(out), "api/large:1"),
            "load, the image is there": self._load,
            "load, the image is new": self._load_new,
            "cp, into a container": lambda name: self._client(name, "cp", str(blob), "api-box:/b"),
            "cp, out of a container": lambda name: self._client(name, "cp", "api-box:/b", "-"),
            "attach": lambda name: self._client(name, *attach),
        }
        rows = [
            self._row(f"API: {megabytes} MB by {word}", "s", self._turns(call, 1), Fraction(1))
            for word, call in calls.items()
        ]
        peak = Series((_status(self._service, "VmHWM"),))
        for name in self._hosts:
            self._client(name, "rm", "api-box")
        return [*rows, Row("API: the service's peak, after them", "MB", peak, limit=60)]

    def _load(self, name: str) -> None:
        self._client(name, "load", stdin=self._folder / f"{name}.tar")

    def _load_new(self, name: str) -> None:
        """Load after removing the image: that takes a small part of the time."""
        self._client(name, "rmi", "-f", "api/large:1")
        self._load(name)

    def _residence(self) -> list[Row]:
        self._service.stop()

        def first() -> None:
            self._service = start_service(self._engine.settings, f"unix://{self._folder}/api.sock")
            self._ask("ours", "GET", "/containers/json")

        took = Series((seconds(first),))
        time.sleep(1)
        idle = Series((_status(self._service, "VmRSS"),))
        return [
            Row("API: first answer of a service that did not run", "ms", took, limit=500),
            Row("API: memory of an idle service", "MB", idle, limit=45),
        ]

    def _row(self, figure: str, unit: str, found: dict[str, Series], ratio: Fraction) -> Row:
        return Row(figure, unit, found["ours"], found["docker"], ratio)


def _builds(found: dict[str, Series]) -> list[Row]:
    """Return the figures of a cached build: as a whole, docker's client alone, and the rest."""
    word, client = "API: `docker build`, all cached (classic)", found["stub"].median
    rest = {name: Series((max(found[name].median - client, 0),)) for name in ("ours", "docker")}
    return [
        Row(word, "ms", found["ours"], found["docker"]),
        Row(f"{word}: the client alone", "ms", found["stub"], found["docker"]),
        Row(f"{word}: the rest", "ms", rest["ours"], rest["docker"], Fraction(1, 3)),
    ]


def _status(service: Service, word: str) -> float:
    """Return megabytes of a line of the service's ``/proc/PID/status``."""
    text = Path(f"/proc/{service.process.pid}/status").read_text()
    [line] = [line for line in text.splitlines() if line.startswith(word)]
    return int(line.split()[1]) / 1024
