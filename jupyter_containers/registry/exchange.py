"""Requests to one registry (or mirror), with scheme detection and authorization.

Lifecycle: the first request itself decides between https and http if the trust policy allows both
(a request that writes is preceded by a probe); the first 401 shows how to authorize; from then on
every request is authorized.
"""

from __future__ import annotations

import threading
from urllib.parse import urljoin, urlsplit

from jupyter_containers.errors import InvalidArgumentError, RegistryError
from jupyter_containers.lazy_dataclasses import replace
from jupyter_containers.registry.auth import Authenticator
from jupyter_containers.registry.credentials import CredentialSource
from jupyter_containers.registry.delivery import Delivery
from jupyter_containers.registry.endpoint import (
    Endpoint,
    TrustPolicy,
    is_loopback,
    origin,
    split_host,
)
from jupyter_containers.registry.problems import (
    MAX_ERROR_BYTES,
    RateLimit,
    rate_limit,
    read_up_to,
    refusal,
)
from jupyter_containers.registry.transport import ConnectionFailedError, Request, Response

_PROBE_TIMEOUT = 10.0


class Exchange:
    """Exchanges requests and responses with one endpoint; usable from several threads.

    ``rate_limit`` is the rate limit in the endpoint's last response.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        delivery: Delivery,
        policy: TrustPolicy,
        credentials: CredentialSource,
    ) -> None:
        self.endpoint = endpoint
        self._delivery = delivery
        self._policy = policy
        self._auth = Authenticator(endpoint, credentials, policy, delivery.deliver)
        self._lock = threading.Lock()
        self._scheme = endpoint.scheme
        self.rate_limit: RateLimit | None = None

    @property
    def scheme(self) -> str:
        """The scheme in use, or the one to try first while that is open."""
        return self._scheme or self._schemes()[0]

    def url(self, path: str) -> str:
        """Return the URL of ``path`` (which follows ``/v2/``)."""
        path = self.endpoint.renamed(path)
        return f"{self.scheme}://{self.endpoint.host}{self.endpoint.prefix}/v2/{path}"

    def address(self, path: str) -> str:
        """Return the URL of an absolute path of the endpoint."""
        return f"{self.scheme}://{self.endpoint.host}{path}"

    def located(self, response: Response) -> str:
        """Return the absolute form of a response's ``Location``, its query unchanged.

        Behind a proxy that terminates TLS, some registries return http URLs: such a URL is changed
        back to the scheme in use.  Raises :class:`RegistryError` if there is none.
        """
        target = response.headers.get("Location", "")
        try:
            absolute = urljoin(response.url, target) if target else ""
            scheme, host, _ = origin(absolute)
            own_name, _ = split_host(self.endpoint.host)
            netloc = urlsplit(absolute).netloc.rpartition("@")[2]
            if host == own_name and scheme == "http" and self.scheme == "https":
                return (
                    urlsplit(absolute)._replace(scheme="https", netloc=self.endpoint.host).geturl()
                )
            safe = scheme == "https" or (scheme == "http" and self._policy.allows_plain(netloc))
        except ValueError:
            safe = False
        if not safe:
            raise RegistryError(
                f"{self.endpoint.registry} returned no usable Location",
                status=response.status,
            )
        return absolute

    def is_own(self, url: str) -> bool:
        """Return whether ``url`` belongs to this endpoint, so that it may receive credentials."""
        try:
            return origin(url) == origin(f"{self.scheme}://{self.endpoint.host}")
        except InvalidArgumentError:
            return False

    def send(
        self,
        request: Request,
        *,
        scopes: tuple[str, ...],
        ok: tuple[int, ...],
        subject: str,
        repeatable: bool | None = None,
    ) -> Response:
        """Return a response whose status is one of ``ok``; the caller closes it.

        Raises the typed error for any other status.  ``subject`` describes the request for people.
        """
        scopes = tuple(self._scope(scope) for scope in scopes)
        first = None
        if not self._scheme and self.is_own(request.url):
            request, first = self._first(request)
        elif request.url.startswith(self._early_prefix()):
            request = replace(request, url=_in_scheme(request.url, self.scheme))
        own = self.is_own(request.url)
        sent = self._auth.header(scopes) if own and first is None else None
        response = self._deliver(request, sent, repeatable, first)
        if response.status == 401 and own and self.is_own(response.url):
            # Read to its end, so that its connection can also serve the token server's request.
            response = _read_refusal(response)
            answer = self._auth.answer(response, scopes, sent)
            if answer is not None:
                response = self._deliver(request, answer, repeatable)
            if response.status == 401:
                raise self._auth.rejection(response, request, subject)
        self.rate_limit = rate_limit(response.headers) or self.rate_limit
        if response.status not in ok:
            raise refusal(response, request, self.endpoint.registry, subject)
        return response

    def _scope(self, scope: str) -> str:
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        return f"{kind}:{self.endpoint.renamed(name)}:{actions}" if kind == "repository" else scope

    def _deliver(
        self,
        request: Request,
        authorization: str | None,
        repeatable: bool | None,
        first: Response | None = None,
    ) -> Response:
        if authorization is not None:
            headers = {**request.headers, "Authorization": authorization}
            request = replace(request, headers=headers)
        return self._delivery.deliver(request, repeatable=repeatable, first=first)

    def _schemes(self) -> tuple[str, ...]:
        """Return the allowed schemes, in the order in which to try them.

        On loopback nobody can listen in, so http comes first: a plain server may wait for ever for
        the end of a TLS handshake that looks like a strange request line.  Elsewhere TLS comes
        first.
        """
        host = self.endpoint.host
        if not self._policy.allows_plain(host):
            return ("https",)
        return ("http", "https") if is_loopback(host) else ("https", "http")

    def _early_prefix(self) -> str:
        """Return the beginning of URLs that were made before the scheme was known."""
        return f"{self._schemes()[0]}://{self.endpoint.host}/"

    def _first(self, request: Request) -> tuple[Request, Response | None]:
        """Detect the scheme; return the request with it, and its response if there is one."""
        with self._lock:
            response: Response | None = None
            if not self._scheme and len(self._schemes()) == 1:
                self._scheme = self._schemes()[0]
            if not self._scheme:
                reads = request.method in ("GET", "HEAD")
                question = request if reads else Request("GET", self.url(""))
                self._scheme, response = self._find_scheme(question)
                if response is not None and not reads:
                    response.close()
                    response = None
        return replace(request, url=_in_scheme(request.url, self._scheme)), response

    def _find_scheme(self, question: Request) -> tuple[str, Response | None]:
        """Return the endpoint's scheme and its response to a probe; send no credentials."""
        failures: list[ConnectionFailedError] = []
        plain: Response | None = None
        for scheme in self._schemes():
            url = _in_scheme(question.url, scheme)
            try:
                response = self._delivery.send_once(
                    replace(question, url=url, read_timeout=_PROBE_TIMEOUT)
                )
            except ConnectionFailedError as error:
                if error.kind == "tls":
                    raise
                failures.append(error)
                continue
            # A TLS server answers 400 to a plain request: then try TLS.
            if not (scheme == "http" and response.status == 400 and not failures):
                self._auth.learn(response)
                return scheme, response
            plain = _read_refusal(response)
        # A plain server with a slow first response is recognised by the failure of TLS.
        if plain is not None or [f.kind for f in failures] == ["timeout", "not-tls"]:
            return "http", plain
        # The error nearest to the cause, not a side effect of the attempt with TLS.
        raise next((f for f in failures if f.kind not in ("not-tls", "broken")), failures[0])


class _Refusal:
    """A refusal that was read; its connection is free again."""

    def __init__(self, response: Response, body: bytes) -> None:
        self.status, self.url, self.headers = response.status, response.url, response.headers
        self._body = body

    def read(self, limit: int) -> bytes:
        piece, self._body = self._body[:limit], self._body[limit:]
        return piece

    def close(self) -> None:
        self._body = b""


def _read_refusal(response: Response) -> _Refusal:
    try:
        body = read_up_to(response, MAX_ERROR_BYTES)
    except ConnectionFailedError:
        body = b""
    finally:
        response.close()
    return _Refusal(response, body)


def _in_scheme(url: str, scheme: str) -> str:
    return urlsplit(url)._replace(scheme=scheme).geturl()
