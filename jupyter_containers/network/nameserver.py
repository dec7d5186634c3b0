"""The name server of one store's networks: a program that needs nothing of this package.

It listens at 127.0.0.11 in each container of a user-defined network, as Docker's does.  An engine
creates the sockets there and hands them over (:mod:`.resolver`), with the container's hosts file,
which lists the names visible to the container; other names are forwarded to other servers, from the
host's network.  One process serves all containers: it holds their sockets until their first process
has ended, and ends a moment after the last one.  It keeps descriptors but no privileges: it becomes
nobody, and can start no process.

See RFC 1035 (messages), RFC 6891 (EDNS) and RFC 7766 (TCP).  It uses few modules, and only Python's
own, so that it is no larger than its interpreter.
"""

from __future__ import annotations

import fcntl
import os
import resource
import select
import socket
import struct
import sys
import time

_A, _PTR, _AAAA, _OPT = 1, 12, 28, 41
_SERVFAIL, _NXDOMAIN, _NOTIMP = 2, 3, 4
_TTL = 600  # as Docker's
_PLAIN, _LARGEST = 512, 1232
_HOSTS_BYTES = 1 << 20
_PENDING, _CONNECTIONS = 128, 32  # of one container
_BATCH = 64  # queries of one container before the next one is served
_UPSTREAM_SECONDS, _IDLE_SECONDS, _LINGER_SECONDS = 2.0, 10.0, 1.0
_FRESH_NS = 50_000_000  # file time stamps are no finer than a tick
_NOBODY = 65534


class Question:
    """The one question of a query; ``limit`` is the maximum length of the answer."""

    def __init__(self, data: bytes) -> None:
        self.id, self.flags, count, _, _, _ = struct.unpack_from("!6H", data)
        position, labels = 12, []
        while length := data[position]:
            if length > 63:
                raise ValueError("compressed or unknown label")
            labels.append(data[position + 1 : position + 1 + length])
            position += 1 + length
        self.kind, self.family = struct.unpack_from("!2H", data, position + 1)
        end = position + 5
        if count != 1 or self.flags & 0x8000 or end > len(data):
            raise ValueError("not one question")
        self.section = data[12:end]
        self.name = b".".join(labels).decode("latin-1").lower()
        self.extended = data[end : end + 3] == struct.pack("!BH", 0, _OPT)
        self.limit = _PLAIN
        if self.extended and len(data) >= end + 5:
            size = int(struct.unpack_from("!H", data, end + 3)[0])
            self.limit = max(_PLAIN, min(size, _LARGEST))

    def answer(self, records: list[bytes], code: int = 0, *, limit: int = 65535) -> bytes:
        """Return the response message; if the records do not fit, it is empty and truncated."""
        extra = struct.pack("!BHHIH", 0, _OPT, _LARGEST, 0, 0) if self.extended else b""
        # A response; recursion desired as in the query, and available.
        flags = 0x8080 | (self.flags & 0x7900) | code
        body = b"".join(records)
        if 12 + len(self.section) + len(body) + len(extra) > limit:
            flags, body, records = flags | 0x0200, b"", []
        counts = (1, len(records), 0, 1 if extra else 0)
        return struct.pack("!6H", self.id, flags, *counts) + self.section + body + extra


