"""TCP for clients with a certificate: terminates TLS and forwards plain connections to the service.

A *relay* is a thread for each connection: one side is the client's TLS, the other a socket pair
that the service treats like any connection, even when a call hijacks it.  Each direction is closed
separately (close_notify), and buffers at most one piece that its receiver has not taken yet.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress

from jupyter_containers.engine.system.serving import TLSFiles
from jupyter_containers.errors import InvalidArgumentError

MOST_RELAYS = 512
_HANDSHAKE_SECONDS = 10.0
_PIECE = 65536


def server_context(files: TLSFiles) -> ssl.SSLContext:
    """Return a server context that requires client certificates signed by the files' CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(files.ca)
        context.load_cert_chain(files.certificate, files.key)
    except (OSError, ssl.SSLError) as error:
        raise InvalidArgumentError(
            f"the certificates cannot be read: {error}",
            hint="--tlscacert, --tlscert and --tlskey are files in PEM",
        ) from error
    return context


class Relays:
    """Accepts TLS connections on a socket and forwards plain ones; close it at the end."""

    def __init__(
        self,
        listening: socket.socket,
        context: ssl.SSLContext,
        accepted: Callable[[socket.socket], None],
    ) -> None:
        self._listening, self._context, self._accepted = listening, context, accepted
        self._places = threading.BoundedSemaphore(MOST_RELAYS)
        threading.Thread(target=self._accept, name="api-tls", daemon=True).start()

    def close(self) -> None:
        """Stop accepting connections."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                if self._listening.fileno() < 0:
                    return
                continue
            if not self._places.acquire(blocking=False):
                connection.close()
                continue
            threading.Thread(
                target=self._serve, args=(connection,), name="api-tls", daemon=True
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                secured = self._handshaken(connection)
                if secured is None:
                    return
                ours, theirs = socket.socketpair()
                with ours:
                    self._accepted(theirs)
                    _Relay(connection, secured, ours).run()
        finally:
            self._places.release()

    def _handshaken(self, connection: socket.socket) -> Secured | None:
        """Return the TLS after the handshake; None for a client without a trusted certificate."""
        secured = Secured(self._context)
        connection.settimeout(_HANDSHAKE_SECONDS)
        try:
            while True:
                try:
                    secured.object.do_handshake()
                except ssl.SSLWantReadError:
                    connection.sendall(secured.outgoing.read())
                    data = connection.recv(_PIECE)
                    if not data:
                        return None
                    secured.incoming.write(data)
                else:
                    connection.sendall(secured.outgoing.read())
                    return secured
        except (OSError, ssl.SSLError):
            with suppress(OSError):
                connection.sendall(secured.outgoing.read())  # send the alert with the reason
            return None


class Secured:
    """The TLS of one connection, over in-memory buffers."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(self.incoming, self.outgoing, server_side=True)


class _Relay:
    """Moves bytes between a client and the service until both directions have ended."""

    def __init__(self, client: socket.socket, secured: Secured, service: socket.socket) -> None:
        self._client, self._secured, self._service = client, secured, service
        self._to_client = self._to_service = b""
        self._client_ended = self._service_ended = False

    def run(self) -> None:
        """Move bytes until both directions have ended."""
        self._client.setblocking(False)
        self._service.setblocking(False)
        with suppress(OSError, ssl.SSLError, EOFError):
            self._decrypt()
            while not (self._client_ended and self._service_ended and not self._to_client):
                ready = self._awaited()
                if ready.get(self._client.fileno(), 0) & ~select.POLLOUT:
                    self._receive()
                if ready.get(self._service.fileno(), 0) & ~select.POLLOUT:
                    self._answer()
                self._flush()

    def _awaited(self) -> dict[int, int]:
        poller = select.poll()
        wants_client = select.POLLOUT if self._to_client else 0
        if not self._client_ended and not self._to_service:
            wants_client |= select.POLLIN
        wants_service = select.POLLOUT if self._to_service else 0
        if not self._service_ended and not self._to_client:
            wants_service |= select.POLLIN
        if wants_client or not self._client_ended:
            poller.register(self._client, wants_client)
        if wants_service:
            poller.register(self._service, wants_service)
        return dict(poller.poll())

    def _receive(self) -> None:
        data = self._client.recv(_PIECE)
        if not data:
            raise EOFError  # no close_notify: the client has disconnected
        self._secured.incoming.write(data)
        self._decrypt()

    def _decrypt(self) -> None:
        try:
            while data := self._secured.object.read(_PIECE):
                self._to_service += data
            self._end_of_client()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._end_of_client()
        self._to_client += self._secured.outgoing.read()

    def _end_of_client(self) -> None:
        self._client_ended = True

    def _answer(self) -> None:
        data = self._service.recv(_PIECE)
        if data:
            self._secured.object.write(data)
        else:
            self._service_ended = True
            with suppress(ssl.SSLError):  # it waits for a close_notify, which is optional
                self._secured.object.unwrap()
        self._to_client += self._secured.outgoing.read()

    def _flush(self) -> None:
        with suppress(BlockingIOError):
            if self._to_client:
                self._to_client = self._to_client[self._client.send(self._to_client) :]
        with suppress(BlockingIOError):
            if self._to_service:
                self._to_service = self._to_service[self._service.send(self._to_service) :]
        if self._client_ended and not self._to_service:
            with suppress(OSError):
                self._service.shutdown(socket.SHUT_WR)
        if self._service_ended and not self._to_client:
            with suppress(OSError):
                self._client.shutdown(socket.SHUT_WR)
            # The service has closed: further bytes of the client are discarded.
            self._client_ended = True
