"""The client against scripted registries: tokens, redirects, mirrors, and recipients of secrets."""

from __future__ import annotations

import base64
import io
import threading
from dataclasses import replace

import pytest

from jupyter_containers.errors import (
    DeniedError,
    RegistryError,
    UnauthorizedError,
)
from jupyter_containers.registry import (
    Credential,
    FixedCredentials,
    RegistryClient,
)
from jupyter_containers.registry.endpoint import Endpoint
from tests.integration.registry_server import Answer, Asked, ScriptedRegistry
from tests.integration.scripted_client import (
    BLOB,
    DATA,
    TokenServer,
    Uploads,
    client_of,
    found,
    push,
    ranged,
    read,
    sequence,
)
from tests.ports import free_port


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
