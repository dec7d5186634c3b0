"""Sockets of this process in the network of a container.

A socket belongs to the network namespace in which it was created, whichever process accepts its
connections: a service of the engine is reachable in a container that has no network.
"""

from __future__ import annotations

import os
import socket

from jupyter_containers.engine.records import ContainerRecord
from jupyter_containers.errors import InvalidArgumentError, InvalidStateError, NetworkError
from jupyter_containers.network.namespace import NetworkNamespace

_BACKLOG = 64


def listen_inside(record: ContainerRecord, port: int) -> socket.socket:
    """Return a socket that listens on 127.0.0.1 in a running container's network namespace."""
    process = record.state.process
    if process is None or not process.alive:
        raise InvalidStateError(
            f"container {record.name} is not running",
            status=str(record.state.status),
            operation="listen in",
        )
    with NetworkNamespace.from_pid(process.pid) as namespace:
        # The number may belong to another process by now: the open namespace is its one then.
        if not process.alive:
            raise InvalidArgumentError(f"container {record.name} has just ended")
        if os.path.samestat(os.fstat(namespace.fd), os.stat("/proc/self/ns/net")):
            raise InvalidArgumentError(f"container {record.name} uses the network of the host")
        return namespace.run(lambda: _listening(port))


def _listening(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1", port))
        made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        raise NetworkError(f"cannot listen in the container: {error.strerror}") from error
    return made
