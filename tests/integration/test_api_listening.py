"""Where a service listens: TCP for clients with a certificate, sockets of systemd."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.engine.system.serving import TLSFiles, start_service
from jupyter_containers.errors import ContainersError, InvalidArgumentError
from tests.integration.api_client import Client, needs_docker
from tests.integration.engine_fixtures import Place

ACTIVATE = shutil.which("systemd-socket-activate")
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


class _Certificates:
    """A CA and its certificates, in the files that Docker's client looks for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", "ca-key.pem", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test CA"),
        )
        self.sign("server", "subjectAltName=IP:127.0.0.1")
        self.sign("", "extendedKeyUsage=clientAuth")

    def sign(self, name: str, extension: str) -> None:
        prefix = f"{name}-" if name else ""
        (self.folder / "ext").write_text(extension)
        self._openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", f"{prefix}key.pem", "-out", "csr.pem", "-subj", "/CN=127.0.0.1"),
        )
        self._openssl(
            *("x509", "-req", "-in", "csr.pem", "-CA", "ca.pem", "-CAkey", "ca-key.pem"),
            *("-CAcreateserial", "-out", f"{prefix}cert.pem", "-days", "2", "-extfile", "ext"),
        )

    def _openssl(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

    def path(self, name: str) -> str:
        return str(self.folder / name)

    @property
    def server(self) -> TLSFiles:
        names = ("ca.pem", "server-cert.pem", "server-key.pem")
        return TLSFiles(*(self.path(name) for name in names))

    def context(self, *, certificate: bool = True) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=self.path("ca.pem"))
        if certificate:
            made.load_cert_chain(self.path("cert.pem"), self.path("key.pem"))
        return made


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> _Certificates:
    return _Certificates(tmp_path_factory.mktemp("tls") / "files")


@pytest.fixture(scope="module")
def address(engine: Engine, certificates: _Certificates) -> Iterator[tuple[str, int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    service = start_service(engine.settings, f"tcp://127.0.0.1:{port}", tls=certificates.server)
    yield "127.0.0.1", port
    service.stop()


@needs_openssl
@needs_docker
def test_dockers_command_works_with_a_certificate(
    engine: Engine, busybox: str, address: tuple[str, int], certificates: _Certificates
) -> None:
    client = Client(f"tcp://{address[0]}:{address[1]}", certificates.folder)
    tls = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(certificates.folder)}
    shown = client.docker("run", "--rm", busybox, "echo", "hello", **tls)
    assert shown.stdout == b"hello\n"
    # Both directions at once, more than anything holds; then the client ends one of them.
    data = os.urandom(5_000_000)
    assert client.docker("run", "-i", "--rm", busybox, "cat", stdin=data, **tls).stdout == data
    refused = client.docker("ps", check=False, DOCKER_TLS_VERIFY="")
    assert refused.returncode == 1


@needs_openssl
def test_a_client_without_a_certificate_is_refused(
    address: tuple[str, int], certificates: _Certificates, tmp_path: Path
) -> None:
    """Seen to fail with ssl.CERT_OPTIONAL: the ping was answered."""
    stranger = _Certificates(tmp_path / "strangers")
    strange = certificates.context(certificate=False)
    strange.load_cert_chain(stranger.path("cert.pem"), stranger.path("key.pem"))
    for context in (certificates.context(certificate=False), strange):
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
            _ping(address, context)
    with socket.create_connection(address, timeout=20) as plain:
        plain.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        assert b"200" not in plain.recv(4096)
    assert _ping(address, certificates.context()) == 200


def _ping(address: tuple[str, int], context: ssl.SSLContext) -> int:
    connection = http.client.HTTPSConnection(*address, timeout=20, context=context)
    try:
        connection.request("GET", "/_ping")
        return connection.getresponse().status
    finally:
        connection.close()


@needs_openssl
def test_a_handshake_that_never_comes_keeps_nobody_out(
    address: tuple[str, int], certificates: _Certificates
) -> None:
    silent = [socket.create_connection(address) for _ in range(50)]
    assert _ping(address, certificates.context()) == 200
    for one in silent:
        one.close()


def test_tcp_without_certificates_is_refused(engine: Engine, tmp_path: Path) -> None:
    for files in (TLSFiles(), TLSFiles("/ca"), TLSFiles("/ca", "/cert")):
        with pytest.raises(InvalidArgumentError, match="with a certificate only"):
            start_service(engine.settings, "tcp://127.0.0.1:0", tls=files)
    with pytest.raises(InvalidArgumentError, match="certificates are for an address"):
        start_service(engine.settings, f"unix://{tmp_path}/s", tls=TLSFiles("/a", "/b", "/c"))
    (tmp_path / "none").write_text("no certificate")
    wrong = TLSFiles(*[str(tmp_path / "none")] * 3)
    with pytest.raises(ContainersError, match="certificates cannot be read"):
        start_service(engine.settings, "tcp://127.0.0.1:0", tls=wrong)


@pytest.mark.skipif(ACTIVATE is None, reason="needs systemd-socket-activate (systemd)")
def test_the_first_request_starts_a_service_that_ends_itself(
    engine: Engine, place: Place, tmp_path: Path
) -> None:
    """The socket stays: it is systemd's."""
    assert ACTIVATE is not None
    path = tmp_path / "d.sock"
    argv = [
        ACTIVATE,
        "-l",
        str(path),
        *(f"-E{name}={text}" for name, text in place.variables.items()),
    ]
    argv += [sys.executable, "-m", "jupyter_containers.api.server", f"unix://{path}", "0.5", "-1"]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, cwd=Path(__file__).parents[2]) as process:
        deadline = time.monotonic() + 20
        while not path.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert Client(f"unix://{path}", tmp_path).request("GET", "/_ping")[0] == 200
        # It became the service, which ends when it is idle.
        assert process.wait(timeout=30) == 0, process.stderr
    assert path.exists()
