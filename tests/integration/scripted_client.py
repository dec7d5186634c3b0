"""A client of scripted registries, and their content."""

from __future__ import annotations

import io
import json
from typing import Any

from jupyter_containers.oci.descriptor import (
    LAYER_TAR,
    MANIFEST,
    Descriptor,
    digest_of,
)
from jupyter_containers.registry import (
    RegistryClient,
    RetryPolicy,
)
from tests.integration.registry_server import Answer, Asked, Script, ScriptedRegistry

QUICK = RetryPolicy(attempts=3, pause=0.01, longest_wait=2)
DATA = bytes(range(256)) * 4096  # 1 MiB
BLOB = Descriptor(LAYER_TAR, digest_of(DATA), len(DATA))
DOCUMENT = json.dumps(
    {"schemaVersion": 2, "mediaType": MANIFEST, "config": {}, "layers": []}
).encode()


def client_of(server: ScriptedRegistry, **more: Any) -> RegistryClient:
    more.setdefault("retry", QUICK)
    return RegistryClient(server.host, **more)


def found(data: bytes = DOCUMENT, media_type: str = MANIFEST, **headers: str) -> Answer:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(200, {"Content-Type": media_type, **names}, data)


def read(client: RegistryClient, offset: int = 0, blob: Descriptor = BLOB) -> bytes:
    with client.blob("a/b", blob, offset) as reader:
        return b"".join(reader)


def ranged(asked: Asked) -> int:
    wish = asked.headers.get("Range")
    return int(wish.removeprefix("bytes=").partition("-")[0]) if wish else 0


def sequence(*answers: Answer) -> Script:
    left = list(answers)
    return lambda asked: Answer(200) if asked.path == "/v2/" else left.pop(0)


class TokenServer:
    """A registry with its own token server; each token is valid for ``uses`` requests."""

    def __init__(self, inner: Script, *, uses: int = 1000, key: str = "token") -> None:
        self.inner = inner
        self.uses = uses
        self.key = key
        self.left: dict[str, int] = {}
        self.realm = ""
        self.extra = ""

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/token":
            value = f"token-{len(self.left)}"
            self.left[value] = self.uses
            return Answer(200, {}, json.dumps({self.key: value, "expires_in": 300}).encode())
        value = (asked.headers.get("Authorization") or "").removeprefix("Bearer ")
        if self.left.get(value, 0) > 0:
            self.left[value] -= 1
            return self.inner(asked)
        challenge = f'Bearer realm="{self.realm}/token",service="reg.test"{self.extra}'
        return Answer(401, {"WWW-Authenticate": challenge}, b'{"errors": []}')

    def served(self) -> ScriptedRegistry:
        server = ScriptedRegistry(self)
        self.realm = server.url
        return server


class Uploads:
    """A registry that keeps one upload in memory; knobs make it difficult."""

    def __init__(self) -> None:
        self.received = b""
        self.committed = b""
        self.sessions = 0
        self.whole = 201
        self.limit = 10**9
        self.least = ""
        self.lose_after: int | None = None
        self.location = "/v2/a/b/blobs/uploads/{}?_state=abc%3D%3D"

    def __call__(self, asked: Asked) -> Answer:
        return getattr(self, asked.method.lower(), self.other)(asked)

    def other(self, asked: Asked) -> Answer:
        return Answer(404 if asked.method == "HEAD" else 200)

    def moved(self, status: int) -> Answer:
        headers = {"Location": self.location.format(f"s{self.sessions}")}
        if self.least:
            headers["OCI-Chunk-Min-Length"] = self.least
        if self.received:
            headers["Range"] = f"0-{len(self.received) - 1}"
        return Answer(status, headers)

    def post(self, asked: Asked) -> Answer:
        self.sessions += 1
        self.received = b""
        return self.moved(202)

    def get(self, asked: Asked) -> Answer:
        return self.moved(204)

    def patch(self, asked: Asked) -> Answer:
        if len(asked.body) > self.limit:
            return Answer(413)
        first, last = map(int, asked.headers["Content-Range"].split("-"))
        if first != len(self.received) or last - first + 1 != len(asked.body):
            return Answer(416, {"Range": f"0-{max(len(self.received) - 1, 0)}"})
        if self.lose_after is not None and len(self.received) >= self.lose_after:
            self.lose_after = None
            self.received += asked.body[:1000]
            return Answer(503)
        self.received += asked.body
        return self.moved(202)

    def put(self, asked: Asked) -> Answer:
        if asked.body and self.whole != 201:
            return Answer(self.whole)
        query = dict(asked.query)
        if query.get("_state") != "abc==" or query.get("digest") != BLOB.digest:
            return Answer(400, {}, b'{"errors": [{"code": "BLOB_UPLOAD_INVALID"}]}')
        self.committed = self.received + asked.body
        return Answer(201)


def push(client: RegistryClient, **more: Any) -> str:
    return client.push_blob("a/b", BLOB, lambda: io.BytesIO(DATA), **more)
