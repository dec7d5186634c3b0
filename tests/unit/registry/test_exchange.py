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


@pytest.mark.parametrize(
    ("host", "answers", "scheme", "probes"),
    [
        ("reg.test", [], "https", 0),
        ("docker.io", [], "https", 0),
        ("listed.test", [FakeResponse(401)], "https", 1),
        ("listed.test", [failed("not-tls"), FakeResponse(200)], "http", 2),
        ("listed.test", [failed("refused"), FakeResponse(400)], "http", 2),
        ("listed.test", [failed("timeout"), FakeResponse(200)], "http", 2),
        ("localhost:5000", [FakeResponse(200)], "http", 1),
        ("localhost:5000", [FakeResponse(404)], "http", 1),
        ("localhost:5000", [FakeResponse(400), FakeResponse(200)], "https", 2),
        ("localhost:5000", [failed("broken"), FakeResponse(200)], "https", 2),
        ("localhost:5000", [FakeResponse(400), failed("not-tls")], "http", 2),
    ],
)
def test_the_scheme_is_found_out_once(
    host: str, answers: list[FakeResponse | ConnectionFailedError], scheme: str, probes: int
) -> None:
    made, sent = exchange(host, *answers)
    for _ in range(2):
        assert made.url("x").startswith(f"{scheme}://")
    assert len(sent) == probes


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
        made.url("x")
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
