"""Forwards a socket through a new one that a step's user may open.

Lifecycle: opened with owner and mode, serves any number of connections, closed with the step.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Iterator
from pathlib import Path

from jupyter_containers.lazy_modules import socket
from jupyter_containers.trees.owners import give

_POLL_SECONDS = 0.1
_BYTES = 65536


@contextlib.contextmanager
def forwarded(source: str, path: Path, mode: int, uid: int, gid: int) -> Iterator[None]:
    """Serve the socket ``source`` at ``path`` during the block."""
    ended = threading.Event()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        # Through a descriptor: a path in a deep folder is too long for a socket's address.
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            server.bind(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
        give(path, uid, gid)
        path.chmod(mode)
        server.listen()
        thread = threading.Thread(target=_serve, args=(server, source, ended), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _serve(server: socket.socket, source: str, ended: threading.Event) -> None:
    workers: list[threading.Thread] = []
    while not ended.is_set():
        readable, _, _ = select.select([server], [], [], _POLL_SECONDS)
        if readable:
            client, _ = server.accept()
            worker = threading.Thread(target=_join, args=(client, source, ended), daemon=True)
            worker.start()
            workers.append(worker)
    for worker in workers:
        worker.join()


def _join(client: socket.socket, source: str, ended: threading.Event) -> None:
    """Forward bytes in both directions; a side that has finished writing may still read."""
    with (
        client,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as target,
        contextlib.suppress(OSError),
    ):
        target.connect(source)
        other = {client: target, target: client}
        talking = [client, target]
        while talking and not ended.is_set():
            readable, _, _ = select.select(talking, [], [], _POLL_SECONDS)
            for one in readable:
                data = one.recv(_BYTES)
                if data:
                    other[one].sendall(data)
                else:
                    talking.remove(one)
                    other[one].shutdown(socket.SHUT_WR)
