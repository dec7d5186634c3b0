"""Starts the Docker Engine API's service in a separate process.

The front end that serves the API is started as a program, because it is a package above this one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jupyter_containers.errors import ContainersError, InvalidArgumentError
from jupyter_containers.runtime.self_exec import self_exec_command
from jupyter_containers.settings import Settings, environment

SCHEME = "unix://"
IDLE_SECONDS = 300.0
_STOP_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Service:
    """A started service; ``url`` is the value for ``DOCKER_HOST``."""

    url: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """Stop the service; containers keep running."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def socket_path(settings: Settings, address: str = "") -> Path:
    """Return the path of an address's socket; by default in the run root.

    Raises :class:`InvalidArgumentError` for an address that is not ``unix://PATH``.
    """
    if not address:
        return settings.layout.api_socket
    path = address.removeprefix(SCHEME)
    if "://" in path or not path.startswith("/"):
        raise InvalidArgumentError(
            f"invalid address {address!r}", hint="write unix:///run/user/1000/docker.sock"
        )
    return Path(path)


def service_program(path: Path, idle: float, ready: int = -1) -> tuple[str, ...]:
    """Return the command that serves; it writes a byte to descriptor ``ready`` when it does."""
    return self_exec_command("jupyter_containers.api.server", str(path), str(idle), str(ready))


def start_service(settings: Settings, address: str = "", idle: float = 0.0) -> Service:
    """Start the service; it ends after ``idle`` seconds without a request (0: never).

    Raises :class:`ContainersError` with the service's output if it cannot serve.
    """
    path = socket_path(settings, address)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    with tempfile.TemporaryFile() as output, open(reading, "rb") as ready:
        try:
            process = subprocess.Popen(
                service_program(path, idle, writing),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=output,
                env={**os.environ, **environment(settings)},
                pass_fds=(writing,),
                start_new_session=True,
            )
        finally:
            os.close(writing)
        try:
            serves = ready.read(1) == b"r"
        except BaseException:
            process.terminate()
            process.wait()
            raise
        if not serves:
            process.wait()
            output.seek(0)
            lines = output.read().decode(errors="replace").strip().splitlines()
            hint = next((line[6:] for line in lines if line.startswith("hint: ")), "")
            raise ContainersError(lines[0] if lines else "the service did not start", hint=hint)
    return Service(f"{SCHEME}{path}", process)


@contextmanager
def serving(settings: Settings, address: str = "") -> Iterator[str]:
    """Run a service during the block; yield its address (for ``DOCKER_HOST``)."""
    service = start_service(settings, address)
    try:
        yield service.url
    finally:
        service.stop()
