"""The client against registries that answer as scripted: token flows, odd and hostile ones."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from jupyter_containers.errors import (
    BlobNotFoundError,
    ContainersError,
    DeniedError,
    DigestMismatchError,
    ImageNotFoundError,
    OperationCancelledError,
    RegistryError,
    SizeMismatchError,
    TooManyRequestsError,
    UnauthorizedError,
    UnsupportedError,
    VerificationError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.oci.descriptor import (
    DOCKER_MANIFEST,
    LAYER_TAR,
    MANIFEST,
    Descriptor,
    RawDocument,
    digest_of,
)
from jupyter_containers.registry import (
    Credential,
    FixedCredentials,
    RegistryClient,
    RetryPolicy,
)
from jupyter_containers.registry.endpoint import Endpoint
from tests.integration.registry_server import Answer, Asked, Script, ScriptedRegistry, free_port

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


class TokenServer:
    """A registry with a token server of its own; tokens are good for ``uses`` requests each."""

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


# Authorization


@pytest.mark.parametrize("key", ["token", "access_token"])
def test_a_token_is_fetched_once_and_used_again(key: str) -> None:
    with TokenServer(lambda asked: found(), key=key).served() as server:
        with client_of(server) as client:
            for _ in range(3):
                client.manifest("a/b", "v1")
        (fetch,) = server.requests(containing="/token")
        assert fetch.query == [("service", "reg.test"), ("scope", "repository:a/b:pull")]
        assert fetch.headers["Authorization"] is None


def test_a_password_buys_the_token_and_goes_nowhere_else() -> None:
    with TokenServer(lambda asked: found()).served() as server:
        known = FixedCredentials({server.host: Credential("ada", "pass")})
        with client_of(server, credentials=known) as client:
            client.manifest("a/b", "v1")
        (fetch,) = server.requests(containing="/token")
        pair = base64.b64encode(b"ada:pass").decode()
        assert fetch.headers["Authorization"] == f"Basic {pair}"
        assert ("account", "ada") in fetch.query
        others = [a.headers["Authorization"] or "" for a in server.asked if a is not fetch]
        assert all(pair not in text for text in others)


def test_an_identity_token_is_posted() -> None:
    with TokenServer(lambda asked: found(), key="access_token").served() as server:
        known = FixedCredentials({server.host: Credential("", identity_token="ident")})
        with client_of(server, credentials=known) as client:
            client.manifest("a/b", "v1")
        (fetch,) = server.requests("POST", "/token")
        assert b"grant_type=refresh_token" in fetch.body
        assert b"refresh_token=ident" in fetch.body
        assert "ident" not in fetch.target


def test_a_token_that_ends_in_mid_transfer_is_renewed() -> None:
    def broken(asked: Asked) -> Answer:
        start = ranged(asked)
        end = min(start + 400_000, len(DATA))
        headers = {"Content-Length": str(len(DATA) - start)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"
        return Answer(206 if start else 200, headers, iter([DATA[start:end]]))

    with TokenServer(broken, uses=1).served() as server, client_of(server) as client:
        assert read(client) == DATA
        assert len(server.requests(containing="/token")) == 3


def test_mounting_asks_for_both_repositories_in_one_token() -> None:
    def inner(asked: Asked) -> Answer:
        return Answer(404) if asked.method == "HEAD" else Answer(201)

    with TokenServer(inner).served() as server, client_of(server) as client:
        result = client.push_blob("a/b", BLOB, lambda: io.BytesIO(DATA), mount_from=["c/d"])
        assert result == "mounted"
        last = server.requests(containing="/token")[-1]
        scopes = [value for key, value in last.query if key == "scope"]
        assert scopes == ["repository:a/b:pull,push", "repository:c/d:pull"]


def test_parallel_requests_share_one_token() -> None:
    with TokenServer(lambda asked: found()).served() as server, client_of(server) as client:
        threads = [threading.Thread(target=client.manifest, args=("a/b", "v1")) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.requests(containing="/token")) == 1


def test_a_token_that_is_not_enough_is_a_denial() -> None:
    server_script = TokenServer(lambda asked: found(), uses=0)
    server_script.extra = ',error="insufficient_scope"'
    with server_script.served() as server:
        known = FixedCredentials({server.host: Credential("ada", "pass")})
        with client_of(server, credentials=known) as client, pytest.raises(DeniedError):
            client.manifest("a/b", "v1")
        with client_of(server) as client, pytest.raises(UnauthorizedError) as caught:
            client.manifest("a/b", "v1")
        assert f"login {server.host}" in caught.value.hint
        # One token and one repetition each: no loop.
        assert len(server.requests(containing="/token")) <= 4


def test_a_password_is_not_sent_to_a_token_server_without_tls() -> None:
    def script(asked: Asked) -> Answer:
        return Answer(401, {"WWW-Authenticate": 'Bearer realm="http://auth.invalid/token"'})

    with ScriptedRegistry(script) as server:
        known = FixedCredentials({server.host: Credential("ada", "pass")})
        with (
            client_of(server, credentials=known) as client,
            pytest.raises(RegistryError, match="not safe"),
        ):
            client.ping()


def test_one_connection_serves_all_requests_one_after_the_other() -> None:
    with TokenServer(lambda asked: found()).served() as server, client_of(server) as client:
        client.resolve("a/b", "v1")
        client.manifest("a/b", "v1")
        client.ping()
        assert len(server.asked) > 4
        assert server.connections == 1


# Redirects


def test_authorization_stays_behind_when_another_host_takes_over() -> None:
    with (
        ScriptedRegistry(lambda asked: Answer(200, {}, DATA), name="localhost") as store,
        TokenServer(
            lambda asked: Answer(307, {"Location": f"{store.url}/signed?key=secret"})
        ).served() as server,
        client_of(server) as client,
    ):
        assert read(client) == DATA
        (asked,) = store.asked
        assert asked.headers["Authorization"] is None
        assert asked.query == [("key", "secret")]


def test_authorization_goes_along_within_the_registry() -> None:
    def inner(asked: Asked) -> Answer:
        if asked.path == "/elsewhere":
            return Answer(200, {}, DATA)
        return Answer(302, {"Location": "/elsewhere"})

    with TokenServer(inner).served() as server, client_of(server) as client:
        assert read(client) == DATA
        assert server.requests(containing="/elsewhere")[0].headers["Authorization"]


def test_another_host_gets_no_credentials_even_when_it_asks() -> None:
    ask = {"WWW-Authenticate": 'Basic realm="mine"'}
    with (
        ScriptedRegistry(lambda asked: Answer(401, ask), name="localhost") as thief,
        ScriptedRegistry(
            lambda asked: (
                Answer(307, {"Location": f"{thief.url}/"}) if "blobs" in asked.path else Answer(200)
            )
        ) as server,
    ):
        pair = Credential("ada", "pass")
        known = FixedCredentials({server.host: pair, thief.host: pair})
        with client_of(server, credentials=known) as client, pytest.raises(UnauthorizedError):
            read(client)
        assert [asked.headers["Authorization"] for asked in thief.asked] == [None]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("http://plain.invalid/x?token=secret", "plain http"),
        ("ftp://127.0.0.1/x", "nowhere"),
        ("http://[broken/x", "nowhere"),
        ("/v2/loop", "too many redirects"),
    ],
)
def test_redirects_that_are_not_followed(target: str, message: str) -> None:
    def script(asked: Asked) -> Answer:
        return Answer(200) if asked.path == "/v2/" else Answer(307, {"Location": target})

    with ScriptedRegistry(script) as server, client_of(server) as client:
        with pytest.raises(RegistryError, match=message) as caught:
            read(client)
        assert "secret" not in caught.value.report() + caught.value.request


# Downloads


def test_a_range_that_is_ignored_starts_from_the_beginning() -> None:
    with (
        ScriptedRegistry(lambda asked: Answer(200, {}, DATA)) as server,
        client_of(server) as client,
        client.blob("a/b", BLOB, 1000) as reader,
    ):
        assert reader.offset == 0
        assert b"".join(reader) == DATA


def test_a_broken_download_goes_on_even_when_ranges_are_ignored() -> None:
    def script(asked: Asked) -> Answer:
        whole = len(server.requests(containing="/blobs/")) > 2
        told = {"Content-Length": str(len(DATA))}
        return Answer(200, told, iter([DATA if whole else DATA[:500_000]]))

    with ScriptedRegistry(script) as server, client_of(server) as client:
        assert read(client) == DATA
        assert len(server.requests(containing="/blobs/")) == 3


def test_a_download_that_breaks_again_and_again_is_given_up() -> None:
    def script(asked: Asked) -> Answer:
        start = ranged(asked)
        headers = {"Content-Length": str(len(DATA) - start)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"
        return Answer(206 if start else 200, headers, iter([b"" if start else DATA[:1000]]))

    with ScriptedRegistry(script) as server, client_of(server) as client:
        got = []
        with pytest.raises(RegistryError, match="broke"), client.blob("a/b", BLOB) as reader:
            got.extend(reader)
        assert b"".join(got) == DATA[:1000]
        assert len(server.requests(containing="/blobs/")) == 4


def test_a_body_that_ends_early_without_a_break_is_a_lie() -> None:
    with (
        ScriptedRegistry(lambda asked: Answer(200, {}, DATA[:-5])) as server,
        client_of(server) as client,
        pytest.raises(SizeMismatchError, match="ended"),
    ):
        read(client)


def test_an_endless_body_is_cut() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(65536)

    with (
        ScriptedRegistry(lambda asked: Answer(200, {}, endless())) as server,
        client_of(server) as client,
    ):
        assert len(read(client)) == BLOB.size + 1


@pytest.mark.parametrize(
    ("content_range", "error"),
    [
        ("bytes 5-1048575/1048576", RegistryError),
        ("bytes 1000-1048575/99", SizeMismatchError),
        ("nonsense", RegistryError),
    ],
)
def test_a_wrong_part_is_refused(content_range: str, error: type[ContainersError]) -> None:
    answer = {"Content-Range": content_range}
    with (
        ScriptedRegistry(lambda asked: Answer(206, answer, DATA[1000:])) as server,
        client_of(server) as client,
        pytest.raises(error),
    ):
        read(client, 1000)


def test_a_range_that_cannot_be_satisfied_starts_over() -> None:
    def script(asked: Asked) -> Answer:
        return Answer(416) if "Range" in asked.headers else Answer(200, {}, DATA)

    with ScriptedRegistry(script) as server, client_of(server) as client:
        assert read(client, 1000) == DATA


def test_cancelling_ends_the_wait_for_a_silent_registry() -> None:
    release = threading.Event()

    def slow() -> Iterator[bytes]:
        yield DATA[:300_000]
        release.wait(20)

    cancel = CancelToken()
    with (
        ScriptedRegistry(
            lambda asked: Answer(200, {"Content-Length": "1048576"}, slow())
        ) as server,
        client_of(server, cancel=cancel) as client,
        client.blob("a/b", BLOB) as reader,
    ):
        pieces = iter(reader)
        next(pieces)
        timer = threading.Timer(0.2, cancel.cancel)
        timer.start()
        began = time.monotonic()
        with pytest.raises(OperationCancelledError):
            list(pieces)
        assert time.monotonic() - began < 2
        release.set()
        timer.join()


def test_cancelling_ends_the_wait_for_an_answer() -> None:
    release = threading.Event()

    def script(asked: Asked) -> Answer:
        if asked.path != "/v2/":
            release.wait(20)
        return Answer(200)

    cancel = CancelToken()
    with ScriptedRegistry(script) as server, client_of(server, cancel=cancel) as client:
        timer = threading.Timer(0.2, cancel.cancel)
        timer.start()
        began = time.monotonic()
        with pytest.raises(OperationCancelledError):
            client.resolve("a/b", "v1")
        assert time.monotonic() - began < 2
        release.set()
        timer.join()


# Manifests


def test_resolve_falls_back_to_get_where_head_says_too_little() -> None:
    def script(asked: Asked) -> Answer:
        return found() if asked.method == "GET" else Answer(200, {"Content-Type": MANIFEST})

    with ScriptedRegistry(script) as server, client_of(server) as client:
        assert client.resolve("a/b", "v1") == RawDocument(DOCUMENT, MANIFEST).descriptor
        accepted = server.requests("HEAD")[0].headers["Accept"]
        assert len(accepted.split(", ")) == 4


def test_a_mere_head_is_enough_where_it_says_all() -> None:
    headers = {"Docker-Content-Digest": digest_of(DOCUMENT), "Content-Length": str(len(DOCUMENT))}
    answer = Answer(200, {"Content-Type": MANIFEST, **headers})
    with ScriptedRegistry(lambda asked: answer) as server, client_of(server) as client:
        assert client.resolve("a/b", "v1") == RawDocument(DOCUMENT, MANIFEST).descriptor
        assert not server.requests("GET", "/manifests/")
        with pytest.raises(DigestMismatchError):
            client.resolve("a/b", digest_of(b"other"))


@pytest.mark.parametrize(
    ("reference", "answer", "error"),
    [
        (digest_of(b"other"), found(), DigestMismatchError),
        ("v1", found(Docker_Content_Digest=digest_of(b"other")), DigestMismatchError),
        ("v1", found(media_type=DOCKER_MANIFEST), VerificationError),
        ("v1", found(b"<html>"), VerificationError),
        ("v1", found(b"[]"), VerificationError),
        ("v1", found(b"[" * 100_000), VerificationError),
        ("v1", found(b'{"a": 1}', "text/html"), VerificationError),
        ("v1", found(b'{"schemaVersion": 1}', "application/json"), UnsupportedError),
        ("v1", found(Content_Length="999999999999"), VerificationError),
        ("v1", found(b" " * (4 * 1024 * 1024 + 1)), VerificationError),
        ("v1", Answer(404, {}, b"not json"), ImageNotFoundError),
    ],
)
def test_manifests_that_are_refused(
    reference: str, answer: Answer, error: type[ContainersError]
) -> None:
    with (
        ScriptedRegistry(lambda asked: answer) as server,
        client_of(server) as client,
        pytest.raises(error),
    ):
        client.manifest("a/b", reference)


def test_an_endless_manifest_is_cut() -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 64 * 1024 * 1024:
            sent += 65536
            yield bytes(65536)

    with (
        ScriptedRegistry(lambda asked: Answer(200, {}, endless())) as server,
        client_of(server) as client,
        pytest.raises(VerificationError, match="4 MiB"),
    ):
        client.manifest("a/b", "v1")
    assert sent < 32 * 1024 * 1024


@pytest.mark.parametrize("told", ["application/json", "", "text/plain; charset=utf-8", MANIFEST])
def test_the_media_type_is_found_in_the_document(told: str) -> None:
    with (
        ScriptedRegistry(lambda asked: found(media_type=told)) as server,
        client_of(server) as client,
    ):
        assert client.manifest("a/b", "v1") == RawDocument(DOCUMENT, MANIFEST)


def test_an_expected_manifest_must_have_the_expected_size() -> None:
    with (
        ScriptedRegistry(lambda asked: found()) as server,
        client_of(server) as client,
        pytest.raises(SizeMismatchError),
    ):
        client.manifest("a/b", "v1", Descriptor(MANIFEST, digest_of(DOCUMENT), 3))


def test_tags_follow_links_within_the_registry_only() -> None:
    def script(asked: Asked) -> Answer:
        last = dict(asked.query).get("last")
        if last is None:
            link = '</v2/a/b/tags/list?last=b&n=2>; rel="next"'
            return Answer(200, {"Link": link}, b'{"tags": ["a", "b"]}')
        link = '<https://elsewhere.invalid/>; rel="next"'
        return Answer(200, {"Link": link} if last == "c" else {}, b'{"tags": ["c"]}')

    with ScriptedRegistry(script) as server, client_of(server) as client:
        assert client.tags("a/b") == ["a", "b", "c"]
        with pytest.raises(RegistryError, match="continues a list"):
            list(client._pages(client._main, "a/b", "a/b/tags/list?last=c"))


# Uploads


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
        return getattr(self, asked.method.lower(), self.other)(asked)  # type: ignore[no-any-return]

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


def test_a_relative_location_and_its_query_are_kept() -> None:
    uploads = Uploads()
    with ScriptedRegistry(uploads) as server, client_of(server) as client:
        assert push(client) == "uploaded"
        assert uploads.committed == DATA
        (put,) = server.requests("PUT")
        assert put.headers["Content-Length"] == str(len(DATA))
        assert put.headers["Transfer-Encoding"] is None
        assert "_state=abc%3D%3D" in put.target


def test_a_session_offered_instead_of_a_mount_is_used() -> None:
    uploads = Uploads()
    with ScriptedRegistry(uploads) as server, client_of(server) as client:
        assert push(client, mount_from=["c/d"]) == "uploaded"
        assert uploads.committed == DATA
        (post,) = server.requests("POST")
        assert post.query == [("mount", BLOB.digest), ("from", "c/d")]


@pytest.mark.parametrize("status", [413, 405, 501])
def test_a_refusal_of_the_whole_leads_to_chunks(status: int) -> None:
    uploads = Uploads()
    uploads.whole, uploads.limit, uploads.least = status, 400_000, "100000"
    with ScriptedRegistry(uploads) as server, client_of(server) as client:
        assert push(client) == "uploaded"
        assert uploads.committed == DATA
        taken = [len(p.body) for p in server.requests("PATCH") if len(p.body) <= 400_000]
        assert all(size >= 100_000 for size in taken[:-1])


def test_a_server_that_hangs_up_on_large_bodies_gets_small_ones() -> None:
    uploads = Uploads()
    with ScriptedRegistry(uploads) as server, client_of(server) as client:
        server.longest_body = 200_000
        assert push(client) == "uploaded"
        assert uploads.committed == DATA


def test_a_lost_chunk_is_taken_up_where_the_registry_is() -> None:
    uploads = Uploads()
    uploads.whole, uploads.limit, uploads.lose_after = 413, 300_000, 200_000
    with ScriptedRegistry(uploads) as server, client_of(server) as client:
        assert push(client) == "uploaded"
        assert uploads.committed == DATA
        assert server.requests("GET", "/uploads/")


def test_an_expired_token_in_an_upload_is_renewed_and_the_body_sent_again() -> None:
    uploads = Uploads()
    with TokenServer(uploads, uses=1).served() as server, client_of(server) as client:
        assert push(client) == "uploaded"
        assert uploads.committed == DATA


def test_the_body_of_an_upload_elsewhere_goes_without_authorization() -> None:
    uploads = Uploads()
    with ScriptedRegistry(uploads, name="localhost") as store:
        uploads.location = store.url + "/v2/a/b/blobs/uploads/{}?_state=abc%3D%3D"
        with TokenServer(uploads).served() as server, client_of(server) as client:
            assert push(client) == "uploaded"
        assert uploads.committed == DATA
        assert [asked.headers["Authorization"] for asked in store.asked] == [None]


@pytest.mark.parametrize("location", ["", "http://plain.invalid/x", "ftp://x/", "http://[x"])
def test_a_session_without_a_usable_address_is_an_error(location: str) -> None:
    uploads = Uploads()
    uploads.location = location
    with (
        ScriptedRegistry(uploads) as server,
        client_of(server) as client,
        pytest.raises(RegistryError, match="Location"),
    ):
        push(client)


def test_an_upload_can_be_cancelled_and_leaves_no_open_file() -> None:
    cancel = CancelToken()
    opened: list[io.BytesIO] = []

    def open_blob() -> io.BytesIO:
        opened.append(io.BytesIO(DATA * 8))
        return opened[-1]

    blob = Descriptor(LAYER_TAR, digest_of(DATA * 8), len(DATA) * 8)
    with (
        ScriptedRegistry(Uploads()) as server,
        client_of(server, cancel=cancel) as client,
        pytest.raises(OperationCancelledError),
    ):
        client.push_blob("a/b", blob, open_blob, progress=lambda sent: cancel.cancel())
    assert [stream.closed for stream in opened] == [True]


def test_a_manifest_that_is_stored_differently_is_noticed() -> None:
    answer = Answer(201, {"Docker-Content-Digest": digest_of(b"other")})
    with (
        ScriptedRegistry(lambda asked: answer) as server,
        client_of(server) as client,
        pytest.raises(DigestMismatchError),
    ):
        client.push_manifest("a/b", "v1", RawDocument(DOCUMENT, MANIFEST))


# Patience and refusals


def sequence(*answers: Answer) -> Script:
    left = list(answers)
    return lambda asked: Answer(200) if asked.path == "/v2/" else left.pop(0)


def test_a_rate_limit_is_waited_out() -> None:
    waits: list[float] = []
    script = sequence(Answer(429, {"Retry-After": "1"}), found())
    with (
        ScriptedRegistry(script) as server,
        client_of(server, on_wait=lambda host, seconds: waits.append(seconds)) as client,
    ):
        began = time.monotonic()
        assert client.manifest("a/b", "v1").data == DOCUMENT
        assert time.monotonic() - began >= 1
        assert waits == [1.0]


def test_a_long_rate_limit_is_an_error_that_tells_what_is_left() -> None:
    headers = {
        "Retry-After": "7200",
        "RateLimit-Limit": "100;w=21600",
        "RateLimit-Remaining": "0;w=21600",
    }
    body = b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down"}]}'
    with (
        ScriptedRegistry(sequence(Answer(429, headers, body))) as server,
        client_of(server) as client,
        pytest.raises(TooManyRequestsError) as caught,
    ):
        client.manifest("a/b", "v1")
    assert caught.value.codes == ("TOOMANYREQUESTS",)
    assert "0 of 100 requests in 6 hours" in caught.value.hint
    assert "2 hours" in caught.value.hint


def test_a_wait_can_be_cancelled() -> None:
    cancel = CancelToken()
    script = sequence(*[Answer(429, {"Retry-After": "2"})] * 9)
    with (
        ScriptedRegistry(script) as server,
        client_of(server, cancel=cancel, on_wait=lambda host, seconds: cancel.cancel()) as client,
    ):
        began = time.monotonic()
        with pytest.raises(OperationCancelledError):
            client.manifest("a/b", "v1")
        assert time.monotonic() - began < 1.5


def test_transient_failures_are_tried_again_but_not_for_ever() -> None:
    script = sequence(Answer(503), Answer(502), found(), *[Answer(500, {}, b"oops")] * 3)
    with ScriptedRegistry(script) as server, client_of(server) as client:
        assert client.manifest("a/b", "v1").data == DOCUMENT
        with pytest.raises(RegistryError, match="HTTP 500") as caught:
            client.manifest("a/b", "v1")
        assert caught.value.status == 500
        assert caught.value.request == f"GET {server.url}/v2/a/b/manifests/v1"


@pytest.mark.parametrize(
    ("status", "body", "error", "codes"),
    [
        (
            403,
            b'{"errors":[{"code":"DENIED","message":"no\\u001b[31m"}]}',
            DeniedError,
            ("DENIED",),
        ),
        (403, b"<html>blocked</html>", DeniedError, ()),
        (400, b'{"errors": "none"}', RegistryError, ()),
        (400, b'{"errors": [1, {"code": 5}, {}]}', RegistryError, ("5",)),
        (400, b"[" * 50_000, RegistryError, ()),
        (418, b"\xff\xfe", RegistryError, ()),
        (404, b"{", BlobNotFoundError, None),
    ],
)
def test_refusals_of_any_form_are_one_line(
    status: int, body: bytes, error: type[ContainersError], codes: tuple[str, ...] | None
) -> None:
    script = sequence(Answer(status, {}, body))
    with ScriptedRegistry(script) as server, client_of(server) as client:
        with pytest.raises(error) as caught:
            read(client)
        assert "\n" not in caught.value.message
        assert "\x1b" not in caught.value.message
        if codes is not None:
            assert isinstance(caught.value, RegistryError)
            assert caught.value.codes == codes
            assert caught.value.status == status


# Mirrors


def test_a_mirror_is_asked_first_and_the_registry_for_the_rest() -> None:
    mirrored = sequence(found(), Answer(404), Answer(500))
    with (
        ScriptedRegistry(mirrored) as mirror,
        ScriptedRegistry(lambda asked: found()) as server,
        client_of(
            server, mirrors=[f"{mirror.url}/cache", f"http://127.0.0.1:{free_port()}"]
        ) as client,
    ):
        client.manifest("a/b", "v1")
        assert not server.requests(containing="/manifests/")
        assert mirror.asked[-1].path == "/cache/v2/a/b/manifests/v1"
        client.manifest("a/b", "v1")
        client.manifest("a/b", "v1")
        assert len(server.requests(containing="/manifests/")) == 2


def test_a_mirror_is_never_written_to() -> None:
    uploads = Uploads()
    with (
        ScriptedRegistry(lambda asked: found()) as mirror,
        ScriptedRegistry(uploads) as server,
        client_of(server, mirrors=[mirror.url]) as client,
    ):
        assert push(client) == "uploaded"
        assert mirror.asked == []


def test_a_repository_of_another_name_is_authorized_by_that_name() -> None:
    tokens = TokenServer(lambda asked: found())
    place = Endpoint("127.0.0.1", "", "http", "", "old", "new/place")
    with tokens.served() as server:
        place = replace(place, host=server.host, registry=server.host)
        with RegistryClient("shop.test", endpoint=place) as client:
            client.manifest("old/app", "v1")
        assert server.asked[-1].path == "/v2/new/place/app/manifests/v1"
        [asked] = server.requests(containing="/token")
        assert ("scope", "repository:new/place/app:pull") in asked.query


def test_a_mirror_for_digests_is_not_asked_for_tags() -> None:
    with (
        ScriptedRegistry(lambda asked: found()) as mirror,
        ScriptedRegistry(lambda asked: found()) as server,
    ):
        place = Endpoint(mirror.host, mirror.host, "http", pulls="digest-only")
        with RegistryClient(server.host, mirrors=[place]) as client:
            document = client.manifest("a/b", "v1")
            assert mirror.asked == []
            client.manifest("a/b", document.digest)
            assert len(mirror.asked) == 1
