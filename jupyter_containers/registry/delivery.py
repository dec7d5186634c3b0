"""Delivers a request: retries, rate limits and redirects, but no authorization.

A request that may safely be sent twice is retried after a transient failure (no connection, 5xx),
with growing pauses.  A 429 is waited out if the registry states how long and that is not too long.
Redirects are followed here, one by one, because ``Authorization`` must not be sent to another host,
and TLS must not be lost on the way.
"""

from __future__ import annotations

import email.utils
import math
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urljoin, urlsplit

from jupyter_containers.errors import OperationCancelledError, RegistryError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass, replace
from jupyter_containers.registry.endpoint import TrustPolicy, origin, redacted
from jupyter_containers.registry.transport import (
    ConnectionFailedError,
    Request,
    Response,
    Transport,
)

MAX_REDIRECTS = 5
_REPEATABLE = ("GET", "HEAD", "DELETE")
_TRANSIENT_STATUS = (408, 500, 502, 503, 504)
_TRANSIENT_KINDS = ("timeout", "broken", "unreachable")
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The retry limits of a client; times in seconds.

    ``attempts`` includes the first one.  ``pause`` doubles with each attempt.  If a registry asks
    for more than ``longest_wait`` before the next request, the client gives up.
    """

    attempts: int = 4
    pause: float = 0.3
    longest_wait: float = 60.0


def ignore_wait(registry: str, seconds: float) -> None:
    """Ignore a pause."""


class Delivery:
    """Delivers requests for one client; usable from several threads."""

    def __init__(
        self,
        transport: Transport,
        policy: TrustPolicy,
        *,
        retry: RetryPolicy,
        cancel: CancelToken,
        on_wait: Callable[[str, float], None] = ignore_wait,
    ) -> None:
        self._transport = transport
        self._policy = policy
        self._retry = retry
        self._cancel = cancel
        self._on_wait = on_wait

    def deliver(
        self, request: Request, *, repeatable: bool | None = None, first: Response | None = None
    ) -> Response:
        """Return the final response, whose status no retry can change.

        ``repeatable`` states that sending twice does no harm; by default the method decides.
        ``first`` is the response to the first attempt, if that was already made. Raises
        :class:`RegistryError` without a response, and
        :class:`~jupyter_containers.errors.OperationCancelledError`.
        """
        may_repeat = request.method in _REPEATABLE if repeatable is None else repeatable
        attempt = 0
        while True:
            attempt += 1
            first = None if attempt > 1 else first
            last = attempt >= self._retry.attempts
            try:
                response = self._follow(request, first)
            except ConnectionFailedError as error:
                self._cancel.check()
                if last or not may_repeat or error.kind not in _TRANSIENT_KINDS:
                    raise
                self._pause(request, math.ldexp(self._retry.pause, attempt - 1))
                continue
            wait = self._wait_before_next(response, attempt, may_repeat)
            if last or wait is None:
                return response
            response.close()
            self._pause(request, wait)

    def send_once(self, request: Request) -> Response:
        """Return the response to one attempt, without following redirects."""
        self._cancel.check()
        return self._transport.send(request)

    def _wait_before_next(self, response: Response, attempt: int, may_repeat: bool) -> float | None:
        transient = may_repeat and response.status in _TRANSIENT_STATUS
        # A request over the rate limit was not carried out, so it may always be repeated.
        if not transient and response.status != 429:
            return None
        asked = retry_after(response.headers.get("Retry-After", ""), time.time())
        if asked is None:
            return math.ldexp(self._retry.pause, attempt - 1)
        return asked if asked <= self._retry.longest_wait else None

    def _pause(self, request: Request, seconds: float) -> None:
        if seconds >= 1:
            self._on_wait(urlsplit(request.url).netloc.rpartition("@")[2], seconds)
        if self._cancel.wait(seconds):
            raise OperationCancelledError("cancelled")

    def _follow(self, request: Request, first: Response | None) -> Response:
        current = request
        for _ in range(MAX_REDIRECTS + 1):
            response = self.send_once(current) if first is None else first
            first = None
            target = response.headers.get("Location", "")
            if response.status not in _REDIRECTS or not target:
                return response
            if current.method not in ("GET", "HEAD") and response.status not in (307, 308):
                return response
            response.close()
            current = self._redirected(current, target)
        raise RegistryError(
            f"too many redirects from {redacted(request.url)}", request=str(request)
        )

    def _redirected(self, request: Request, target: str) -> Request:
        try:
            url = urljoin(request.url, target)
            old, new = origin(request.url), origin(url)
        except ValueError as error:
            raise _bad_redirect(request) from error
        if new[0] not in ("http", "https") or not new[1]:
            raise _bad_redirect(request)
        if new[0] == "http" and not self._policy.allows_plain(urlsplit(url).netloc):
            raise RegistryError(
                f"a redirect leads from {old[1]} to plain http on {new[1]}",
                request=str(request),
                hint=f"add {new[1]} to insecure_registries if that is intended",
            )
        headers = dict(request.headers)
        if new != old:
            headers = {k: v for k, v in headers.items() if k.lower() != "authorization"}
        return replace(request, url=url, headers=headers)


def _bad_redirect(request: Request) -> RegistryError:
    return RegistryError(
        f"a redirect from {redacted(request.url)} leads nowhere", request=str(request)
    )


def retry_after(text: str, now: float) -> float | None:
    """Return the seconds in a ``Retry-After`` header; None if there are none.

    RFC 9110, section 10.2.3: a number of seconds or a date; ``now`` is the time since the epoch.
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    if text:
        with suppress(ValueError, TypeError, OverflowError):
            moment: float = email.utils.parsedate_to_datetime(text).timestamp()
            return max(0.0, moment - now)
    return None
