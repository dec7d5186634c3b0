from __future__ import annotations

import json

import pytest

from jupyter_containers.errors import RegistryError, UnauthorizedError
from jupyter_containers.registry.auth import (
    Authenticator,
    Challenge,
    merged_scopes,
    parse_challenges,
    parse_token,
)
from jupyter_containers.registry.credentials import Credential, FixedCredentials
from jupyter_containers.registry.endpoint import Endpoint, TrustPolicy
from jupyter_containers.registry.transport import Request
from tests.unit.registry.fakes import FakeResponse

PULL = ("repository:a/b:pull",)
PUSH = ("repository:a/b:pull,push",)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", ()),
        ('Basic realm="x"', (Challenge("basic", {"realm": "x"}),)),
        ("basic realm=x", (Challenge("basic", {"realm": "x"}),)),
        (
            'Bearer realm="https://a/t",service="s",scope="repository:a:pull,push"',
            (
                Challenge(
                    "bearer",
                    {"realm": "https://a/t", "service": "s", "scope": "repository:a:pull,push"},
                ),
            ),
        ),
        (
            'Bearer realm="a", error="x y" , Basic realm="b"',
            (
                Challenge("bearer", {"realm": "a", "error": "x y"}),
                Challenge("basic", {"realm": "b"}),
            ),
        ),
        ("Negotiate, Basic realm=r", (Challenge("negotiate"), Challenge("basic", {"realm": "r"}))),
        (
            r'Bearer realm="a\"b\\c"',
            (Challenge("bearer", {"realm": 'a"b\\c'}),),
        ),
        (
            'Bearer REALM = "a" , Service="b"',
            (Challenge("bearer", {"realm": "a", "service": "b"}),),
        ),
        ('realm="lost"', ()),
        ('Bearer realm="unterminated', (Challenge("bearer"), Challenge("realm"))),
    ],
)
def test_challenges(header: str, expected: tuple[Challenge, ...]) -> None:
    assert parse_challenges(header)[: len(expected) or None] == expected


def test_scopes_of_one_resource_become_one() -> None:
    scopes = ("repository:b:pull", "repository:a:pull", "repository:b:push,pull", "")
    assert merged_scopes(scopes) == ("repository:a:pull", "repository:b:pull,push")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"token": "t", "expires_in": 300}', ("t", 300.0)),
        (b'{"access_token": "t"}', ("t", 60.0)),
        (b'{"token": "", "access_token": "t", "expires_in": "90"}', ("t", 90.0)),
        (b'{"token": "t", "expires_in": -5}', ("t", 60.0)),
        (b'{"token": "a\\r\\nX: y"}', ("", 0.0)),
        (b'{"token": 5}', ("", 0.0)),
        (b"[]", ("", 0.0)),
        (b"<html>", ("", 0.0)),
        (b"\xff", ("", 0.0)),
        (b'{"token":' * 5000, ("", 0.0)),
    ],
)
def test_tokens(data: bytes, expected: tuple[str, float]) -> None:
    assert parse_token(data) == expected


class Server:
    """A token server that counts, and gives tokens of a certain lifetime."""

    def __init__(self, lifetime: float = 100, status: int = 200) -> None:
        self.asked: list[Request] = []
        self.lifetime = lifetime
        self.status = status
        self.now = 0.0

    def deliver(self, request: Request) -> FakeResponse:
        self.asked.append(request)
        document = {"token": f"t{len(self.asked)}", "expires_in": self.lifetime}
        return FakeResponse(self.status, {}, json.dumps(document).encode())

    def authenticator(
        self, *pair: str, registry: str = "reg.test", insecure: tuple[str, ...] = ()
    ) -> Authenticator:
        known = {registry: Credential(*pair)} if pair else {}
        return Authenticator(
            Endpoint.of_registry(registry),
            FixedCredentials(known),
            TrustPolicy(insecure),
            self.deliver,
            lambda: self.now,
        )


