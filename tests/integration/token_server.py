"""A token server for Debian's docker-registry: signed tokens, as that registry verifies them.

It follows the Distribution project's "Token Authentication Specification": the client asks with
the user's password for a scope and gets a JSON Web Token, signed with RS256, whose ``x5c`` header
carries the certificate that the registry trusts.
"""

from __future__ import annotations

import base64
import json
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs

from tests.integration.registry_server import Answer, Asked, ScriptedRegistry

SERVICE, ISSUER = "registry.test", "tests"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class TokenServer:
    """Issues tokens to ``users`` (name → password) for the ``allowed`` repositories (by name).

    Anonymous users may pull from ``public``.  ``granted`` lists the granted scopes, in order.
    ``identity_tokens`` are accepted in the OAuth2 form too.
    """

    folder: Path
    users: dict[str, str] = field(default_factory=dict)
    allowed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    public: tuple[str, ...] = ()
    identity_tokens: dict[str, str] = field(default_factory=dict)
    lifetime: int = 300
    granted: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._key, self.certificate = self.folder / "token.key", self.folder / "token.crt"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
                *("-subj", "/CN=tokens", "-keyout", str(self._key), "-out", str(self.certificate)),
            ],
            check=True,
            capture_output=True,
        )

    def configuration(self, server: ScriptedRegistry) -> dict[str, str]:
        """Return the registry's configuration for this server."""
        return {
            "realm": f"{server.url}/token",
            "service": SERVICE,
            "issuer": ISSUER,
            "rootcertbundle": str(self.certificate),
        }

    def __call__(self, asked: Asked) -> Answer:
        if asked.method == "POST":
            form = {key: values[0] for key, values in parse_qs(asked.body.decode()).items()}
            user = self.identity_tokens.get(form.get("refresh_token", ""), "")
            scopes = form.get("scope", "").split()
            if not user:
                return Answer(401, {}, b'{"details": "unknown token"}')
        else:
            user, known = self._user(asked)
            scopes = [value for key, value in asked.query if key == "scope"]
            if not known:
                return Answer(401, {}, b'{"details": "incorrect username or password"}')
        access = [self._access(user, scope) for scope in scopes]
        self.granted += [(user, f"{a['name']}:{','.join(a['actions'])}") for a in access]
        token = self._token(user, access)
        return Answer(200, {}, json.dumps({"token": token, "expires_in": self.lifetime}).encode())

    def _user(self, asked: Asked) -> tuple[str, bool]:
        header = asked.headers.get("Authorization") or ""
        if not header:
            return "", True
        name, _, password = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        return name, self.users.get(name) == password

    def _access(self, user: str, scope: str) -> dict[str, object]:
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        wanted = actions.split(",")
        if not (kind == "repository" and name in self.allowed.get(user, ())):
            wanted = [a for a in wanted if a == "pull" and name in self.public]
        return {"type": kind, "name": name, "actions": wanted}

    def _token(self, user: str, access: list[dict[str, object]]) -> str:
        lines = self.certificate.read_text().splitlines()
        header = {"typ": "JWT", "alg": "RS256", "x5c": ["".join(lines[1:-1])]}
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": user,
            "aud": SERVICE,
            "exp": now + self.lifetime,
            "nbf": now - 10,
            "iat": now,
            "jti": str(len(self.granted)),
            "access": access,
        }
        signed = ".".join(_base64(json.dumps(part).encode()) for part in (header, claims))
        signature = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", str(self._key)],
            input=signed.encode(),
            check=True,
            capture_output=True,
        ).stdout
        return f"{signed}.{_base64(signature)}"
