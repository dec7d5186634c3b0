from __future__ import annotations

import pytest

from jupyter_containers.errors import OperationCancelledError, RegistryError
from jupyter_containers.events import CancelToken
from jupyter_containers.registry.delivery import Delivery, RetryPolicy, retry_after
from jupyter_containers.registry.endpoint import TrustPolicy
from jupyter_containers.registry.transport import ConnectionFailedError, FailureKind, Request
from tests.unit.registry.fakes import FakeResponse, FakeTransport, broken

URL = "https://reg.test/v2/x"


def delivery(transport: FakeTransport, cancel: CancelToken | None = None) -> Delivery:
    return Delivery(
        transport,
        TrustPolicy(("plain.test",)),
        retry=RetryPolicy(attempts=3, pause=0.0, longest_wait=5),
        cancel=cancel or CancelToken(),
    )


def failed(kind: FailureKind) -> ConnectionFailedError:
    return ConnectionFailedError("failed", kind=kind, request="GET x")


@pytest.mark.parametrize(
    ("method", "answers", "sent"),
    [
        ("GET", [FakeResponse(503), FakeResponse(200)], 2),
        ("GET", [broken(), FakeResponse(200)], 2),
        ("GET", [FakeResponse(500)] * 3, 3),
        ("GET", [FakeResponse(501)], 1),
        ("GET", [FakeResponse(404)], 1),
        ("POST", [FakeResponse(503)], 1),
        ("POST", [FakeResponse(429, {"Retry-After": "0"}), FakeResponse(202)], 2),
        ("GET", [FakeResponse(429, {"Retry-After": "6"})], 1),
        ("GET", [FakeResponse(503, {"Retry-After": "600"})], 1),
    ],
)
def test_what_is_sent_again(method: str, answers: list[FakeResponse], sent: int) -> None:
    transport = FakeTransport(*answers)
    response = delivery(transport).deliver(Request(method, URL))
    assert len(transport.sent) == sent
    assert response is answers[-1]
    assert all(answer.closed for answer in answers[:-1] if isinstance(answer, FakeResponse)) or (
        len({id(answer) for answer in answers}) == 1
    )


@pytest.mark.parametrize(
    ("method", "kind", "sent"),
    [
        ("GET", "broken", 3),
        ("GET", "timeout", 3),
        ("GET", "refused", 1),
        ("GET", "tls", 1),
        ("GET", "name", 1),
        ("PUT", "broken", 1),
    ],
)
def test_which_failures_are_final(method: str, kind: FailureKind, sent: int) -> None:
    transport = FakeTransport(*[failed(kind)] * 3)
    with pytest.raises(ConnectionFailedError):
        delivery(transport).deliver(Request(method, URL))
    assert len(transport.sent) == sent


@pytest.mark.parametrize(
    ("location", "url", "keeps"),
    [
        ("/other?q=1", "https://reg.test/other?q=1", True),
        ("https://reg.test:443/other", "https://reg.test:443/other", True),
        ("https://reg.test:444/other", "https://reg.test:444/other", False),
        ("https://cdn.test/other", "https://cdn.test/other", False),
        ("http://plain.test/other", "http://plain.test/other", False),
        ("//cdn.test/x", "https://cdn.test/x", False),
    ],
)
def test_authorization_on_redirects(location: str, url: str, keeps: bool) -> None:
    transport = FakeTransport(FakeResponse(307, {"Location": location}), FakeResponse(200))
    headers = {"authorization": "Bearer t", "Range": "bytes=1-"}
    delivery(transport).deliver(Request("GET", URL, headers))
    last = transport.sent[-1]
    assert last.url == url
    assert ("authorization" in last.headers) is keeps
    assert last.headers["Range"] == "bytes=1-"


@pytest.mark.parametrize(
    ("method", "status", "follows"),
    [
        ("GET", 302, True),
        ("HEAD", 307, True),
        ("PUT", 307, True),
        ("POST", 308, True),
        ("POST", 302, False),
        ("PATCH", 301, False),
    ],
)
def test_which_redirects_are_followed(method: str, status: int, follows: bool) -> None:
    answers = [FakeResponse(status, {"Location": "/y"}), FakeResponse(200)]
    transport = FakeTransport(*answers)
    response = delivery(transport).deliver(Request(method, URL))
    assert (response.status == 200) is follows
    assert all(sent.method == method for sent in transport.sent)


@pytest.mark.parametrize("location", ["http://other.test/x", "file:///etc/passwd", "https://[x"])
def test_redirects_into_the_wild(location: str) -> None:
    transport = FakeTransport(FakeResponse(307, {"Location": location}))
    with pytest.raises(RegistryError):
        delivery(transport).deliver(Request("GET", URL))
    assert len(transport.sent) == 1


def test_nothing_is_sent_once_cancelled() -> None:
    cancel = CancelToken()
    cancel.cancel()
    transport = FakeTransport(FakeResponse(200))
    with pytest.raises(OperationCancelledError):
        delivery(transport, cancel).deliver(Request("GET", URL))
    assert transport.sent == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
        ("-1", None),
        ("soon", None),
        ("", None),
        ("٣", None),
        ("9" * 5000, float("9" * 12)),
    ],
)
def test_retry_after(text: str, expected: float | None) -> None:
    assert retry_after(text, 10.0) == expected
