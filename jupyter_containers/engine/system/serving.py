"""Starts the Docker Engine API's service in a separate process.

The front end that serves the API is started as a program, because it is a package above this one.
An *address* is ``unix://PATH``, or
``tcp://HOST:PORT`` with the three files of TLS.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyter_containers.errors import ContainersError, InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import subprocess, tempfile
from jupyter_containers.runtime.self_exec import self_exec_command
from jupyter_containers.settings import Settings, environment

SCHEME = "unix://"
TCP = "tcp://"
IDLE_SECONDS = 300.0
_STOP_SECONDS = 15.0
ONE_ARENA = {"MALLOC_ARENA_MAX": "1"}


@dataclass(frozen=True, slots=True)
class TLSFiles:
    """The files (PEM) of a service over TCP; ``ca`` has signed its clients' certificates."""

    ca: str = ""
    certificate: str = ""
    key: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """The files as arguments of the service's program."""
        return (self.ca, self.certificate, self.key) if self.ca else ()


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
            f"invalid address {address!r}",
            hint="write unix:///run/user/1000/docker.sock, or tcp://HOST:PORT with TLS",
        )
    return Path(path)


def url_of(settings: Settings, address: str = "", tls: TLSFiles | None = None) -> str:
    """Return an address in full.

    Raises :class:`InvalidArgumentError` for a TCP address without all TLS files: any client
    that can connect could act as root, or as this user.
    """
    given = [bool(text) for text in (tls.ca, tls.certificate, tls.key)] if tls else []
    if not address.startswith(TCP):
        if any(given):
            raise InvalidArgumentError("certificates are for an address tcp://HOST:PORT")
        return f"{SCHEME}{socket_path(settings, address)}"
    if not given or not all(given):
        raise InvalidArgumentError(
            f"{address} is served to clients with a certificate only",
            hint="give --tlscacert, --tlscert and --tlskey",
        )
    host_and_port(address)
    return address


def host_and_port(address: str) -> tuple[str, int]:
    """Return the two parts of ``tcp://HOST:PORT``; raise :class:`InvalidArgumentError`."""
    host, colon, port = address.removeprefix(TCP).rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (host and colon and port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise InvalidArgumentError(f"invalid address {address!r}", hint="write tcp://HOST:PORT")
    return host, int(port)


def service_program(
    url: str, idle: float, ready: int = -1, tls: TLSFiles | None = None
) -> tuple[str, ...]:
    """Return the service's command; it writes a byte to descriptor ``ready`` once it serves."""
    words = (url, str(idle), str(ready), *(tls.words if tls else ()))
    return self_exec_command("jupyter_containers.api.server", *words)


def service_environment(settings: Settings) -> dict[str, str]:
    """Return the variables of the service's program.

    One arena of the C library's allocator is enough for threads that take turns, and holds 2.5 MB
    less after some requests.
    """
    return {**os.environ, **environment(settings), **ONE_ARENA}


def start_service(
    settings: Settings, address: str = "", idle: float = 0.0, tls: TLSFiles | None = None
) -> Service:
    """Start the service; it ends after ``idle`` seconds without a request (0: never).

    Raises :class:`ContainersError` with the service's output if it cannot serve.
    """
    url = url_of(settings, address, tls)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    with tempfile.TemporaryFile() as output, open(reading, "rb") as ready:
        try:
            process = subprocess.Popen(
                service_program(url, idle, writing, tls),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=output,
                env=service_environment(settings),
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
    return Service(url, process)


@contextmanager
def serving(settings: Settings, address: str = "") -> Iterator[str]:
    """Run a service during the block; yield its address (for ``DOCKER_HOST``)."""
    service = start_service(settings, address)
    try:
        yield service.url
    finally:
        service.stop()
