from __future__ import annotations

import pytest

from jupyter_containers.errors import RegistryError
from jupyter_containers.events import CancelToken
from jupyter_containers.registry.credentials import FixedCredentials
from jupyter_containers.registry.delivery import Delivery, RetryPolicy
from jupyter_containers.registry.endpoint import Endpoint, TrustPolicy
from jupyter_containers.registry.exchange import Exchange
from jupyter_containers.registry.transport import ConnectionFailedError, FailureKind, Request
from tests.unit.registry.fakes import FakeResponse, FakeTransport

LISTED = TrustPolicy(("listed.test",))


def exchange(
    host: str, *answers: FakeResponse | ConnectionFailedError
) -> tuple[Exchange, list[Request]]:
    transport = FakeTransport(*answers)
    delivery = Delivery(transport, LISTED, retry=RetryPolicy(attempts=1), cancel=CancelToken())
    made = Exchange(Endpoint.of_registry(host), delivery, LISTED, FixedCredentials())
    return made, transport.sent


def failed(kind: FailureKind) -> ConnectionFailedError:
    return ConnectionFailedError(f"failed: {kind}", kind=kind, request="GET x")


def ask(made: Exchange, method: str = "GET") -> int:
    response = made.send(
        Request(method, made.url("x")), scopes=(), ok=(200, 201, 400, 404), subject="x"
    )
    return response.status


@pytest.mark.parametrize(
    ("host", "answers", "schemes"),
    [
        ("reg.test", [FakeResponse(200)], ["https"]),
        ("docker.io", [FakeResponse(200)], ["https"]),
        ("listed.test", [FakeResponse(404)], ["https"]),
        ("listed.test", [failed("not-tls"), FakeResponse(200)], ["https", "http"]),
        ("listed.test", [failed("timeout"), FakeResponse(200)], ["https", "http"]),
        ("localhost:5000", [FakeResponse(200)], ["http"]),
        ("localhost:5000", [FakeResponse(400), FakeResponse(200)], ["http", "https"]),
        ("localhost:5000", [failed("broken"), FakeResponse(200)], ["http", "https"]),
        # It was the plain server itself that found the request bad.
        ("localhost:5000", [FakeResponse(400), failed("not-tls")], ["http", "https"]),
        # The first answer took long; a server without TLS still counts as plain.
        (
            "localhost:5000",
            [failed("timeout"), failed("not-tls"), FakeResponse(200)],
            ["http", "https", "http"],
        ),
        # A redirect is followed from the first answer on.
        (
            "listed.test",
            [FakeResponse(307, {"Location": "https://listed.test/v2/y"}), FakeResponse(200)],
            ["https", "https"],
        ),
    ],
)
def test_the_first_request_finds_the_scheme_out(
    host: str, answers: list[FakeResponse | ConnectionFailedError], schemes: list[str]
) -> None:
    made, sent = exchange(host, *answers, FakeResponse(200))
    ask(made)
    assert [request.url.partition(":")[0] for request in sent] == schemes
    ask(made)
    last = "http" if answers[-1].__class__ is ConnectionFailedError else schemes[-1]
    assert sent[-1].url.startswith(f"{last}://")
    assert len(sent) == len(schemes) + 1


def test_what_writes_is_preceded_by_a_question() -> None:
    made, sent = exchange("localhost:5000", FakeResponse(401), FakeResponse(201))
    early = made.url("x")
    ask(made, "POST")
    assert [(request.method, request.url) for request in sent] == [
        ("GET", "http://localhost:5000/v2/"),
        ("POST", early),
    ]


def test_an_address_made_before_the_scheme_was_known_is_brought_to_it() -> None:
    made, sent = exchange("listed.test", failed("not-tls"), FakeResponse(200), FakeResponse(200))
    early = made.url("x")
    ask(made)
    made.send(Request("GET", early), scopes=(), ok=(200,), subject="x")
    assert sent[-1].url == "http://listed.test/v2/x"


@pytest.mark.parametrize(
    ("host", "answers", "kind"),
    [
        ("localhost:5000", [failed("refused"), failed("refused")], "refused"),
        ("localhost:5000", [failed("broken"), failed("tls")], "tls"),
        ("localhost:5000", [FakeResponse(400), failed("tls")], "tls"),
        ("listed.test", [failed("not-tls"), failed("timeout")], "timeout"),
        ("listed.test", [failed("tls")], "tls"),
    ],
)
def test_the_failure_that_says_most_is_raised(
    host: str, answers: list[FakeResponse | ConnectionFailedError], kind: FailureKind
) -> None:
    made, _ = exchange(host, *answers)
    with pytest.raises(ConnectionFailedError) as caught:
        ask(made)
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/v2/a/u?x=%3D", "https://reg.test/v2/a/u?x=%3D"),
        ("u2?y", "https://reg.test/v2/a/u2?y"),
        ("https://other.test/u", "https://other.test/u"),
        ("http://listed.test/u", "http://listed.test/u"),
        # A proxy ended TLS, and the registry behind it does not know.
        ("http://reg.test/v2/a/u?x=1", "https://reg.test/v2/a/u?x=1"),
        ("http://reg.test:80/v2/a/u", "https://reg.test/v2/a/u"),
    ],
)
def test_locations(location: str, expected: str) -> None:
    made, _ = exchange("reg.test")
    made.url("")
    response = FakeResponse(202, {"Location": location}, url="https://reg.test/v2/a/u1")
    assert made.located(response) == expected


@pytest.mark.parametrize("location", ["", "http://other.test/u", "file:///x", "https://[x"])
def test_unusable_locations(location: str) -> None:
    made, _ = exchange("reg.test")
    made.url("")
    with pytest.raises(RegistryError, match="Location"):
        made.located(FakeResponse(202, {"Location": location}))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://reg.test/x", True),
        ("https://REG.test:443/x", True),
        ("http://reg.test/x", False),
        ("https://reg.test:444/x", False),
        ("https://reg.test.evil/x", False),
        ("https://reg.test@evil/x", False),
        ("https://[x", False),
    ],
)
def test_whose_address_it_is(url: str, expected: bool) -> None:
    made, _ = exchange("reg.test")
    made.url("")
    assert made.is_own(url) is expected
