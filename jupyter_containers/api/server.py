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
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_containers.api.connection import Calls, Front
from jupyter_containers.api.listening import bind, bind_tcp, passed_socket
from jupyter_containers.api.state import ServiceState
from jupyter_containers.engine import Engine
from jupyter_containers.engine.system.serving import SCHEME, TCP, TLSFiles, host_and_port
from jupyter_containers.errors import ContainersError

if TYPE_CHECKING:
    import ssl

    from tornado.httpserver import HTTPServer

    from jupyter_containers.api.tls import Relays

_MOST_HEADER_BYTES = 64 << 10
_CHUNK_BYTES = 256 << 10
_BODY_SECONDS = 3600.0
_IDLE_CONNECTION_SECONDS = 600.0
_GRACE_SECONDS = 10.0


async def serve(
    engine: Engine,
    listening: socket.socket,
    idle: float,
    ready: int,
    context: ssl.SSLContext | None = None,
) -> None:
    """Answer requests until ``idle`` seconds pass without one (0: for ever) or a signal arrives.

    ``ready`` is a descriptor that gets a byte when the service answers; -1 for none.  With a
    ``context`` the clients speak TLS.
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
    relays = None
    if context is None:
        server.add_socket(listening)
    else:
        relays = _relays(server, calls.loop, listening, context)
    for number in (signal.SIGTERM, signal.SIGINT):
        calls.loop.add_signal_handler(number, ended.set)
    if ready >= 0:
        os.write(ready, b"r")
        os.close(ready)
    try:
        await _until_idle(calls, idle, ended)
    finally:
        server.stop()
        if relays is not None:
            relays.close()
        state.stopping.set()
        for cancel in list(calls.active):
            cancel.cancel()
        deadline = calls.loop.time() + _GRACE_SECONDS
        while calls.active and calls.loop.time() < deadline:
            await asyncio.sleep(0.02)
        await server.close_all_connections()


def _relays(
    server: HTTPServer,
    loop: asyncio.AbstractEventLoop,
    listening: socket.socket,
    context: ssl.SSLContext,
) -> Relays:
    from tornado.iostream import IOStream

    from jupyter_containers.api.tls import Relays

    def accepted(connection: socket.socket) -> None:
        connection.setblocking(False)
        loop.call_soon_threadsafe(lambda: server.handle_stream(IOStream(connection), ("", 0)))

    return Relays(listening, context, accepted)


async def _until_idle(calls: Calls, idle: float, ended: asyncio.Event) -> None:
    while not ended.is_set():
        left = calls.last + idle - calls.loop.time() if idle and not calls.active else idle
        if idle and not calls.active and left <= 0:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), max(left, 0.05) if idle else None)


def _nothing() -> None:
    """Remove nothing: the socket is no file, or systemd's."""


def _listening(url: str) -> tuple[socket.socket, Callable[[], None]]:
    """Return a new socket for an address, and a function that removes it."""
    if url.startswith(TCP):
        return bind_tcp(*host_and_port(url)), _nothing
    path = Path(url.removeprefix(SCHEME))
    return bind(path), lambda: path.unlink(missing_ok=True)


def main() -> int:
    """Serve the engine of the settings in the environment.

    The arguments: address, seconds, descriptor, and for TCP the files of TLS.
    """
    url, idle, ready = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    try:
        passed = passed_socket(os.environ, os.getpid())
        context = None
        if sys.argv[4:]:
            from jupyter_containers.api.tls import server_context

            context = server_context(TLSFiles(*sys.argv[4:7]))
        if os.geteuid() != 0:
            from jupyter_containers.rootless.settling import enter_for

            enter_for()
        with Engine() as engine:
            listening, remove = (passed, _nothing) if passed else _listening(url)
            try:
                asyncio.run(serve(engine, listening, idle, ready, context))
            finally:
                remove()
                engine.containers.served.attendance.close()
    except ContainersError as error:
        sys.stderr.write(f"{error.message}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
