"""Authorization: parses challenges and answers them with a token or Basic credentials.

Vocabulary: a *challenge* is the content of ``WWW-Authenticate``.  A *scope* is
``repository:<name>:<actions>``.  A *token* is issued by a token server for a set of scopes and a
short time; an *identity token* is a credential that is exchanged for tokens.

Follows RFC 9110, section 11, and the token flow of the Distribution project (its documents
"Token Authentication Specification" and "OAuth2 Token Authentication").
"""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from jupyter_containers.errors import (
    DeniedError,
    InvalidArgumentError,
    RegistryError,
    UnauthorizedError,
)
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.oci.decoding import DECODE_ERRORS
from jupyter_containers.registry.credentials import Credential, CredentialSource
from jupyter_containers.registry.endpoint import (
    Endpoint,
    TrustPolicy,
    origin,
    redacted,
    split_host,
    with_query,
)
from jupyter_containers.registry.problems import login_hint, read_up_to, refusal
from jupyter_containers.registry.transport import Request, Response

CLIENT_ID = "jupyter-containers"
MAX_TOKEN_BYTES = 1024 * 1024
# The minimum lifetime of a token, by the token specification, if the server states none.
DEFAULT_LIFETIME = 60.0
# A token this close to its end may expire before it reaches the registry.
MARGIN = 5.0


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way in which the registry accepts authorization; scheme and names in lower case."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


_ITEM = pattern(
    r"[\s,]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)"
    r"(?:\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]+)))?"
)


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Return the challenges of one (or several joined) ``WWW-Authenticate`` headers."""
    found: list[tuple[str, dict[str, str]]] = []
    position = 0
    header = header[:16384]
    while match := _ITEM.match(header, position):
        position = match.end()
        name, quoted, plain = match.groups()
        if quoted is None and plain is None:
            found.append((name.lower(), {}))
        elif found:
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
            found[-1][1].setdefault(name.lower(), value)
    return tuple(Challenge(scheme, parameters) for scheme, parameters in found)


def merged_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return the union of scopes: one for each resource, its actions sorted."""
    actions: dict[str, set[str]] = {}
    for scope in scopes:
        resource, _, listed = scope.rpartition(":")
        if resource:
            actions.setdefault(resource, set()).update(filter(None, listed.split(",")))
    return tuple(f"{name}:{','.join(sorted(wanted))}" for name, wanted in sorted(actions.items()))


def _pairs(scopes: Iterable[str]) -> frozenset[tuple[str, str]]:
    found = set()
    for scope in scopes:
        resource, _, listed = scope.rpartition(":")
        found |= {(resource, action) for action in listed.split(",")}
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Token:
    """A token, its scopes, and the clock's reading at which it expires.

    ``number`` counts those of one registry.
    """

    value: str = field(repr=False)
    scopes: frozenset[tuple[str, str]] = frozenset()
    end: float = 0.0
    number: int = 0


