"""The service of a user without root: Docker's command, docker-py and Compose work there."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.account import KINDS, NEEDS, Account, opened
from tests.integration.api_client import DOCKER, needs_docker
from tests.integration.buildkit_clients import buildx, old_docker

pytestmark = [*NEEDS, needs_docker]
COMPOSE = str(Path(sys.executable).with_name("docker-compose"))
SHOP = str(Path(__file__).parents[1] / "data/clients/shop/compose.yaml")

_WORK = f"""
import os, subprocess, sys
from jupyter_containers.rootless.remote import RemoteEngine
with RemoteEngine() as engine, engine.api() as url:
    environ = {{**os.environ, "DOCKER_HOST": url, "DOCKER_BUILDKIT": "0"}}
    def docker(*words, stdin=b""):
        done = subprocess.run([{DOCKER!r}, *words], input=stdin, capture_output=True, env=environ)
        shown = done.stdout if done.returncode == 0 else done.stderr
        print(done.returncode, shown.decode().strip(), flush=True)
    docker("run", "--rm", "busybox", "id", "-u")
    docker("run", "-i", "--rm", "--network", "none", "busybox", "cat", stdin=b"typed")
    docker("run", "-d", "--name", "web", "busybox", "sleep", "60")
    docker("exec", "web", "echo", "inside")
    docker("rm", "-f", "web")
    docker("build", "-q", "-t", "own", "-", stdin=b"FROM busybox\\nRUN echo made > /made\\n")
    docker("run", "--rm", "own", "cat", "/made")
    docker("info", "--format", "{{{{.SecurityOptions}}}}")
    print(oct(os.stat(url.removeprefix("unix://")).st_mode & 0o777))
    import docker as library
    client = library.DockerClient(base_url=url)
    print(client.containers.run("busybox", ["echo", "library"], remove=True).decode().strip())
    client.close()
    def compose(*words):
        line = (sys.executable, {COMPOSE!r}, "-p", "shop", "-f", {SHOP!r}, *words)
        done = subprocess.run(line, capture_output=True, env=environ)
        print(done.returncode, done.stdout.decode().strip() if words[0] == "exec" else "")
        if done.returncode:
            print(done.stderr.decode())
    compose("up", "-d", "--wait")
    compose("exec", "-T", "web", "cat", "/greeting")
    compose("down", "-v")
"""

# The words of the command that has BuildKit's client, if there is one.
_BUILD = [buildx(), "build"] if buildx() else [old_docker(), "build"]
_BUILDKIT = f"""
import os, pathlib, subprocess, tempfile
from jupyter_containers.rootless.remote import RemoteEngine
with RemoteEngine() as engine, engine.api() as url, tempfile.TemporaryDirectory() as folder:
    place = pathlib.Path(folder)
    place.joinpath("Dockerfile").write_text(
        "FROM busybox\\nCOPY a /a\\nRUN --mount=type=secret,id=s cat /run/secrets/s /a > /said\\n"
    )
    place.joinpath("a").write_text("file ")
    place.joinpath("secret").write_text("secret ")
    environ = {{**os.environ, "DOCKER_HOST": url, "DOCKER_BUILDKIT": "1", "DOCKER_CONFIG": folder}}
    def build(*words):
        done = subprocess.run(
            [*{_BUILD!r}, "--progress=plain", *words, folder],
            capture_output=True, env=environ, stdin=subprocess.DEVNULL,
        )
        print(done.returncode, b"CACHED" in done.stderr, flush=True)
    secret = ("--secret", f"id=s,src={{folder}}/secret")
    build("-t", "bk", *secret)
    build("-t", "bk", *secret)
    print(engine.containers.run("bk", ["cat", "/said"], rm=True).stdout.decode())
    build("-o", f"{{folder}}/out", *secret)
    out = place / "out/said"
    print(out.read_text(), out.stat().st_uid == os.getuid())