class Names:
    """The names in a container's hosts file, which is read again after changes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._seen = (-1, -1)
        self._turn = 0
        self.addresses: dict[str, list[str]] = {}
        self.names: dict[str, str] = {}
        self.networks: list[str] = []

    def look(self) -> None:
        """Read the file if it may have changed."""
        state = os.fstat(self._descriptor)
        seen = (state.st_mtime_ns, state.st_size)
        if seen == self._seen and time.time_ns() - state.st_mtime_ns > _FRESH_NS:
            return
        self._seen = seen
        self.addresses, self.names = {}, {}
        text = os.pread(self._descriptor, _HOSTS_BYTES, 0).decode("latin-1")
        for line in text.splitlines():
            address, *names = line.partition("#")[0].split()[:64] or [""]
            packed = _packed(address)
            for name in names if packed else ():
                known = self.addresses.setdefault(name.lower(), [])
                if address not in known:
                    known.append(address)
            if packed and names:
                self.names.setdefault(_reverse(packed), names[0])

    def records(self, question: Question) -> list[bytes] | None:
        """Return the records for a name, in a different order each time; None if it is unknown."""
        self.look()
        if question.kind == _PTR:
            name = self.names.get(question.name)
            # As Docker's, where there is no doubt of which network.
            suffix = f".{self.networks[0]}" if len(self.networks) == 1 else ""
            return None if name is None else [_record(_PTR, _encoded(name + suffix))]
        known = self.addresses.get(question.name) or self.addresses.get(self._bare(question.name))
        if known is None:
            return None
        sizes = {_A: 4, _AAAA: 16}
        packed = [_packed(address) for address in known]
        fitting = [data for data in packed if len(data) == sizes.get(question.kind, 0)]
        self._turn += 1
        turn = self._turn % len(fitting) if fitting else 0
        return [_record(question.kind, data) for data in fitting[turn:] + fitting[:turn]]

    def _bare(self, name: str) -> str:
        """Return a name without that of a network behind it."""
        for network in self.networks:
            name = name.removesuffix(f".{network.lower()}")
        return name

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class Container:
    """One container: its sockets, its names, and its upstream servers (None: none at all)."""

    def __init__(self, pid: int, names: Names, udp: socket.socket, tcp: socket.socket) -> None:
        self.pid, self.names, self.udp, self.tcp = pid, names, udp, tcp
        self.servers: list[str] | None = []
        self.pending = self.connections = 0

    def close(self) -> None:
        """Close everything that belongs to it."""
        os.close(self.pid)
        self.names.close()
        self.udp.close()
        self.tcp.close()


class Work:
    """A query in progress: from a client (its UDP address or TCP connection) to upstream."""

    def __init__(self, container: Container, question: Question, query: bytes) -> None:
        self.container, self.question, self.query = container, question, query
        self.client: tuple[str, int] | Connection | None = None
        self.servers: list[str] = []
        self.socket: socket.socket | None = None
        self.received = b""
        self.unsent = b""
        self.deadline = 0.0


class Connection:
    """A client's TCP connection: messages prefixed by their length."""

    def __init__(self, container: Container, sock: socket.socket) -> None:
        self.container, self.socket = container, sock
        self.received = self.unsent = b""
        self.deadline = time.monotonic() + _IDLE_SECONDS


