"""Sessions: the resources of a client for its builds, requested over its own connection.

Lifecycle: :func:`session` hijacks the connection of ``POST /session`` and reads it until the client
disconnects.  While it is open, solves that name it may request files, secrets, agents and
credentials, from any thread.  When the client goes away, its builds are cancelled.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TypeVar

import msgspec

from jupyter_containers.api.buildkit.connection import Connection, Stream
from jupyter_containers.api.buildkit.messages import (
    CredentialsRequest,
    CredentialsResponse,
    SecretRequest,
    SecretResponse,
)
from jupyter_containers.api.buildkit.rpc import NOT_FOUND, RpcError
from jupyter_containers.api.call import Call
from jupyter_containers.api.errors import StatusError
from jupyter_containers.events import CancelToken
from jupyter_containers.registry import Credential

T = TypeVar("T", bound=msgspec.Struct)
GET_SECRET = "/moby.buildkit.secrets.v1.Secrets/GetSecret"  # noqa: S105  # the name of a method
_PREFIX = "X-Docker-Expose-Session-"
_MOST_METHODS = 200
_MOST_NAME = 256


class Session:
    """A client's session; ``shared_key`` is the same for builds of the same folder."""

    def __init__(
        self, name: str, shared_key: str, methods: frozenset[str], connection: Connection
    ) -> None:
        self.name, self.shared_key, self._methods = name, shared_key, methods
        self._connection = connection
        self._tokens: list[CancelToken] = []

    def offers(self, method: str) -> bool:
        """Return whether the client answers a method (``/service/Method``)."""
        return method in self._methods

    def open(
        self,
        method: str,
        metadata: Mapping[str, list[str]] | None = None,
        cancel: CancelToken | None = None,
    ) -> Stream:
        """Begin a call of a method; ``cancel`` ends it."""
        return self._connection.open(method, metadata, cancel)

    def ask(
        self, method: str, request: msgspec.Struct, declared: type[T], cancel: CancelToken
    ) -> T:
        """Send one request and return its response."""
        with self.open(method, cancel=cancel) as stream, self.linked(cancel):
            stream.send_last(request)
            return stream.single(declared)

    @contextlib.contextmanager
    def linked(self, cancel: CancelToken) -> Iterator[None]:
        """Set ``cancel`` if the client disconnects during the block."""
        self._tokens.append(cancel)
        if self._connection.closed:
            cancel.cancel()
        try:
            yield
        finally:
            self._tokens.remove(cancel)

    def run(self) -> None:
        """Read until the client disconnects; then cancel the session's users."""
        try:
            self._connection.run()
        finally:
            for token in list(self._tokens):
                token.cancel()

    def secret(self, name: str, cancel: CancelToken) -> bytes | None:
        """Return a secret, None if the client has none of that name."""
        if not self.offers(GET_SECRET):
            return None
        try:
            return self.ask(GET_SECRET, SecretRequest(id=name), SecretResponse, cancel).data
        except RpcError as error:
            if error.code == NOT_FOUND:
                return None
            raise

    def credential(self, registry: str, cancel: CancelToken) -> Credential | None:
        """Return the client's credentials for a registry."""
        method = "/moby.filesync.v1.Auth/Credentials"
        if not self.offers(method):
            return None
        host = "registry-1.docker.io" if registry == "docker.io" else registry
        answer = self.ask(method, CredentialsRequest(host=host), CredentialsResponse, cancel)
        return Credential(answer.username, answer.secret) if answer.username else None


class Lent(Mapping[str, Credential]):
    """The credentials of a session, each requested when its registry is first used."""

    def __init__(self, lender: Session, cancel: CancelToken) -> None:
        self._session, self._cancel = lender, cancel
        self._known: dict[str, Credential | None] = {}

    def __getitem__(self, registry: str) -> Credential:
        if registry not in self._known:
            self._known[registry] = self._session.credential(registry, self._cancel)
        found = self._known[registry]
        if found is None:
            raise KeyError(registry)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, one in self._known.items() if one is not None])

    def __len__(self) -> int:
        return len(list(iter(self)))


def session(call: Call) -> None:
    """Serve ``POST /session`` until the client disconnects."""
    name = call.headers.get(_PREFIX + "Uuid", "")
    shared_key = call.headers.get(_PREFIX + "Sharedkey", "")
    if not 0 < len(name) <= _MOST_NAME or len(shared_key) > 4 * _MOST_NAME:
        raise StatusError(400, "a session has a name of at most 256 characters")
    # A header of several lines is one text with commas.
    words = call.headers.get(_PREFIX + "Grpc-Method", "").split(",")
    methods = frozenset(word.strip() for word in words[:_MOST_METHODS])
    bare, early = call.hijack_h2c()
    one = Session(name, shared_key, methods, Connection(bare, early, call.cancel, None))
    sessions = call.state.buildkit.sessions
    sessions.add(name, one)
    try:
        one.run()
    finally:
        sessions.remove(name, one)
