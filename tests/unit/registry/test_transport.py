from __future__ import annotations

import errno
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import urllib3

from jupyter_containers.errors import RegistryError
from jupyter_containers.events import CancelToken
from jupyter_containers.registry.endpoint import TrustPolicy
from jupyter_containers.registry.transport import (
    Request,
    RequestsTransport,
    ca_bundle,
    certificates,
    failure_of,
)
from jupyter_containers.registry.upload import FileBody

REQUEST = Request("GET", "https://user:secret@reg.test/v2/?token=secret")


def certificate_error() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


def tls_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("cause", "kind", "words"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "refused", "connection refused"),
        (socket.gaierror(-2, "x"), "name", "does not resolve"),
        (TimeoutError("timed out"), "timeout", "in time"),
        (certificate_error(), "tls", "not trusted: self-signed"),
        (tls_error("WRONG_VERSION_NUMBER"), "not-tls", "does not speak TLS"),
        (tls_error("HANDSHAKE_FAILURE"), "tls", "handshake_failure"),
        (ssl.SSLEOFError(8, "x"), "broken", "broke"),
        (ConnectionResetError(errno.ECONNRESET, "x"), "broken", "broke"),
        (ValueError("odd"), "broken", "broke"),
    ],
)
def test_failures_have_a_kind_and_one_line(cause: Exception, kind: str, words: str) -> None:
    wrapped = requests.ConnectionError(urllib3.exceptions.ProtocolError("aborted", cause))
    for error in (cause, wrapped):
        made = failure_of(error, REQUEST, "reg.test")
        assert made.kind == kind
        assert words in made.message
        assert "\n" not in made.message
        assert "secret" not in made.report() + made.request


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "refused"),
        (OSError("Tunnel connection failed: 403 Forbidden"), "refused"),
        (OSError("Tunnel connection failed: 503 Service Unavailable"), "unreachable"),
    ],
)
def test_a_proxy_that_fails_is_named_as_such(cause: Exception, kind: str) -> None:
    """Permanent failures are not retried."""
    error = requests.exceptions.ProxyError(urllib3.exceptions.ProxyError("no", cause))
    made = failure_of(error, REQUEST, "reg.test")
    assert made.kind == kind
    assert "proxy" in made.message
    assert "HTTPS_PROXY" in made.hint


def test_the_bundle_named_by_the_environment_wins() -> None:
    assert ca_bundle({"SSL_CERT_FILE": "/b", "REQUESTS_CA_BUNDLE": "/a"}) == "/a"
    assert ca_bundle({"SSL_CERT_FILE": "/b"}) == "/b"
    found = ca_bundle({})
    assert found is True or Path(str(found)).exists()


def test_certificates_kept_for_a_host(tmp_path: Path) -> None:
    place = tmp_path / "reg.test:5000"
    place.mkdir()
    for name in ("ca.crt", "b.crt", "client.cert", "client.key", "note.txt"):
        (place / name).touch()
    authorities, pair = certificates([tmp_path / "none", tmp_path], "reg.test:5000")
    assert [path.name for path in authorities] == ["b.crt", "ca.crt"]
    assert pair == (str(place / "client.cert"), str(place / "client.key"))
    assert certificates([tmp_path], "reg.test") == ((), None)
    (place / "lone.cert").touch()
    with pytest.raises(RegistryError, match=r"lone\.key"):
        certificates([tmp_path], "reg.test:5000")


def test_an_authority_that_is_none_is_a_typed_error(tmp_path: Path) -> None:
    place = tmp_path / "127.0.0.1:1"
    place.mkdir()
    (place / "ca.crt").write_text("not PEM")
    transport = RequestsTransport(policy=TrustPolicy(), certificate_folders=[tmp_path], environ={})
    with pytest.raises(RegistryError, match="certificate authority"):
        transport.send(Request("GET", "https://127.0.0.1:1/"))
    transport.close()


def test_a_body_can_be_sent_again_and_tells_its_progress(tmp_path: Path) -> None:
    file = tmp_path / "blob"
    file.write_bytes(bytes(range(256)) * 10_000)
    seen: list[int] = []
    body = FileBody(
        lambda: file.open("rb"), 100, 2_000_000, progress=seen.append, cancel=CancelToken()
    )
    assert len(body) == 2_000_000
    expected = file.read_bytes()[100:2_000_100]
    for _ in range(2):
        assert b"".join(bytes(piece) for piece in body) == expected
    assert seen == [1_048_676, 2_000_100] * 2


def test_importing_the_client_loads_neither_requests_nor_urllib3() -> None:
    code = (
        "import sys, jupyter_containers.registry as r; "
        "lean = 'msgspec' not in sys.modules; "
        "r.RegistryClient, r.CredentialStore, r.mirrors_for; "
        "r.RegistryClient('reg.test').close(); "
        "sys.exit(f'{lean=}' if not lean else "
        "','.join({'requests', 'urllib3', 'ssl'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
