"""The engine's side of :mod:`.nameserver`: sockets in a container's network, handed over to it.

A container queries 127.0.0.11:53.  A program in it may bind port 53 of every address itself, so the
sockets use other ports, and the packet filter of the container's own network namespace redirects to
them.  Queries wait in the sockets until the name server accepts them: nothing waits for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from jupyter_containers.errors import NetworkError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import socket
from jupyter_containers.network.namespace import NetworkNamespace
from jupyter_containers.network.programs import launch
from jupyter_containers.network.redirection import redirect

__all__ = ["ADDRESS", "NameService", "ResolverSockets"]

ADDRESS = "127.0.0.11"
_PORT = 53


@dataclass(frozen=True, slots=True)
class ResolverSockets:
    """The sockets for one container's queries; closed here once they are handed over."""

    udp: socket.socket
    tcp: socket.socket

    @classmethod
    def open(cls, namespace: NetworkNamespace) -> ResolverSockets:
        """Return sockets in a namespace, to which its queries are redirected."""
        return namespace.run(cls._opened)

    @classmethod
    def _opened(cls) -> ResolverSockets:
        sockets: list[socket.socket] = []
        try:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                one = socket.socket(socket.AF_INET, kind | socket.SOCK_CLOEXEC)
                sockets.append(one)
                one.bind((ADDRESS, 0))
            udp, tcp = sockets
            tcp.listen(64)
            ports = {
                socket.IPPROTO_UDP: udp.getsockname()[1],
                socket.IPPROTO_TCP: tcp.getsockname()[1],
            }
            redirect(ADDRESS, _PORT, ports)
        except BaseException:
            for one in sockets:
                one.close()
            raise
        return cls(udp, tcp)

    def close(self) -> None:
        """Close this process's descriptors."""
        self.udp.close()
        self.tcp.close()


class NameService:
    """One name server, started on demand; ``control`` is its socket.

    It keeps running while ``lock``, a file in the same folder, is held.
    """

    __slots__ = ("_control", "_lock")

    def __init__(self, control: Path, lock: Path) -> None:
        self._control, self._lock = control, lock

    @property
    def known(self) -> bool:
        """Whether a name server was ever started."""
        return self._lock.exists()

    @property
    def alive(self) -> bool:
        """Whether the name server is running."""
        with self._locked() as folder:
            connection = self._connected(folder)
            if connection is not None:
                connection.close()
            return connection is not None

    def hand_over(
        self,
        container_id: str,
        servers: Sequence[str] | None,
        networks: Sequence[str],
        sockets: ResolverSockets | None = None,
        *,
        process: int = -1,
        hosts: int = -1,
    ) -> bool:
        """Let the name server serve a container; return False if it had to be started.

        Then it knows no other one any more.  ``servers`` are asked for what is not in ``hosts`` (a
        descriptor), the machine's own where they are none, nobody where they are None; names may
        have that of one of ``networks`` behind them; ``process`` is a pidfd.  Without ``sockets``
        only servers and networks of a known container change.
        """
        forwards = "closed" if servers is None else "forward"
        words = "\n".join((container_id, forwards, " ".join(servers or ()), " ".join(networks)))
        handed = (process, hosts, sockets.udp.fileno(), sockets.tcp.fileno()) if sockets else ()
        with self._locked() as folder:
            connection = self._connected(folder)
            known = connection is not None
            if connection is None:
                if not sockets:
                    return False
                self._launch(folder)
                connection = self._connected(folder)
            if connection is None:
                raise NetworkError("the name server of networks cannot be started")
            with connection:
                socket.send_fds(connection, [words.encode()], list(handed))
        return known

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        """Hold the lock that keeps the name server running."""
        folder = os.open(self._lock.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with open(self._lock, "wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield folder
        finally:
            os.close(folder)

    def _connected(self, folder: int) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        try:
            # A socket's path is limited to 107 bytes; through a descriptor any folder's path fits.
            connection.connect(f"/proc/self/fd/{folder}/{self._control.name}")
        except OSError:
            connection.close()
            return None
        return connection

    def _launch(self, folder: int) -> None:
        """Start the name server; containers handed over wait for it in its socket."""
        self._control.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC) as control:
            control.bind(f"/proc/self/fd/{folder}/{self._control.name}")
            control.listen(512)
            words = [str(control.fileno()), str(self._lock)]
            launch("nameserver.py", words, [control.fileno()])
