"""Ports that are published on ``::1``: a program that needs nothing of this package.

The kernel routes nothing from ``::1`` to a bridge, so each connection is taken here and made again
to the container, as Docker's ``docker-proxy`` does.  One process serves such ports of one
container.  It gets their sockets, listening already, and ends with the container's first process;
it becomes nobody at once.

Arguments: a pidfd, and for each port ``DESCRIPTOR,PROTOCOL,ADDRESS,PORT``.
"""

from __future__ import annotations

import _thread
import os
import resource
import select
import socket
import sys

_CHUNK = 65536
_CONNECTIONS = 512  # at once; further ones are closed
_CONNECT_SECONDS, _UDP_SECONDS = 10.0, 90.0
_NOBODY = 65534

Target = tuple[str, int]


class Relay:
    """What goes to one target; ``free`` is how many further connections are served."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        self._free = _CONNECTIONS
        self._lock = _thread.allocate_lock()
        self._peers: dict[object, socket.socket] = {}

    def _taken(self, count: int) -> bool:
        with self._lock:
            self._free -= count
            if self._free < 0:
                self._free += count
                return False
            return True

    def serve_tcp(self, listening: socket.socket) -> None:
        """Take connections for ever."""
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                continue
            if not self._taken(1):
                client.close()
                continue
            _thread.start_new_thread(self._connection, (client,))

    def _connection(self, client: socket.socket) -> None:
        try:
            with client, socket.socket(self._family, socket.SOCK_STREAM) as server:
                server.settimeout(_CONNECT_SECONDS)
                server.connect(self._target)
                server.settimeout(None)
                done = _thread.allocate_lock()
                done.acquire()
                _thread.start_new_thread(_copied, (client, server, done))
                _copied(server, client)
                done.acquire()
        except OSError:
            pass  # nobody listens there: the client sees the end
        finally:
            self._taken(-1)

    def serve_udp(self, bound: socket.socket) -> None:
        """Pass datagrams on for ever; answers go back to who asked."""
        while True:
            try:
                data, client = bound.recvfrom(_CHUNK)
                peer = self._peers.get(client)
                if peer is None:
                    if not self._taken(1):
                        continue
                    peer = socket.socket(self._family, socket.SOCK_DGRAM)
                    peer.settimeout(_UDP_SECONDS)
                    peer.connect(self._target)
                    self._peers[client] = peer
                    _thread.start_new_thread(self._answers, (bound, peer, client))
                peer.send(data)
            except OSError:
                continue

    def _answers(self, bound: socket.socket, peer: socket.socket, client: Target) -> None:
        try:
            while True:
                try:
                    bound.sendto(peer.recv(_CHUNK), client)
                except ConnectionRefusedError:
                    continue  # nobody listens there yet
        except OSError:
            self._peers.pop(client, None)
            peer.close()
            self._taken(-1)


def _copied(
    source: socket.socket, target: socket.socket, done: _thread.LockType | None = None
) -> None:
    """Copy to the end of one direction, and pass the end on."""
    try:
        while data := source.recv(_CHUNK):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for one in (source, target):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
    finally:
        if done is not None:
            done.release()


def _renounce() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    except OSError:
        return  # users are not told apart here


def main() -> int:
    """Serve the ports until the container has ended."""
    _renounce()
    _thread.stack_size(256 * 1024)
    for word in sys.argv[2:]:
        descriptor, protocol, address, port = word.split(",")
        relay, sock = Relay((address, int(port))), socket.socket(fileno=int(descriptor))
        sock.setblocking(True)
        serve = relay.serve_tcp if protocol == "tcp" else relay.serve_udp
        _thread.start_new_thread(serve, (sock,))
    select.select([int(sys.argv[1])], [], [])
    return 0


if __name__ == "__main__":
    os._exit(main())
