"""One request, one response: the interface between this room and the network.

:class:`Transport` neither follows redirects, nor retries, nor authorizes: its callers do.  Failures
below HTTP are raised as :class:`ConnectionFailedError` with a ``kind``.

:class:`RequestsTransport` is the real one, safe to share between threads.  It ends every connection
as soon as its cancel token is set, so that a thread waiting for a silent registry returns at once.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from jupyter_containers.errors import OperationCancelledError, RegistryError
from jupyter_containers.events import CancelToken
from jupyter_containers.filesystems import check_place
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.lazy_modules import socket
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.registry.endpoint import TrustPolicy, is_loopback, redacted
from jupyter_containers.registry.sockets import SocketRegister

if TYPE_CHECKING:
    import requests
    from requests.adapters import HTTPAdapter

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 60.0
# A registry answers the end of an upload only after moving the blob to its final place.
COMMIT_TIMEOUT = 600.0
CERTIFICATE_FOLDERS = (Path("/etc/docker/certs.d"), Path("/etc/containers/certs.d"))
_SHORT_REST = 16 * 1024
_REFUSED_BY_PROXY = pattern(r"Tunnel connection failed: 4\d\d")
_BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)

FailureKind = Literal["refused", "unreachable", "name", "timeout", "tls", "not-tls", "broken"]


class ConnectionFailedError(RegistryError):
    """No usable response arrived; ``kind`` is the step that failed."""

    def __init__(self, message: str, *, kind: FailureKind, request: str, hint: str = "") -> None:
        super().__init__(message, request=request, hint=hint)
        self.kind: FailureKind = kind


class Body(Protocol):
    """A request body of known length that can be sent again: each iteration starts over."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[memoryview]: ...


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """A request; ``read_timeout`` is in seconds, between two received pieces."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Body | None = None
    read_timeout: float = READ_TIMEOUT

    def __str__(self) -> str:
        return f"{self.method} {redacted(self.url)}"

    def __repr__(self) -> str:
        # Headers, query and body may contain secrets.
        return f"<Request {self}>"


class Response(Protocol):
    """A response, which the caller closes.  ``headers`` are looked up case-insensitively."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def url(self) -> str:
        """The URL that responded."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; several of one name are joined by commas."""

    def read(self, limit: int) -> bytes:
        """Return up to ``limit`` bytes of the body as soon as any have arrived; empty at its end.

        Raises :class:`ConnectionFailedError` if the connection breaks before the body's end.
        """

    def close(self) -> None:
        """Release the connection."""


class Transport(Protocol):
    """Sends requests one by one; usable from several threads."""

    def send(self, request: Request) -> Response:
        """Return the response with its body unread; raise :class:`ConnectionFailedError`."""

    def close(self) -> None:
        """Close all connections."""


