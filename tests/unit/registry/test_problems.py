from __future__ import annotations

import pytest

from jupyter_containers.errors import DeniedError, RegistryError, UnauthorizedError
from jupyter_containers.registry.problems import (
    Complaint,
    cleaned,
    parse_complaint,
    rate_limit_hint,
    refusal,
)
from jupyter_containers.registry.transport import Request
from tests.unit.registry.fakes import FakeResponse, broken


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", Complaint()),
        (b"<html>", Complaint()),
        (b"[1]", Complaint()),
        (b'{"errors": []}', Complaint()),
        (b'{"errors": [{"code": "A"}]}', Complaint(("A",))),
        (
            b'{"errors": [{"code": "A", "message": "m"}, {"code": "B", "message": "m"}]}',
            Complaint(("A", "B"), "m"),
        ),
        (b'{"details": "bad password"}', Complaint((), "bad password")),
        (b'{"errors": [{"code": null, "message": 5}, "x"]}', Complaint()),
    ],
)
def test_complaints(data: bytes, expected: Complaint) -> None:
    assert parse_complaint(data) == expected


def test_foreign_text_is_one_short_line() -> None:
    assert cleaned("a\x1b[31m\nb\u202ec") == "a b\ufffdc"
    assert len(cleaned("x" * 10_000)) == 300


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, UnauthorizedError), (403, DeniedError), (400, RegistryError), (500, RegistryError)],
)
def test_refusals(status: int, kind: type[RegistryError]) -> None:
    response = FakeResponse(status, {}, b'{"errors": [{"code": "C", "message": "why"}]}')
    request = Request("GET", "https://reg.test/v2/x?token=secret")
    error = refusal(response, request, "reg.test", "manifest x:1")
    assert type(error) is kind
    assert (error.status, error.codes) == (status, ("C",))
    assert error.request == "GET https://reg.test/v2/x"
    assert "manifest x:1" in error.message
    assert "why" in error.message
    assert response.closed


def test_a_refusal_whose_reason_does_not_arrive_is_still_one() -> None:
    response = FakeResponse(500, {}, b"{", broken())
    error = refusal(response, Request("GET", "https://reg.test/"), "reg.test", "x")
    assert error.status == 500


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"RateLimit-Limit": "100;w=21600"}, "0 of 100 requests in 6 hours"),
        ({"RateLimit-Limit": "10", "RateLimit-Remaining": "3"}, "3 of 10 requests are left"),
        ({"Retry-After": "90"}, "try again in 2 minutes"),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, "try again at Wed, 21 Oct"),
        ({"RateLimit-Limit": "x" * 9999}, "a login to reg.test"),
    ],
)
def test_rate_limits_in_words(headers: dict[str, str], words: str) -> None:
    assert words in rate_limit_hint(FakeResponse(429, headers).headers, "reg.test")