class Authenticator:
    """The authorization for one registry; usable from several threads.

    ``deliver`` sends a request to the token server.  ``clock`` counts seconds and is monotonic.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: CredentialSource,
        policy: TrustPolicy,
        deliver: Callable[[Request], Response],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoint = endpoint
        self._credentials = credentials
        self._policy = policy
        self._deliver = deliver
        self._clock = clock
        self._lock = threading.RLock()
        self._challenge: Challenge | None = None
        self._tokens: list[Token] = []
        self._fetched = 0
        # By token: how many had been fetched when it was last used.
        self._given: dict[str, int] = {}
        self._credential: Credential | None = None
        self._asked = False
        self._trouble: RegistryError | None = None

    def header(self, scopes: tuple[str, ...]) -> str | None:
        """Return the ``Authorization`` for these scopes; None if the registry asked for none."""
        with self._lock:
            challenge = self._challenge
            if challenge is None:
                return None
            if challenge.scheme == "basic":
                return self._basic()
            return f"Bearer {self._token(challenge, scopes).value}"

    def learn(self, response: Response) -> None:
        """Record the challenges of a response with status 401."""
        challenge = self._choose(parse_challenges(response.headers.get("WWW-Authenticate", "")))
        with self._lock:
            if challenge is not None:
                self._challenge = challenge

    def answer(
        self, response: Response, scopes: tuple[str, ...], rejected: str | None
    ) -> str | None:
        """Return an ``Authorization`` that may satisfy a 401, or None if there is no other.

        ``rejected`` is the one that was sent.  Raises :class:`UnauthorizedError` if the token
        server refuses.
        """
        challenge = self._choose(parse_challenges(response.headers.get("WWW-Authenticate", "")))
        if challenge is None:
            return None
        with self._lock:
            self._challenge = challenge
            if challenge.scheme == "basic":
                header = self._basic()
                return None if header == rejected else header
            if rejected is not None:
                self._drop(rejected.removeprefix("Bearer "))
            header = f"Bearer {self._token(challenge, scopes).value}"
            return None if header == rejected else header

    def rejection(self, response: Response, request: Request, subject: str) -> RegistryError:
        """Return the error for a 401 that could not be answered; close the response."""
        challenges = parse_challenges(response.headers.get("WWW-Authenticate", ""))
        error = refusal(response, request, self._endpoint.registry, subject)
        registry = self._endpoint.registry
        facts: dict[str, Any] = {"status": 401, "codes": error.codes, "request": error.request}
        if self._credential is None:
            hint = login_hint(registry)
            if self._trouble is not None:
                hint = f"{self._trouble.message}; {hint}"
            return UnauthorizedError(
                f"{registry} refused: {subject}: it does not exist or needs a login",
                hint=hint,
                **facts,
            )
        if any(each.parameters.get("error") == "insufficient_scope" for each in challenges):
            return DeniedError(
                f"{registry} refused: {subject}: not allowed for {self._credential.username!r}",
                hint="the repository does not exist, or the account may not do this there",
                **facts,
            )
        return self._wrong_credentials(**facts)

    def _wrong_credentials(self, **facts: Any) -> UnauthorizedError:
        name = self._credential.username if self._credential else ""
        return UnauthorizedError(
            f"{self._endpoint.registry} refused the user name or password of {name!r}",
            hint=f"log in again: login {self._endpoint.registry}",
            **facts,
        )

    def _choose(self, challenges: tuple[Challenge, ...]) -> Challenge | None:
        for scheme in ("bearer", "basic"):
            for challenge in challenges:
                if challenge.scheme == scheme and (
                    scheme == "basic" or challenge.parameters.get("realm")
                ):
                    return challenge
        return None

    def _load(self) -> Credential | None:
        if not self._asked:
            try:
                self._credential = self._credentials.get(self._endpoint.registry)
            except RegistryError as error:
                # A broken helper must not block public repositories.
                self._trouble = error
            self._asked = True
        return self._credential

    def _basic(self) -> str | None:
        credential = self._load()
        if credential is None or not credential.username:
            return None
        return _basic_header(credential)

    def _token(self, challenge: Challenge, scopes: tuple[str, ...]) -> Token:
        own = challenge.parameters.get("scope", "").split()
        wanted = merged_scopes((*scopes, *(own if scopes else ())))
        needed = _pairs(scopes)
        now = self._clock()
        self._tokens = [token for token in self._tokens if token.end > now]
        token = next((token for token in self._tokens if needed <= token.scopes), None)
        if token is None:
            token = self._fetch(challenge, wanted)
            self._tokens.append(token)
        self._given[token.value] = self._fetched
        return token

    def _drop(self, rejected: str) -> None:
        """Drop a token, and all that were fetched before it was last used.

        If it was revoked, those may have been revoked too; one that another thread has fetched
        since, for the same reason, is good.
        """
        known = self._given.get(rejected, 0)
        self._tokens = [
            token for token in self._tokens if token.value != rejected and token.number > known
        ]

    def _fetch(self, challenge: Challenge, scopes: tuple[str, ...]) -> Token:
        credential = self._load()
        request = self._token_request(challenge, scopes, credential)
        response = self._deliver(request)
        try:
            if response.status in (400, 401, 403) and credential is not None:
                raise self._wrong_credentials(status=response.status, request=str(request))
            if response.status in (401, 403):
                raise UnauthorizedError(
                    f"{self._endpoint.registry} requires a login",
                    status=response.status,
                    request=str(request),
                    hint=login_hint(self._endpoint.registry),
                )
            if response.status != 200:
                raise refusal(response, request, self._endpoint.registry, "a token")
            value, lifetime = parse_token(read_up_to(response, MAX_TOKEN_BYTES))
        finally:
            response.close()
        if not value:
            raise RegistryError(
                f"the token server of {self._endpoint.registry} sent no token",
                request=str(request),
            )
        end = self._clock() + max(lifetime - MARGIN, lifetime / 2)
        self._fetched += 1
        return Token(value, _pairs(scopes), end, self._fetched)

    def _token_request(
        self, challenge: Challenge, scopes: tuple[str, ...], credential: Credential | None
    ) -> Request:
        realm = challenge.parameters["realm"]
        self._check_realm(realm)
        service = challenge.parameters.get("service", "")
        named = [("service", service)] if service else []
        if credential is not None and credential.identity_token:
            form = [
                ("grant_type", "refresh_token"),
                *named,
                ("client_id", CLIENT_ID),
                ("scope", " ".join(scopes)),
                ("refresh_token", credential.identity_token),
            ]
            content = {"Content-Type": "application/x-www-form-urlencoded"}
            return Request("POST", realm, content, urlencode(form).encode())
        query = [*named, *(("scope", scope) for scope in scopes)]
        headers: dict[str, str] = {}
        if credential is not None and credential.username:
            query.append(("account", credential.username))
            headers["Authorization"] = _basic_header(credential)
        return Request("GET", with_query(realm, query), headers)

    def _check_realm(self, realm: str) -> None:
        """Raise if the token server must not receive credentials."""
        try:
            scheme, name, _ = origin(realm)
        except InvalidArgumentError:
            scheme, name = "", ""
        if scheme == "https" and name:
            return
        netloc = urlsplit(realm).netloc.rpartition("@")[2] if name else ""
        registry_name, _ = split_host(self._endpoint.host)
        same = name == registry_name and self._policy.allows_plain(self._endpoint.host)
        if scheme == "http" and name and (same or self._policy.allows_plain(netloc)):
            return
        raise RegistryError(
            f"the token server of {self._endpoint.registry} is not safe: {redacted(realm)[:200]}",
            hint=f"add {netloc} to insecure_registries if plain http is intended" if name else "",
        )


def _basic_header(credential: Credential) -> str:
    pair = f"{credential.username}:{credential.secret}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


class _TokenDocument(msgspec.Struct):
    token: str | None = None
    access_token: str | None = None
    expires_in: float | None = None


def parse_token(data: bytes) -> tuple[str, float]:
    """Return the token and its lifetime in seconds; an empty token if there is none.

    ``access_token`` means the same as ``token``; servers send either or both.
    """
    try:
        document = msgspec.json.decode(data, type=_TokenDocument, strict=False)
    except DECODE_ERRORS:
        return "", 0.0
    value = document.token or document.access_token or ""
    if not re.fullmatch(r"[\x21-\x7e]*", value):
        return "", 0.0
    lifetime = document.expires_in or 0.0
    # Less than a minute violates the specification, but test servers do it.
    return value, lifetime if 0 < lifetime < 1e9 else DEFAULT_LIFETIME