class RequestsTransport:
    """The transport over requests: TLS, proxies, certificates, pooled connections.

    Honours the process's proxy variables (never for loopback), ``environ``'s CA bundle variables,
    and ``<folder>/<host>/{*.crt,*.cert,*.key}`` of ``certificate_folders``.  Never reads ``.netrc``
    and keeps no cookies.
    """

    def __init__(
        self,
        *,
        policy: TrustPolicy,
        cancel: CancelToken | None = None,
        certificate_folders: Iterable[Path] = CERTIFICATE_FOLDERS,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._policy = policy
        self._cancel = cancel
        self._folders = tuple(certificate_folders)
        self._environ = os.environ if environ is None else environ
        self._sockets = SocketRegister()
        self._adapters: dict[str, tuple[HTTPAdapter, tuple[str, str] | None]] = {}
        self._lock = threading.Lock()
        self._watching = False

    def send(self, request: Request) -> Response:
        """Send one request; see :class:`Transport`."""
        from urllib.parse import urlsplit

        import requests

        host = urlsplit(request.url).netloc.rpartition("@")[2]
        try:
            adapter, client_certificate = self._adapter(host)
            self._watch()
            prepared = requests.Request(
                request.method,
                request.url,
                headers={"Accept-Encoding": "identity", **request.headers},
                data=request.body,
            ).prepare()
            response = adapter.send(
                prepared,
                stream=True,
                timeout=(CONNECT_TIMEOUT, request.read_timeout),
                verify=False if self._policy.is_listed(host) else ca_bundle(self._environ),
                cert=client_certificate,
                proxies=self._proxies(request.url, host),
            )
        except (requests.RequestException, OSError, ValueError) as error:
            self._raise_if_cancelled()
            raise failure_of(error, request, host) from error
        return _RequestsResponse(response, request, host, self._raise_if_cancelled)

    def close(self) -> None:
        """Close all idle connections; the watching thread ends by itself."""
        with self._lock:
            adapters = [adapter for adapter, _ in self._adapters.values()]
            self._adapters.clear()
            self._watching = False
        for adapter in adapters:
            adapter.close()

    def _raise_if_cancelled(self) -> None:
        if self._cancel is not None:
            self._cancel.check()

    def _adapter(self, host: str) -> tuple[HTTPAdapter, tuple[str, str] | None]:
        from jupyter_containers.registry.adapter import make_adapter

        with self._lock:
            known = self._adapters.get(host)
            if known is None:
                authorities, pair = certificates(self._folders, host)
                known = (make_adapter(authorities, self._sockets), pair)
                self._adapters[host] = known
            return known

    def _proxies(self, url: str, host: str) -> dict[str, str]:
        if is_loopback(host):
            return {}
        from requests.utils import get_environ_proxies

        # Without no_proxy it would read the process's own variable, and set it for a moment
        # (visible to other threads).
        return dict(get_environ_proxies(url, no_proxy=None))

    def _watch(self) -> None:
        if self._cancel is None or self._watching:
            return
        self._watching = True
        threading.Thread(
            target=_end_when_cancelled,
            args=(weakref.ref(self), self._sockets, self._cancel),
            name="registry-cancel",
            daemon=True,
        ).start()

    @property
    def watching(self) -> bool:
        """True from the first request until :meth:`close`."""
        return self._watching


def _end_when_cancelled(
    transport: weakref.ref[RequestsTransport], sockets: SocketRegister, cancel: CancelToken
) -> None:
    while not cancel.wait(0.1):
        owner = transport()
        if owner is None or not owner.watching:
            return
        del owner
    sockets.shut_down()


class _RequestsResponse:
    """A response whose body is read as it was sent, without decoding."""

    __slots__ = ("_check", "_host", "_request", "_response", "headers", "status", "url")

    def __init__(
        self, response: requests.Response, request: Request, host: str, check: Any
    ) -> None:
        self._response = response
        self._request = request
        self._host = host
        self._check = check
        self.status: int = response.status_code
        self.url: str = request.url
        self.headers: Mapping[str, str] = response.headers

    def read(self, limit: int) -> bytes:
        import urllib3

        raw = self._response.raw
        try:
            # read1 returns the data of one system call, so cancelling stays fast.
            data: bytes = raw.read1(limit, decode_content=False)
            return data
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            self._check()
            raise failure_of(error, self._request, self._host) from error

    def close(self) -> None:
        # A short rest is read, because only then can the connection serve the next request.
        length = self.headers.get("Content-Length", "")
        short = length.isascii() and length.isdigit() and int(length[:9]) <= _SHORT_REST
        if short or self._request.method == "HEAD" or self.status == 204:
            with suppress(ConnectionFailedError, OperationCancelledError):
                while self.read(_SHORT_REST):
                    pass
        self._response.close()


def ca_bundle(environ: Mapping[str, str]) -> str | bool:
    """Return the file of trusted authorities: the one in the environment, else the system's."""
    for name in _BUNDLE_VARIABLES:
        if environ.get(name):
            return environ[name]
    for path in _SYSTEM_BUNDLES:
        if os.path.exists(path):
            return path
    return True


def certificates(
    folders: Iterable[Path], host: str
) -> tuple[tuple[Path, ...], tuple[str, str] | None]:
    """Return the authorities (``*.crt``) and the client's certificate and key for ``host``.

    Raises :class:`UntrustedPlaceError` if other users could change them.
    """
    authorities: list[Path] = []
    pair: tuple[str, str] | None = None
    for folder in folders:
        place = folder / host
        if not place.is_dir():
            continue
        for trusted in (place, *place.iterdir()):
            check_place(trusted, "a folder of certificates", f"chmod -R go-w {place}")
        authorities += sorted(place.glob("*.crt"))
        for certificate in sorted(place.glob("*.cert")):
            key = certificate.with_suffix(".key")
            if not key.exists():
                raise RegistryError(
                    f"the client certificate {certificate} has no key {key.name}",
                    hint="put the key beside it; an authority's certificate ends in .crt",
                )
            if pair is None:
                pair = (str(certificate), str(key))
    return tuple(authorities), pair


def failure_of(error: BaseException, request: Request, host: str) -> ConnectionFailedError:
    """Return the typed error for an exception of requests, urllib3, ssl or the system."""
    import ssl

    import urllib3.exceptions as http

    chain = list(_chain(error))
    text = str(request)

    def failed(kind: FailureKind, message: str, hint: str = "") -> ConnectionFailedError:
        return ConnectionFailedError(message, kind=kind, request=text, hint=hint)

    secure = next((e for e in chain if isinstance(e, ssl.SSLError)), None)
    if secure is not None:
        return _tls_failure(secure, host, failed)
    if any(isinstance(e, http.ProxyError) for e in chain):
        # A proxy that refuses, or is missing, will still do so a moment later.
        final = any(isinstance(e, ConnectionRefusedError) for e in chain)
        final = final or any(_REFUSED_BY_PROXY.search(str(e)) for e in chain)
        return failed(
            "refused" if final else "unreachable",
            f"cannot reach the registry {host}: the proxy refused the connection",
            "check HTTPS_PROXY and NO_PROXY",
        )
    if any(isinstance(e, http.NameResolutionError | socket.gaierror) for e in chain):
        return failed(
            "name",
            f"cannot find the registry {host}: its name does not resolve",
            "check the name and this machine's DNS, or set HTTPS_PROXY if a proxy is needed",
        )
    if any(isinstance(e, ConnectionRefusedError) for e in chain):
        return failed(
            "refused",
            f"cannot reach the registry {host}: connection refused",
            "is the registry running, and is the port right?",
        )
    timeouts = (TimeoutError, http.TimeoutError)
    if any(isinstance(e, timeouts) for e in chain):
        return failed(
            "timeout",
            f"the registry {host} did not answer in time",
            "check the network, or set HTTPS_PROXY if a proxy is needed",
        )
    system = next((e for e in chain if isinstance(e, OSError) and e.errno and e.strerror), None)
    if any(isinstance(e, http.NewConnectionError) for e in chain):
        reason = f": {str(system.strerror).lower()}" if isinstance(system, OSError) else ""
        return failed("unreachable", f"cannot reach the registry {host}{reason}")
    if "CA certificate bundle" in str(error) or "TLS certificate" in str(error):
        return failed(
            "tls",
            "cannot read the file of trusted certificate authorities",
            f"check {', '.join(_BUNDLE_VARIABLES)}",
        )
    return failed("broken", f"the connection to {host} broke")


def _tls_failure(error: BaseException, host: str, failed: Any) -> ConnectionFailedError:
    import ssl

    reason = str(getattr(error, "reason", "") or error)
    made: ConnectionFailedError
    if isinstance(error, ssl.SSLCertVerificationError):
        detail = getattr(error, "verify_message", "") or "verification failed"
        made = failed(
            "tls",
            f"the certificate of {host} is not trusted: {detail}",
            f"put its authority into /etc/docker/certs.d/{host}/ca.crt, "
            f"or add {host} to insecure_registries",
        )
    elif any(word in reason for word in ("WRONG_VERSION_NUMBER", "RECORD_LAYER", "HTTP_REQUEST")):
        made = failed(
            "not-tls",
            f"{host} does not speak TLS",
            f"add {host} to insecure_registries if plain http is intended",
        )
    elif isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        made = failed("broken", f"the TLS connection to {host} broke")
    else:
        made = failed("tls", f"no TLS connection to {host}: {reason.lower()[:120]}")
    return made


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and all its causes, however they are attached."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        linked = [current.__cause__, current.__context__, getattr(current, "reason", None)]
        waiting += [e for e in (*linked, *current.args) if isinstance(e, BaseException)]
