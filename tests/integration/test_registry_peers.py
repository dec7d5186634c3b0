"""Real peers from Debian: docker-registry with every kind of lock, podman, docker and skopeo."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import (
    DeniedError,
    RegistryError,
    UnauthorizedError,
)
from tests.bench.peer import CGROUP, CLIENT, DAEMON, Docker, remove_cgroups
from tests.integration.engine_fixtures import BUSYBOX
from tests.integration.registry_server import (
    Certificates,
    DockerRegistry,
    ScriptedRegistry,
    missing_registry,
)
from tests.integration.token_server import TokenServer

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(bool(missing_registry()), reason=missing_registry() or "is there"),
]
PODMAN_CGROUP = "/jupyter-containers-podman"
DOCKERFILE = 'FROM busybox\nENV A=b\nRUN echo built > /made && rm /bin/vi\nCMD ["cat", "/made"]\n'


def shell(*words: str, **environ: str) -> str:
    inherited = {key: value for key, value in os.environ.items() if key != "DOCKER_CONFIG"}
    done = subprocess.run(
        words, capture_output=True, text=True, env={**inherited, **environ}, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture
def app(own: Engine) -> Engine:
    """Return an engine with the image ``app``."""
    own.images.bootstrap(BUSYBOX)
    own.build({}, dockerfile=DOCKERFILE, tag="app")
    return own


def runs(engine: Engine, name: str) -> None:
    result = engine.run(name, rm=True, network="none")
    assert result.stdout == b"built\n"
    gone = engine.run(name, ["ls", "/bin/vi"], rm=True, network="none", check=False)
    assert gone.exit_code == 1


# -- docker-registry ------------------------------------------------------------------------------


def test_a_registry_with_a_token_server(app: Engine, tmp_path: Path) -> None:
    tokens = TokenServer(
        tmp_path / "tokens",
        users={"ada": "s3cret"},
        allowed={"ada": ("team/app", "team/copy")},
        public=("team/app",),
        identity_tokens={"long-lived": "ada"},
    )
    with (
        ScriptedRegistry(tokens) as server,
        DockerRegistry(tmp_path / "registry", token=tokens.configuration(server)) as registry,
    ):
        name = f"{registry.host}/team/app:1"
        app.images.tag("app", name)
        with pytest.raises(UnauthorizedError, match="needs a login"):
            app.push(name)
        with pytest.raises(UnauthorizedError):
            app.registries.login(registry.host, "ada", "wrong")
        app.registries.login(registry.host, "ada", "s3cret")
        tokens.granted.clear()
        digest = app.push(name)
        assert tokens.granted == [("ada", "team/app:pull,push")], "one token serves a whole push"
        forbidden = f"{registry.host}/other/app:1"
        app.images.tag("app", forbidden)
        with pytest.raises(DeniedError, match="ada"):
            app.push(forbidden)
        # A mount needs a token for both repositories.
        copy = f"{registry.host}/team/copy:1"
        app.images.tag("app", copy)
        tokens.granted.clear()
        assert app.push(copy) == digest
        assert ("ada", "team/app:pull") in tokens.granted
        app.registries.logout(registry.host)
        app.images.remove(name)
        assert app.pull(name).digest == digest, "who is not logged in may read what is public"
        with pytest.raises(UnauthorizedError):
            app.pull(copy + "x")
        # Docker stores this after a login with two factors: a token that is exchanged for tokens.
        entry = {"auth": "", "identitytoken": "long-lived"}
        folder = Path(os.environ["DOCKER_CONFIG"])
        (folder / "config.json").write_text(json.dumps({"auths": {registry.host: entry}}))
        app.images.remove(copy)
        assert app.pull(copy).digest == digest
        runs(app, copy)


def test_a_registry_that_wants_a_client_certificate_and_a_password(
    app: Engine, tmp_path: Path
) -> None:
    certificates = Certificates.make(tmp_path / "tls")
    user = ("ada", "s3cret")
    with DockerRegistry(
        tmp_path / "registry",
        user=user,
        certificates=certificates,
        client_authority=certificates.authority,
    ) as registry:
        name = f"{registry.host}/app:1"
        app.images.tag("app", name)
        with pytest.raises(RegistryError, match=r"certificate|TLS"):
            app.push(name)
        kept = tmp_path / "certs.d" / registry.host
        kept.mkdir(parents=True)
        shutil.copy(certificates.authority, kept / "ca.crt")
        folders = (str(tmp_path / "certs.d"),)
        with type(app)(replace(app.settings, certificate_folders=folders)) as trusting:
            with pytest.raises(RegistryError, match="TLS"):
                trusting.push(name)
            shutil.copy(certificates.certificate, kept / "client.cert")
            with pytest.raises(RegistryError, match=r"client\.key"):
                trusting.push(name)
            shutil.copy(certificates.key, kept / "client.key")
            with pytest.raises(UnauthorizedError):
                trusting.push(name)
            trusting.registries.login(registry.host, *user)
            digest = trusting.push(name)
            trusting.images.remove(name)
            assert trusting.pull(name).digest == digest
            runs(trusting, name)


# -- podman ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def podman() -> Iterator[list[str]]:
    if not shutil.which("podman"):
        pytest.skip("podman is not installed")
    # A folder of pytest's is too long: podman's runroot has 50 characters at most.
    with tempfile.TemporaryDirectory(prefix="podman-") as folder:
        places = [f"--{name}={folder}/{name}" for name in ("root", "runroot", "tmpdir")]
        yield [
            *("podman", *places, "--storage-driver=vfs", "--cgroup-manager=cgroupfs"),
            *("--events-backend=none", "--runtime=runc"),
        ]
    remove_cgroups(PODMAN_CGROUP)


def test_podman_and_we_understand_each_other(
    app: Engine, registry: DockerRegistry, podman: list[str]
) -> None:
    ours, theirs = f"{registry.host}/to/podman:1", f"{registry.host}/from/podman:1"
    app.images.tag("app", ours)
    digest = app.push(ours)
    shell(*podman, "pull", "-q", "--tls-verify=false", ours)
    [document] = json.loads(shell(*podman, "image", "inspect", ours))
    assert document["Digest"] == digest
    assert f"sha256:{document['Id']}" == app.images.get(ours).id
    # Its default limits exceed those of this machine's root.
    limits = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")
    run = ("run", "--rm", "--network=none", *limits, f"--cgroup-parent={PODMAN_CGROUP}")
    assert shell(*podman, *run, ours) == "built\n"
    shell(*podman, "tag", ours, theirs)
    for kind in ("oci", "v2s2"):
        shell(*podman, "push", "-q", "--tls-verify=false", f"--format={kind}", theirs)
        app.system.prune(all=True)
        app.pull(theirs)
        runs(app, theirs)
    shell(*podman, "rmi", "-f", "-a")


# -- docker ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    if not (os.access(DAEMON, os.X_OK) and os.access(CLIENT, os.X_OK)):
        pytest.skip("docker.io is not installed")
    folder = tmp_path_factory.mktemp("peer") / "docker"
    with Docker(
        folder, "--bridge=none", "--iptables=false", "--ip6tables=false", "--storage-driver=vfs"
    ) as running:
        yield running
    remove_cgroups(CGROUP)


def test_docker_and_we_run_each_others_images(
    app: Engine, registry: DockerRegistry, docker: Docker
) -> None:
    def client(*words: str) -> str:
        return shell(CLIENT, *words, **docker.environment)

    ours, theirs = f"{registry.host}/to/docker:1", f"{registry.host}/from/docker:1"
    app.images.tag("app", ours)
    digest = app.push(ours)
    client("pull", "-q", ours)
    [document] = json.loads(client("image", "inspect", ours))
    assert document["RepoDigests"] == [f"{registry.host}/to/docker@{digest}"]
    assert client("run", "--rm", "--network", "none", ours) == "built\n"
    client("tag", ours, theirs)
    client("push", "-q", theirs)
    app.system.prune(all=True)
    app.pull(theirs)
    runs(app, theirs)
    # In a manifest list pushed by this engine, Docker finds its platform.
    whole = f"{registry.host}/whole:1"
    app.manifests.create(whole, [theirs])
    app.manifests.push(whole)
    client("rmi", "-f", ours, theirs)
    client("pull", "-q", whole)
    assert client("run", "--rm", "--network", "none", whole) == "built\n"


# -- the store itself -----------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")
@pytest.mark.skipif(not shutil.which("umoci"), reason="umoci is not installed")
def test_skopeo_and_umoci_read_the_store(
    app: Engine, registry: DockerRegistry, tmp_path: Path
) -> None:
    name = f"{registry.host}/app:1"
    app.images.tag("app", name)
    app.push(name)
    app.system.prune(all=True)
    image = app.pull(name)
    layout = app.settings.root / "content"
    assert f"{name}" in shell("umoci", "list", "--layout", str(layout))
    found = json.loads(shell("skopeo", "inspect", f"oci:{layout}:{name}"))
    assert found["Digest"] == image.digest
    shell("umoci", "unpack", "--image", f"{layout}:{name}", str(tmp_path / "bundle"))
    assert (tmp_path / "bundle/rootfs/made").read_text() == "built\n"
    assert not (tmp_path / "bundle/rootfs/bin/vi").exists()