def challenged(realm: str = "https://auth.test/token", more: str = "") -> FakeResponse:
    return FakeResponse(401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="s"{more}'})


def test_nothing_is_sent_before_it_is_asked_for() -> None:
    assert Server().authenticator("ada", "pass").header(PULL) is None


def test_a_token_serves_what_it_covers_until_it_ends() -> None:
    server = Server()
    auth = server.authenticator()
    assert auth.answer(challenged(), PUSH, None) == "Bearer t1"
    assert auth.header(PUSH) == auth.header(PULL) == "Bearer t1"
    assert auth.header(("repository:c/d:pull",)) == "Bearer t2"
    server.now = 96
    assert auth.header(PULL) == "Bearer t3"


def test_a_rejected_token_is_not_used_again() -> None:
    auth = Server().authenticator()
    assert auth.answer(challenged(), PULL, None) == "Bearer t1"
    assert auth.answer(challenged(), PULL, "Bearer t1") == "Bearer t2"
    assert auth.header(PULL) == "Bearer t2"


def test_tokens_that_were_revoked_together_are_all_forgotten() -> None:
    """A push has one token to read and one to write.

    Seen to fail before: the second void one was tried, and the push failed.
    """
    auth = Server().authenticator()
    assert auth.answer(challenged(), PULL, None) == "Bearer t1"
    assert auth.header(PUSH) == "Bearer t2"
    assert auth.header(PULL) == "Bearer t1"
    assert auth.answer(challenged(), PULL, "Bearer t1") == "Bearer t3"
    # A request of another thread with the old token is repeated with the new one.
    assert auth.answer(challenged(), PULL, "Bearer t1") == "Bearer t3"
    assert auth.answer(challenged(), PUSH, "Bearer t2") == "Bearer t4"
    assert auth.header(PUSH) == "Bearer t4"


def test_the_challenge_may_ask_for_more() -> None:
    server = Server()
    auth = server.authenticator()
    auth.answer(challenged(more=',scope="repository:a/b:delete repository:x:pull"'), PULL, None)
    assert server.asked[0].url == (
        "https://auth.test/token?service=s&scope=repository:a/b:delete,pull&scope=repository:x:pull"
    )


def test_basic_is_offered_once() -> None:
    auth = Server().authenticator("ada", "pass")
    basic = FakeResponse(401, {"WWW-Authenticate": 'Basic realm="r"'})
    header = auth.answer(basic, PULL, None)
    assert header == "Basic YWRhOnBhc3M="
    assert auth.answer(basic, PULL, header) is None
    assert Server().authenticator().answer(basic, PULL, None) is None
    assert auth.answer(FakeResponse(401, {}), PULL, None) is None


@pytest.mark.parametrize(
    ("pair", "words"), [(("ada", "pw"), "user name"), ((), "requires a login")]
)
def test_a_refusing_token_server(pair: tuple[str, ...], words: str) -> None:
    with pytest.raises(UnauthorizedError, match=words) as caught:
        Server(status=401).authenticator(*pair).answer(challenged(), PULL, None)
    assert "login reg.test" in caught.value.hint
    assert "pw" not in caught.value.report()


@pytest.mark.parametrize(
    ("realm", "registry", "insecure", "allowed"),
    [
        ("https://auth.elsewhere/token", "reg.test", (), True),
        ("http://auth.test/token", "reg.test", (), False),
        ("http://reg.test/token", "reg.test", (), False),
        ("http://reg.test:81/token", "reg.test", ("reg.test",), True),
        ("http://auth.test/token", "reg.test", ("auth.test",), True),
        ("http://auth.test/token", "reg.test", ("reg.test",), False),
        ("http://127.0.0.1:9/token", "127.0.0.1:5000", (), True),
        ("file:///etc/passwd", "reg.test", (), False),
        ("//auth.test/token", "reg.test", (), False),
        ("http://[bad/token", "reg.test", (), False),
    ],
)
def test_token_servers_to_trust(
    realm: str, registry: str, insecure: tuple[str, ...], allowed: bool
) -> None:
    server = Server()
    auth = server.authenticator("ada", "pass", registry=registry, insecure=insecure)
    if allowed:
        assert auth.answer(challenged(realm), PULL, None) == "Bearer t1"
    else:
        with pytest.raises(RegistryError, match="not safe"):
            auth.answer(challenged(realm), PULL, None)
        assert server.asked == []


def test_a_broken_credential_helper_does_not_stop_anonymous_reading() -> None:
    class Broken:
        def get(self, registry: str) -> Credential | None:
            raise RegistryError("the credential helper is not installed")

    server = Server()
    auth = Authenticator(
        Endpoint.of_registry("reg.test"), Broken(), TrustPolicy(), server.deliver, lambda: 0.0
    )
    assert auth.answer(challenged(), PULL, None) == "Bearer t1"
    error = auth.rejection(challenged(), Request("GET", "https://reg.test/v2/"), "a thing")
    assert "helper is not installed" in error.hint
