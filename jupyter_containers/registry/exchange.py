"""Requests to one registry (or mirror), with its scheme found out and authorization attached.

Lifecycle: the first request decides between https and http where the trust policy leaves a
choice; the first 401 teaches how to authorize; from then on every request carries what it needs.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from urllib.parse import urljoin, urlsplit

from jupyter_containers.errors import InvalidArgumentError, RegistryError
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
from jupyter_containers.registry.problems import refusal
from jupyter_containers.registry.transport import ConnectionFailedError, Request, Response

_PROBE_TIMEOUT = 10.0


class Exchange:
    """Exchanges requests and responses with one endpoint; usable from several threads."""

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

    def url(self, path: str) -> str:
        """Return the address of ``path`` (which starts behind ``/v2/``)."""
        if not self._scheme:
            with self._lock:
                self._scheme = self._scheme or self._find_scheme()
        return f"{self._scheme}://{self.endpoint.host}{self.endpoint.prefix}/v2/{path}"

    def located(self, response: Response) -> str:
        """Return the absolute form of a response's ``Location``, its query untouched.

        A proxy that ends TLS makes some registries name themselves with http: such an address is
        brought back to the scheme in use.  Raises :class:`RegistryError` when there is none.
        """
        target = response.headers.get("Location", "")
        try:
            absolute = urljoin(response.url, target) if target else ""
            scheme, host, _ = origin(absolute)
            own_name, _ = split_host(self.endpoint.host)
            netloc = urlsplit(absolute).netloc.rpartition("@")[2]
            if host == own_name and scheme == "http" and self._scheme == "https":
                return (
                    urlsplit(absolute)._replace(scheme="https", netloc=self.endpoint.host).geturl()
                )
            safe = scheme == "https" or (scheme == "http" and self._policy.allows_plain(netloc))
        except ValueError:
            safe = False
        if not safe:
            raise RegistryError(
                f"{self.endpoint.registry} gave no usable address to go on with (Location)",
                status=response.status,
            )
        return absolute

    def is_own(self, url: str) -> bool:
        """True when ``url`` belongs to this endpoint, so that credentials may be sent there."""
        try:
            return origin(url) == origin(f"{self._scheme}://{self.endpoint.host}")
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

        Raises the typed error for any other status.  ``subject`` tells people what it was about.
        """
        own = self.is_own(request.url)
        sent = self._auth.header(scopes) if own else None
        response = self._deliver(request, sent, repeatable)
        if response.status == 401 and own and self.is_own(response.url):
            try:
                answer = self._auth.answer(response, scopes, sent)
            except BaseException:
                response.close()
                raise
            if answer is not None:
                response.close()
                response = self._deliver(request, answer, repeatable)
            if response.status == 401:
                raise self._auth.rejection(response, request, subject)
        if response.status not in ok:
            raise refusal(response, request, self.endpoint.registry, subject)
        return response

    def _deliver(
        self, request: Request, authorization: str | None, repeatable: bool | None
    ) -> Response:
        if authorization is not None:
            headers = {**request.headers, "Authorization": authorization}
            request = replace(request, headers=headers)
        return self._delivery.deliver(request, repeatable=repeatable)

    def _find_scheme(self) -> str:
        """Return the scheme that the endpoint speaks; asks without credentials.

        On loopback nobody can listen in, so http comes first: a plain server may wait for ever
        for the end of what looks like a strange request line.  Elsewhere TLS comes first.
        """
        host = self.endpoint.host
        if not self._policy.allows_plain(host):
            return "https"
        order = ("http", "https") if is_loopback(host) else ("https", "http")
        failures: list[ConnectionFailedError] = []
        plain_answers = False
        for scheme in order:
            url = f"{scheme}://{host}{self.endpoint.prefix}/v2/"
            try:
                response = self._delivery.send_once(Request("GET", url, {}, None, _PROBE_TIMEOUT))
            except ConnectionFailedError as error:
                if error.kind == "tls":
                    raise
                failures.append(error)
                continue
            response.close()
            # A TLS server says 400 to a plain request: then TLS is worth a try.
            plain_answers = scheme == "http"
            if not (plain_answers and response.status == 400 and not failures):
                self._auth.learn(response)
                return scheme
        if plain_answers:
            return "http"
        # What says most about the cause, not what merely went wrong in the attempt with TLS.
        raise next((f for f in failures if f.kind not in ("not-tls", "broken")), failures[0])
