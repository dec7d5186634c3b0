"""Two ends of one connection, in this process: the service, and a client that is scripted."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jupyter_containers.api.buildkit.connection import Connection, Stream
from jupyter_containers.api.buildkit.sessions import Session
from jupyter_containers.events import CancelToken

SECONDS = 20


@contextmanager
def connected(serve: Callable[[Stream], None]) -> Iterator[tuple[Connection, Connection]]:
    """Yield both ends, each read by a thread: one that asks, one that answers by ``serve``."""
    ours, theirs = socket.socketpair()
    asking = Connection(ours, b"", CancelToken(), None)
    answering = Connection(theirs, b"", CancelToken(), serve)
    threads = [threading.Thread(target=one.run, daemon=True) for one in (asking, answering)]
    for thread in threads:
        thread.start()
    try:
        yield asking, answering
    finally:
        asking.close()
        answering.close()
        for thread in threads:
            thread.join(SECONDS)
            assert not thread.is_alive()


@contextmanager
def session_of(serve: Callable[[Stream], None], *methods: str) -> Iterator[Session]:
    """Yield the session of a client whose answers are ``serve``'s."""
    with connected(serve) as (asking, _):
        yield Session("s", "key", frozenset(methods), asking)
