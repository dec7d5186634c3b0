"""The client against scripted registries: rate limits, failures that pass, refusals of any form."""

from __future__ import annotations

import time

import pytest

from jupyter_containers.errors import (
    BlobNotFoundError,
    ContainersError,
    DeniedError,
    OperationCancelledError,
    RegistryError,
    TooManyRequestsError,
)
from jupyter_containers.events import CancelToken
from tests.integration.registry_server import Answer, ScriptedRegistry
from tests.integration.scripted_client import (
    DOCUMENT,
    client_of,
    found,
    read,
    sequence,
)


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