class Server:
    """The loop; engines hand containers over at ``control`` and hold ``lock`` while they do."""

    def __init__(self, control: socket.socket, lock: int) -> None:
        self._control, self._lock = control, lock
        self._poll = select.epoll()
        self._poll.register(control, select.EPOLLIN)
        self._containers: dict[str, Container] = {}
        self._of: dict[int, Container | Connection | Work] = {}
        self._empty = time.monotonic()

    def run(self) -> None:
        """Serve until no container has been left for a moment."""
        while True:
            for descriptor, event in self._poll.poll(1.0):
                try:
                    self._ready(descriptor, event)
                except (OSError, ValueError, IndexError, struct.error):
                    self._broken(descriptor)
            self._expire()
            if self._containers:
                self._empty = time.monotonic()
            elif time.monotonic() - self._empty >= _LINGER_SECONDS and self._nobody_comes():
                return

    def _nobody_comes(self) -> bool:
        """Return whether no engine is about to hand anything over; from then on none can."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        if select.select([self._control], [], [], 0)[0]:
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            return False
        return True

    def _ready(self, descriptor: int, event: int) -> None:
        if descriptor == self._control.fileno():
            self._take_over()
            return
        found = self._of.get(descriptor)
        if isinstance(found, Container):
            if descriptor == found.pid:
                self._forget(found)
            elif descriptor == found.udp.fileno():
                self._datagrams(found)
            else:
                self._accept(found)
        elif isinstance(found, Connection):
            self._speak(found, event)
        elif isinstance(found, Work):
            self._hear(found, event)

    def _broken(self, descriptor: int) -> None:
        found = self._of.get(descriptor)
        if isinstance(found, Connection):
            self._hang_up(found)
        elif isinstance(found, Work):
            self._next(found)

    def _watch(self, descriptor: int, what: Container | Connection | Work, event: int) -> None:
        self._of[descriptor] = what
        self._poll.register(descriptor, event)

    def _ignore(self, descriptor: int) -> None:
        if self._of.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    # -- containers --------------------------------------------------------------------------------

    def _take_over(self) -> None:
        peer, _ = self._control.accept()
        with peer:
            peer.settimeout(1)
            data, descriptors, _, _ = socket.recv_fds(peer, 16384, 8)
        name, forwards, servers, networks = data.decode().split("\n")[:4]
        known = self._containers.get(name)
        if len(descriptors) == 4:
            if known is not None:
                self._forget(known)
            pid, hosts, *pair = descriptors
            udp, tcp = (socket.socket(fileno=one) for one in pair)
            known = self._containers[name] = Container(pid, Names(hosts), udp, tcp)
            for one in (udp, tcp):
                one.setblocking(False)
                self._watch(one.fileno(), known, select.EPOLLIN)
            self._watch(pid, known, select.EPOLLIN)
        if known is not None:
            known.servers = servers.split() if forwards == "forward" else None
            known.names.networks = networks.split()

    def _forget(self, container: Container) -> None:
        for descriptor in (container.pid, container.udp.fileno(), container.tcp.fileno()):
            self._ignore(descriptor)
        for what in list(self._of.values()):
            if isinstance(what, Connection) and what.container is container:
                self._hang_up(what)
            elif isinstance(what, Work) and what.container is container:
                self._drop(what)
        container.close()
        for name in [name for name, one in self._containers.items() if one is container]:
            del self._containers[name]

    # -- clients -----------------------------------------------------------------------------------

    def _datagrams(self, container: Container) -> None:
        for _ in range(_BATCH):
            try:
                query, client = container.udp.recvfrom(4096)
            except BlockingIOError:
                return
            try:
                self._asked(container, query, client)
            except (ValueError, IndexError, struct.error):
                continue  # not a query

    def _accept(self, container: Container) -> None:
        sock, _ = container.tcp.accept()
        if container.connections >= _CONNECTIONS:
            sock.close()
            return
        sock.setblocking(False)
        container.connections += 1
        self._watch(sock.fileno(), Connection(container, sock), select.EPOLLIN)

    def _speak(self, connection: Connection, event: int) -> None:
        if event & select.EPOLLOUT and connection.unsent:
            self._send(connection, b"")
        if not event & (select.EPOLLIN | select.EPOLLHUP):
            return
        data = connection.socket.recv(4096)
        if not data:
            self._hang_up(connection)
            return
        connection.deadline = time.monotonic() + _IDLE_SECONDS
        connection.received += data
        while len(connection.received) >= 2:
            size = int(struct.unpack_from("!H", connection.received)[0])
            if size > 4096:
                raise ValueError("too long")
            if len(connection.received) < 2 + size:
                return
            query, connection.received = (
                connection.received[2 : 2 + size],
                connection.received[2 + size :],
            )
            self._asked(connection.container, query, connection)

    def _send(self, connection: Connection, message: bytes) -> None:
        connection.unsent += message
        if len(connection.unsent) > 1 << 18:
            raise ValueError("the client does not read")
        try:  # noqa: SIM105  # contextlib would be half a megabyte of what this program is
            connection.unsent = connection.unsent[connection.socket.send(connection.unsent) :]
        except BlockingIOError:
            pass
        wanted = select.EPOLLIN | (select.EPOLLOUT if connection.unsent else 0)
        self._poll.modify(connection.socket.fileno(), wanted)

    def _hang_up(self, connection: Connection) -> None:
        self._ignore(connection.socket.fileno())
        connection.socket.close()
        connection.container.connections -= 1

    def _asked(
        self, container: Container, query: bytes, client: tuple[str, int] | Connection
    ) -> None:
        work = Work(container, Question(query), query)
        work.client = client
        question = work.question
        if question.flags & 0x7800:
            self._reply(work, question.answer([], _NOTIMP))
            return
        records = container.names.records(question) if question.family == 1 else None
        if records is not None:
            limit = 65535 if isinstance(client, Connection) else question.limit
            self._reply(work, question.answer(records, limit=limit))
        elif "." not in question.name and question.name:
            self._reply(work, question.answer([], _NXDOMAIN))
        elif container.servers is None or container.pending >= _PENDING:
            self._reply(work, question.answer([], _SERVFAIL))
        else:
            work.servers = list(container.servers or host_servers())
            container.pending += 1
            self._next(work)

    def _reply(self, work: Work, message: bytes) -> None:
        client = work.client
        try:
            if isinstance(client, Connection):
                if client.socket.fileno() >= 0:
                    self._send(client, struct.pack("!H", len(message)) + message)
            elif client is not None:
                work.container.udp.sendto(message, client)
        except (OSError, ValueError):
            if isinstance(client, Connection):
                self._hang_up(client)

    # -- other servers -----------------------------------------------------------------------------

    def _next(self, work: Work) -> None:
        """Ask the next server; send the client a failure if there is none left."""
        self._release(work)
        while work.servers:
            server = work.servers.pop(0)
            over_tcp = isinstance(work.client, Connection)
            family = socket.AF_INET6 if ":" in server else socket.AF_INET
            kind = socket.SOCK_STREAM if over_tcp else socket.SOCK_DGRAM
            try:
                sock = socket.socket(family, kind | socket.SOCK_NONBLOCK)
            except OSError:
                break
            # An ID that a third party cannot guess, from a port that it cannot guess either.
            query = os.urandom(2) + work.query[2:]
            work.received, work.unsent = b"", struct.pack("!H", len(query)) + query
            try:
                try:  # noqa: SIM105  # likewise
                    sock.connect((server, 53))
                except BlockingIOError:
                    pass
                if not over_tcp:
                    sock.send(query)
            except OSError:
                sock.close()
                continue
            work.socket, work.deadline = sock, time.monotonic() + _UPSTREAM_SECONDS
            self._watch(sock.fileno(), work, select.EPOLLOUT if over_tcp else select.EPOLLIN)
            return
        work.container.pending -= 1
        self._reply(work, work.question.answer([], _SERVFAIL))

    def _hear(self, work: Work, event: int) -> None:
        assert work.socket is not None
        identity = work.unsent[2:4]
        if not isinstance(work.client, Connection):
            answer = work.socket.recv(65535)
        else:
            if event & select.EPOLLOUT:
                work.socket.send(work.unsent)
                self._poll.modify(work.socket.fileno(), select.EPOLLIN)
                return
            data = work.socket.recv(65535)
            work.received += data
            size = struct.unpack_from("!H", work.received)[0] if len(work.received) > 1 else 65536
            if not data:
                raise ValueError("it hung up")
            if len(work.received) < 2 + size:
                return
            answer = work.received[2 : 2 + size]
        if answer[:2] != identity or len(answer) < 12:
            return  # from another sender
        self._release(work)
        work.container.pending -= 1
        self._reply(work, work.query[:2] + answer[2:])

    def _release(self, work: Work) -> None:
        if work.socket is not None:
            self._ignore(work.socket.fileno())
            work.socket.close()
            work.socket = None

    def _drop(self, work: Work) -> None:
        self._release(work)
        work.container.pending -= 1

    def _expire(self) -> None:
        now = time.monotonic()
        for what in list(self._of.values()):
            if isinstance(what, Work) and what.deadline < now:
                self._next(what)
            elif isinstance(what, Connection) and what.deadline < now:
                self._hang_up(what)


def host_servers() -> list[str]:
    """Return the machine's present name servers."""
    try:
        with open("/etc/resolv.conf", "rb") as file:
            rows = [line.split() for line in file.read(65536).decode("latin-1").splitlines()]
    except OSError:
        return []
    return [row[1] for row in rows if len(row) > 1 and row[0] == "nameserver"][:3]


def _packed(address: str) -> bytes:
    """Return an address as bytes, empty if it is not an address."""
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    except (OSError, ValueError):
        return b""


def _reverse(packed: bytes) -> str:
    """Return the name for a reverse lookup of an address (RFC 1035 3.5, RFC 3596 2.5)."""
    if len(packed) == 4:
        return ".".join(str(byte) for byte in reversed(packed)) + ".in-addr.arpa"
    return ".".join(reversed(packed.hex())) + ".ip6.arpa"


def _encoded(name: str) -> bytes:
    labels = [label.encode("latin-1")[:63] for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def _record(kind: int, data: bytes) -> bytes:
    # The name is a pointer to that of the question.
    return struct.pack("!HHHIH", 0xC00C, kind, 1, _TTL, len(data)) + data


def renounce() -> None:
    """Become nobody and give up starting processes; keep the user if there is only one."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    except OSError:
        pass
    else:
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def main() -> int:
    """Serve the containers that arrive at the socket whose number is the first argument."""
    control = socket.socket(fileno=int(sys.argv[1]))
    lock = os.open(sys.argv[2], os.O_RDWR | os.O_CLOEXEC)
    renounce()
    Server(control, lock).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