"""

_TLS = """
import http.client, os, pathlib, socket, ssl, subprocess, tempfile
from jupyter_containers.engine.system.serving import TLSFiles, start_service
from jupyter_containers.rootless.remote import RemoteEngine
with RemoteEngine() as engine, tempfile.TemporaryDirectory() as folder:
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca-key", "-out", "ca", "-subj", "/CN=CA")
    uses = {"s": "subjectAltName=IP:127.0.0.1", "c": "extendedKeyUsage=clientAuth"}
    for name, extension in uses.items():
        pathlib.Path(folder, "ext").write_text(extension)
        openssl("req", *key, "-keyout", name + "-key", "-out", "csr", "-subj", "/CN=me")
        openssl("x509", "-req", "-in", "csr", "-CA", "ca", "-CAkey", "ca-key", "-CAcreateserial",
                "-out", name, "-extfile", "ext")
    path = lambda name: folder + "/" + name
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    files = TLSFiles(path("ca"), path("s"), path("s-key"))
    service = start_service(engine.settings, f"tcp://127.0.0.1:{port}", tls=files)
    def ping(*certificate):
        context = ssl.create_default_context(cafile=path("ca"))
        if certificate:
            context.load_cert_chain(*map(path, certificate))
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
        connection.request("GET", "/info")
        return b"rootless" in connection.getresponse().read()
    try:
        print(ping("c", "c-key"))
        try:
            print(ping())
        except (OSError, http.client.HTTPException) as error:
            print("refused")
    finally:
        service.stop()
"""

_INSTALLED = """
import os, pathlib, shlex, socket, subprocess, sys
def service(option):
    line = [sys.executable, "-m", "jupyter_containers.cli", "system", "service", option]
    return subprocess.run(line, check=True, capture_output=True, text=True).stdout
written = [line.split()[1] for line in service("--install").splitlines() if "wrote" in line]
units = "".join(pathlib.Path(path).read_text() for path in written)
def values(name):
    return [line.partition("=")[2] for line in units.splitlines() if line.startswith(name + "=")]
[path], [command] = values("ListenStream"), values("ExecStart")
environ = dict(word.split("=", 1) for line in values("Environment") for word in shlex.split(line))
os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
# As systemd starts it: the socket is descriptor 3.
script = 'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@" 3<&0 0</dev/null'
with socket.socket(socket.AF_UNIX) as listening:
    listening.bind(path)
    listening.listen()
    words = ["sh", "-c", script, "sh", *shlex.split(command.replace("$$", "$").replace("%%", "%"))]
    with subprocess.Popen(words, stdin=listening, env={**os.environ, **environ}) as running:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(path)
            client.sendall(b"GET /info HTTP/1.0\\r\\nHost: d\\r\\n\\r\\n")
            answer = b"".join(iter(lambda: client.recv(1 << 20), b""))
        running.terminate()
print(len(written), b" 200 " in answer, b"rootless" in answer, running.returncode)
print(os.path.exists(path), service("--uninstall").count("removed"))
print([name for name in written if os.path.exists(name)])
"""


@pytest.fixture(scope="module", params=KINDS)
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    with opened(request.param) as made:
        made.container("bootstrap busybox")
        yield made


def test_clients_work_for_an_ordinary_user(account: Account) -> None:
    lines = [line.rstrip() for line in account.python(_WORK).splitlines()]
    assert lines[:2] == ["0 0", "0 typed"]
    assert lines[3:5] == ["0 inside", "0 web"]
    assert lines[5].startswith("0 sha256:")
    assert lines[6] == "0 made"
    assert "rootless" in lines[7]
    assert lines[8] == "0o600"
    assert lines[9:] == ["library", "0", "0 hello", "0"]


@pytest.mark.skipif(not any(_BUILD[:1]), reason="needs docker-buildx or docker 20.10")
def test_buildkits_protocol_works_for_an_ordinary_user(account: Account) -> None:
    pytest.importorskip("h2", reason="needs h2 (the extra api)")
    lines = account.python(_BUILDKIT).splitlines()
    assert lines[:2] == ["0 True", "0 True"]
    assert lines[2] == "secret file "
    assert lines[3:] == ["0 True", "secret file  True"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_tcp_of_an_ordinary_user_needs_a_certificate(account: Account) -> None:
    assert account.python(_TLS).split() == ["True", "refused"]


def test_the_installed_units_start_an_ordinary_users_service(account: Account) -> None:
    lines = account.python(_INSTALLED).splitlines()
    assert lines == ["2 True True 0", "True 2", "[]"]
