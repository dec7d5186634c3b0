"""Registries for tests: Debian's docker-registry as a child process, and a scripted one in process.

``DockerRegistry`` is the real thing (open, with htpasswd, with a token server, with TLS); it keeps
everything under one temporary folder and ends with its ``with`` block.  ``ScriptedRegistry``
gives exactly the answers that a test defines, including those that no decent registry would give,
and records the requests.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qsl, urlsplit

from tests.ports import free_port


def missing_registry() -> str:
    """Return the missing requirement of a real registry, or an empty string."""
    return "" if shutil.which("docker-registry") else "docker-registry is not installed"


@dataclass(frozen=True)
class Certificates:
    """A throw-away authority and a server certificate for 127.0.0.1 and localhost."""

    authority: Path
    certificate: Path
    key: Path

    @classmethod
    def make(cls, folder: Path) -> Certificates:
        def openssl(*args: str) -> None:
            subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=folder)

        folder.mkdir(parents=True, exist_ok=True)
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        openssl(
            *("req", "-x509", *curve, "-days", "2", "-subj", "/CN=Test Authority"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
            *("-keyout", "ca.key", "-out", "ca.crt"),
        )
        openssl("req", *curve, "-subj", "/CN=localhost", "-keyout", "tls.key", "-out", "tls.csr")
        names = "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n"
        names += "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        (folder / "names").write_text(names)
        openssl(
            *("x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key"),
            *("-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "tls.crt"),
        )
        return cls(folder / "ca.crt", folder / "tls.crt", folder / "tls.key")


class DockerRegistry:
    """Debian's docker-registry on a free port of 127.0.0.1, as ``host`` (``127.0.0.1:<port>``)."""

    def __init__(
        self,
        folder: Path,
        *,
        user: tuple[str, str] | None = None,
        certificates: Certificates | None = None,
        client_authority: Path | None = None,
        token: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.user = user
        self.certificates = certificates
        self.client_authority = client_authority
        self.token = token
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> DockerRegistry:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "config.json"  # JSON is YAML too
        config.write_text(json.dumps(self._configuration()))
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["docker-registry", "serve", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": "/usr/bin:/bin", "OTEL_TRACES_EXPORTER": "none"},
            )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.02)
        self.stop()
        raise RuntimeError((self.folder / "log").read_text(errors="replace")[-2000:])

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _configuration(self) -> dict[str, object]:
        server: dict[str, object] = {"addr": self.host, "secret": "for tests"}
        if self.certificates is not None:
            server["tls"] = {
                "certificate": str(self.certificates.certificate),
                "key": str(self.certificates.key),
                **({"clientcas": [str(self.client_authority)]} if self.client_authority else {}),
            }
        document: dict[str, object] = {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder / "data")},
                "delete": {"enabled": True},
            },
            "http": server,
        }
        if self.user is not None:
            name, password = self.user
            line = subprocess.run(
                ["htpasswd", "-Bbn", "-C", "4", name, password], check=True, capture_output=True
            ).stdout
            (self.folder / "htpasswd").write_bytes(line)
            path = str(self.folder / "htpasswd")
            document["auth"] = {"htpasswd": {"realm": "test", "path": path}}
        if self.token is not None:
            document["auth"] = {"token": self.token}
        return document


@dataclass
class Asked:
    """A request that a scripted registry received."""

    method: str
    target: str
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)


@dataclass
class Answer:
    """A response; ``body`` is bytes, or an iterator whose pieces are sent as they come.

    Without a ``Content-Length`` among the headers, that of ``body`` is sent; after an
    iterator, the connection is closed.  A given length may be wrong.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Iterator[bytes] = b""


Script = Callable[[Asked], Answer]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 20
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.registry.connections += 1

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, ssl.SSLError, TimeoutError):
            self.close_connection = True

    def handle_any(self) -> None:
        registry = self.server.registry
        length = int(self.headers.get("Content-Length") or 0)
        hang_up = length > registry.longest_body
        body = b"" if hang_up else self.rfile.read(length)
        asked = Asked(self.command, self.path, self.headers, body)
        registry.asked.append(asked)
        if hang_up:
            self.close_connection = True
        else:
            self.reply(registry.script(asked))

    def reply(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for key, value in answer.headers.items():
            self.send_header(key, value)
        body, told = answer.body, answer.headers.get("Content-Length")
        whole = isinstance(body, bytes)
        if whole and told is None:
            told = str(len(body))
            self.send_header("Content-Length", told)
        complete = whole and told == str(len(body))
        if not complete and self.command != "HEAD":
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command == "HEAD":
            return
        for piece in (body,) if isinstance(body, bytes) else body:
            self.wfile.write(piece)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def log_message(self, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    registry: ScriptedRegistry

    def handle_error(self, request: object, client_address: object) -> None:
        pass


class ScriptedRegistry:
    """An HTTP server on loopback that answers by a function; ``asked`` lists the requests.

    ``host`` is ``127.0.0.1:<port>``; with ``name="localhost"`` the same kind of server is another
    host for the client.  A body longer than ``longest_body`` is not read and gets no answer: the
    connection is closed.
    """

    def __init__(
        self, script: Script, *, name: str = "127.0.0.1", certificates: Certificates | None = None
    ) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self.connections = 0
        self.longest_body = 10**12
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.registry = self
        if certificates is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates.certificate, certificates.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.host = f"{name}:{self.port}"
        self.url = f"{'https' if certificates else 'http'}://{self.host}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )

    def __enter__(self) -> ScriptedRegistry:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def requests(self, method: str = "", containing: str = "") -> list[Asked]:
        """Return the received requests of a method whose target contains a text; no probes."""
        return [
            asked
            for asked in self.asked
            if (not method or asked.method == method) and containing in asked.target
        ]
