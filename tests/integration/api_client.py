"""A service of the API for tests, and clients of it: Docker's command and bare requests."""

from __future__ import annotations

import http.client
import json
import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

DOCKER = shutil.which("docker")
needs_docker = pytest.mark.skipif(DOCKER is None, reason="needs Docker's command (docker.io)")
_SECONDS = 60


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("docker", timeout=_SECONDS)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_SECONDS)
        self.sock.connect(self._path)


@dataclass(frozen=True, slots=True)
class Client:
    """A client of the service at ``url``; requests have the version 1.43."""

    url: str
    config: Path

    @property
    def path(self) -> Path:
        return Path(self.url.removeprefix("unix://"))

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        version: str = "/v1.43",
    ) -> tuple[int, Any]:
        """Return the status and the document (or the bytes) of an answer."""
        connection = _Connection(self.path)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        head = {"Content-Type": "application/json", **(headers or {})}
        try:
            connection.request(method, f"{version}{path}", data, head)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.headers.get("Content-Type", "").startswith("application/json"):
            lines = [json.loads(line) for line in content.splitlines() if line.strip()]
            return answer.status, lines[0] if len(lines) == 1 else lines
        return answer.status, content

    def raw(self, data: bytes, *, limit: int = 1 << 16) -> bytes:
        """Send bytes and return the service's answer, until it closes the connection."""
        with self.connected() as connection:
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it has answered before the end
            found = b""
            while len(found) < limit and (piece := _received(connection)):
                found += piece
        return found

    def connected(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_SECONDS)
        connection.connect(str(self.path))
        return connection

    def docker(
        self, *words: str, stdin: bytes = b"", check: bool = True, **variables: str
    ) -> subprocess.CompletedProcess[bytes]:
        """Run Docker's command against the service."""
        done = subprocess.run(
            ["docker", *words],
            input=stdin,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            env=self._environment(variables),
        )
        if check:
            assert done.returncode == 0, done.stderr.decode()
        return done

    def started(self, *words: str) -> subprocess.Popen[bytes]:
        """Start Docker's command against the service, without its output."""
        null = subprocess.DEVNULL
        return subprocess.Popen(
            ["docker", *words], stdin=null, stdout=null, stderr=null, env=self._environment({})
        )

    def typed(self, *words: str, keys: bytes = b"", after: bytes = b"") -> tuple[int, bytes]:
        """Run Docker's command on a terminal; return its exit code and its output.

        The keys are typed once it has shown ``after``.
        """
        pid, terminal = pty.fork()
        if pid == 0:
            os.execvpe("docker", ["docker", *words], self._environment({}))
        shown, ends = b"", time.monotonic() + _SECONDS
        try:
            while select.select([terminal], [], [], max(0.0, ends - time.monotonic()))[0]:
                shown += os.read(terminal, 4096)
                if keys and after in shown:
                    os.write(terminal, keys)
                    keys = b""
        except OSError:
            pass  # the end of a terminal
        else:
            os.kill(pid, signal.SIGKILL)
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown

    def _environment(self, variables: dict[str, str]) -> dict[str, str]:
        own = {"DOCKER_HOST": self.url, "DOCKER_CONFIG": str(self.config), "DOCKER_BUILDKIT": "0"}
        return {**os.environ, **own, **variables}


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionError:
        return b""
