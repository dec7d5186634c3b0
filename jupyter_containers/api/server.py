"""The service on a socket of one user, until it has been idle for long enough.

Lifecycle: bind, answer, and end after ``idle`` seconds without a request, or on SIGTERM or SIGINT.
At its end streams are closed, builds cancelled and the store closed; containers keep running.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path

from jupyter_containers.api.connection import Calls, Front
from jupyter_containers.api.state import ServiceState
from jupyter_containers.engine import Engine
from jupyter_containers.errors import AlreadyExistsError, ContainersError, InvalidArgumentError

_MOST_HEADER_BYTES = 64 << 10
_CHUNK_BYTES = 256 << 10
_BODY_SECONDS = 3600.0
_IDLE_CONNECTION_SECONDS = 600.0
_GRACE_SECONDS = 10.0
_BACKLOG = 1024


def bind(path: Path) -> socket.socket:
    """Return a listening socket that only its user can open, replacing a dead one.

    Raises :class:`AlreadyExistsError` if another service answers there.
    """
    if len(os.fsencode(path)) > 107:
        raise InvalidArgumentError(
            f"the path of the socket is longer than 107 bytes: {path}", hint="unix:///tmp/…"
        )
    if path.is_socket():
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
            except OSError:
                path.unlink(missing_ok=True)
            else:
                raise AlreadyExistsError(
                    f"a service listens on {path} already", hint="use it, or end it first"
                )
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    except OSError as error:
        listening.close()
        raise InvalidArgumentError(f"cannot listen on {path}: {error.strerror}") from error
    finally:
        os.umask(before)
    listening.listen(_BACKLOG)
    listening.setblocking(False)
    return listening


async def serve(engine: Engine, listening: socket.socket, idle: float, ready: int) -> None:
    """Serve until ``idle`` seconds pass without a request (0: never), or until a signal.

    A byte is written to the descriptor ``ready`` when the service can answer (-1: none).
    """
    from tornado.httpserver import HTTPServer

    state = ServiceState()
    calls, ended = Calls(engine, state), asyncio.Event()
    server = HTTPServer(
        Front(calls),
        max_header_size=_MOST_HEADER_BYTES,
        chunk_size=_CHUNK_BYTES,
        idle_connection_timeout=_IDLE_CONNECTION_SECONDS,
        body_timeout=_BODY_SECONDS,
    )
    server.add_socket(listening)
    for number in (signal.SIGTERM, signal.SIGINT):
        calls.loop.add_signal_handler(number, ended.set)
    if ready >= 0:
        os.write(ready, b"r")
        os.close(ready)
    try:
        await _until_idle(calls, idle, ended)
    finally:
        server.stop()
        state.stopping.set()
        for cancel in list(calls.active):
            cancel.cancel()
        deadline = calls.loop.time() + _GRACE_SECONDS
        while calls.active and calls.loop.time() < deadline:
            await asyncio.sleep(0.02)
        await server.close_all_connections()


async def _until_idle(calls: Calls, idle: float, ended: asyncio.Event) -> None:
    while not ended.is_set():
        left = calls.last + idle - calls.loop.time() if idle and not calls.active else idle
        if idle and not calls.active and left <= 0:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), max(left, 0.05) if idle else None)


def main() -> int:
    """Serve the engine of the environment's settings; arguments: path, seconds, descriptor."""
    path, idle, ready = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    try:
        if os.geteuid() != 0:
            from jupyter_containers.rootless.settling import enter_for

            enter_for()
        with Engine() as engine:
            listening = bind(path)
            try:
                asyncio.run(serve(engine, listening, idle, ready))
            finally:
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()
                engine.containers.served.attendance.close()
    except ContainersError as error:
        sys.stderr.write(f"{error.message}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
        return 1
    return 0
