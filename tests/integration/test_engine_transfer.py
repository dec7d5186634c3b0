"""Pull and push through the engine: a real registry, other tools, and registries that misbehave."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import (
    ArchiveError,
    ContainersError,
    DigestMismatchError,
    ImageNotFoundError,
    InvalidArgumentError,
    RegistryError,
    SizeMismatchError,
    StorageError,
    UnauthorizedError,
    VerificationError,
)
from jupyter_containers.events import Event, TaskFinished
from jupyter_containers.store.compression import zstd_module
from tests.integration.engine_fixtures import busybox_program, demolish
from tests.integration.registry_server import (
    Answer,
    Asked,
    DockerRegistry,
    ScriptedRegistry,
    missing_registry,
)
from tests.integration.served_image import ServedImage, digest, member, tar
from tests.ports import free_port

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(bool(missing_registry()), reason=missing_registry() or "is there"),
]
needs_skopeo = pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")


def shell(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def says(engine: Engine, name: str, script: str = "echo it runs") -> str:
    result = engine.run(name, ["/bin/sh", "-c", script], rm=True, network="none")
    return result.stdout.decode()


def outcomes(events: list[Event]) -> set[str]:
    return {event.outcome for event in events if isinstance(event, TaskFinished)}


# -- a real registry ------------------------------------------------------------------------------


def test_the_digest_stays_the_same(
    own: Engine, registry: DockerRegistry, busybox: str, engine: Engine
) -> None:
    name = f"{registry.host}/team/app:1"
    image = engine.build({}, dockerfile="FROM busybox\nRUN echo 1 > /1\n", tag=name)
    events: list[Event] = []
    assert engine.push(name, emit=events.append) == image.digest
    assert outcomes(events) == {"done"}
    events.clear()
    assert image.push(name, emit=events.append) == image.digest
    assert outcomes(events) == {"exists"}
    document = json.loads(
        shell("skopeo", "inspect", "--tls-verify=false", f"docker://{name}")
        if shutil.which("skopeo")
        else json.dumps({"Digest": image.digest})
    )
    assert document["Digest"] == image.digest

    pulled = own.pull(name)
    assert (pulled.digest, pulled.id) == (image.digest, image.id)
    assert pulled.digests == (f"{registry.host}/team/app@{image.digest}",)
    assert says(own, name, "cat /1") == "1\n"
    events.clear()
    own.pull(name, emit=events.append)
    assert outcomes(events) == {"exists"}
    assert own.images.remove(name)[:2] == [
        f"Untagged: {name}",
        f"Untagged: {registry.host}/team/app@{image.digest}",
    ]
    by_digest = own.pull(f"{registry.host}/team/app@{image.digest}")
    assert by_digest == pulled
    assert by_digest.names == ()
    assert (
        own.push(own.images.get(f"{registry.host}/team/app@{image.digest}").digests[0])
        == image.digest
    )
    own.images.tag(by_digest.id, f"{registry.host}/other:2")
    events.clear()
    assert own.push(f"{registry.host}/other:2", emit=events.append) == image.digest
    mounted = {event.detail for event in events if isinstance(event, TaskFinished)}
    assert mounted == {"Mounted"}, "the registry is told where it has the layers already"


def test_a_password(own: Engine, busybox: str, engine: Engine, tmp_path: Path) -> None:
    data = says(engine, busybox, "cat /bin/busybox | head -c 0; echo")
    assert data == "\n"
    with DockerRegistry(tmp_path / "locked", user=("ada", "s3cret")) as locked:
        name = f"{locked.host}/private:1"
        own.images.bootstrap("busybox")
        own.images.tag("busybox", name)
        with pytest.raises(UnauthorizedError) as caught:
            own.push(name)
        assert "login" in caught.value.hint
        with pytest.raises(UnauthorizedError):
            own.registries.login(locked.host, "ada", "wrong")
        with pytest.raises(UnauthorizedError):
            own.push(name)
        own.registries.login(locked.host, "ada", "s3cret")
        digest = own.push(name)
        own.images.remove(name)
        assert own.pull(name).digest == digest
        kept = (tmp_path / "docker/config.json").read_text()
        assert locked.host in kept
        assert "s3cret" not in kept
        own.registries.logout(locked.host)
        with pytest.raises(UnauthorizedError) as caught:
            own.pull(name)
        assert "s3cret" not in caught.value.report()


def test_what_is_not_there(own: Engine, registry: DockerRegistry) -> None:
    with pytest.raises(ImageNotFoundError, match="nothing/here"):
        own.pull(f"{registry.host}/nothing/here:1")
    port = free_port()
    started = time.monotonic()
    with pytest.raises(RegistryError, match=f"127.0.0.1:{port}"):
        own.pull(f"127.0.0.1:{port}/x:1")
    assert time.monotonic() - started < 10
    with pytest.raises(ImageNotFoundError) as caught:
        own.push(f"{registry.host}/never/tagged:1")
    assert "tag" in caught.value.hint
    own.images.bootstrap("busybox")
    own.images.tag("busybox", f"127.0.0.1:{port}/x:1")
    with pytest.raises(RegistryError, match=f"127.0.0.1:{port}"):
        own.push(f"127.0.0.1:{port}/x:1")
    assert own.images()[0].names


# -- other tools ----------------------------------------------------------------------------------


@needs_skopeo
def test_skopeo_takes_our_image(own: Engine, registry: DockerRegistry, tmp_path: Path) -> None:
    name = f"{registry.host}/for/skopeo:1"
    own.images.bootstrap("busybox")
    own.images.tag("busybox", name)
    digest = own.push(name)
    source = f"docker://{name}"
    shell("skopeo", "copy", "--src-tls-verify=false", source, f"oci:{tmp_path}/layout:x")
    shell(
        "skopeo", "copy", f"oci:{own.settings.root}/content:busybox:latest", f"oci:{tmp_path}/y:y"
    )
    for folder, tag in (("layout", "x"), ("y", "y")):
        found = json.loads(shell("skopeo", "inspect", f"oci:{tmp_path}/{folder}:{tag}"))
        assert found["Digest"] == digest


@needs_skopeo
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--format", "v2s2"], "application/vnd.docker.distribution.manifest.v2+json"),
        (["--format", "oci"], "application/vnd.oci.image.manifest.v1+json"),
    ],
)
def test_we_take_what_skopeo_pushes(
    own: Engine, registry: DockerRegistry, flags: list[str], words: str
) -> None:
    own.images.bootstrap("busybox")
    name = f"{registry.host}/by/skopeo-{flags[1]}:1"
    source = f"oci:{own.settings.root}/content:busybox:latest"
    shell("skopeo", "copy", "--dest-tls-verify=false", *flags, source, f"docker://{name}")
    own.system.prune(all=True)
    image = own.pull(name)
    assert image.inspect()["Descriptor"]["mediaType"] == words
    assert says(own, name) == "it runs\n"
    # Docker's documents as a base: our own image is OCI all the way.
    built = own.build({}, dockerfile=f"FROM {name}\nRUN echo 1 > /1\n", tag=f"{name}b")
    assert own.push(f"{name}b") == built.digest
    shell("skopeo", "inspect", "--tls-verify=false", f"docker://{name}b")


@pytest.mark.parametrize("frames", [1, 3])
def test_zstd_layers(own: Engine, registry: DockerRegistry, frames: int) -> None:
    """Layers of several frames too: that is how zstd:chunked images are made."""
    compress = zstd_module().compress

    own.images.bootstrap("busybox")
    layer = busybox_layer(own)
    own.system.prune(all=True)
    step = len(layer) // frames + 1
    served, kind = ServedImage(), "application/vnd.oci.image.layer.v1.tar+zstd"
    served.image([layer], "1")
    manifest = json.loads(served.manifests["1"][1])
    packed = b"".join(compress(layer[at : at + step]) for at in range(0, len(layer), step))
    manifest["layers"] = [{"mediaType": kind, **served.blob(packed)}]
    digest = served.document(manifest, manifest["mediaType"], "1")["digest"]
    with ScriptedRegistry(served) as scripted:
        own.pull(f"{scripted.host}/zstd:1")
    name = f"{registry.host}/zstd:{frames}"
    own.images.tag(f"{scripted.host}/zstd:1", name)
    assert own.push(name) == digest
    own.system.prune(all=True)
    assert own.pull(name).digest == digest
    assert says(own, name) == "it runs\n"


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Run a separate Docker daemon; yield the command of its client."""
    daemon, client = "/usr/sbin/dockerd", "/usr/bin/docker"
    if not (os.access(daemon, os.X_OK) and os.access(client, os.X_OK)):
        pytest.skip("Debian's docker.io is not installed")
    folder = tmp_path_factory.mktemp("docker")
    socket = f"unix://{folder}/docker.sock"
    command = [
        *(daemon, "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "-H", socket),
        *("--pidfile", f"{folder}/pid", "--iptables=false", "--bridge=none"),
        *("--storage-driver=vfs",),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while (
            not (folder / "docker.sock").exists()
            or subprocess.run(
                [client, "-H", socket, "version"], capture_output=True, check=False
            ).returncode
        ):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.skip("dockerd does not start here: " + (folder / "log").read_text()[-300:])
            time.sleep(0.1)
        yield [client, "-H", socket]
    finally:
        process.terminate()
        process.wait(20)


def test_docker_and_we_understand_each_other(
    own: Engine, registry: DockerRegistry, docker: list[str]
) -> None:
    own.images.bootstrap("busybox")
    ours, theirs = f"{registry.host}/ours:1", f"{registry.host}/theirs:1"
    image = own.build(
        {},
        dockerfile='FROM busybox\nENV A=b\nRUN echo 1 > /1 && rm /bin/vi\nCMD ["cat", "/1"]\n',
        tag=ours,
    )
    own.push(ours)
    shell(*docker, "pull", ours)
    [document] = json.loads(shell(*docker, "image", "inspect", ours))
    mine = image.inspect()
    for key in ("Id", "Created", "Architecture", "Os", "RootFS"):
        assert document[key] == mine[key], key
    assert document["RepoDigests"] == [f"{registry.host}/ours@{image.digest}"]
    for key in ("Env", "Cmd", "Entrypoint", "WorkingDir", "User", "Volumes", "OnBuild"):
        assert document["Config"][key] == mine["Config"][key], key
    assert document["Size"] == pytest.approx(mine["Size"], abs=2000)

    shell(*docker, "tag", ours, theirs)
    shell(*docker, "push", theirs)
    own.system.prune(all=True)
    pulled = own.pull(theirs)
    assert pulled.id == image.id
    assert says(own, theirs, "cat /1; ls /bin/vi 2>&1 | wc -l") == "1\n1\n"


# -- misbehaviour ---------------------------------------------------------------------------------


def busybox_layer(engine: Engine) -> bytes:
    """Return an uncompressed layer with a shell."""
    applets = [member(f"bin/{name}", type=b"2", linkname="busybox") for name in ("sh", "cat", "ls")]
    return tar(member("bin/busybox", busybox_program(engine)), *applets)


def nothing_new(engine: Engine, digests: set[str]) -> None:
    assert engine.images() == []
    assert not list((engine.settings.root / "staging").iterdir())
    assert not digests & set(engine._context.store.content.digests())
    engine.system.prune(all=True)
    assert engine._context.store.content.digests() == []


@pytest.mark.parametrize(
    ("lie", "error"),
    [
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), DigestMismatchError),
        (lambda data: data[:-10], (SizeMismatchError, RegistryError)),
        (lambda data: data + b"more", (SizeMismatchError, RegistryError)),
        (lambda data: b"", (SizeMismatchError, RegistryError)),
    ],
)
@pytest.mark.parametrize("which", ["layer", "config"])
def test_wrong_bytes(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry, which: str, lie: Any, error: Any
) -> None:
    served.image([tar(member("f", b"x" * 5000))], "1")
    layer, config = sorted(served.blobs, key=lambda name: served.blobs[name][:1] == b"{")
    wrong = layer if which == "layer" else config
    served.lies[wrong] = lie(served.blobs[wrong])
    with pytest.raises(error):
        own.pull(f"{scripted.host}/bad:1")
    nothing_new(own, {wrong})
    served.lies.clear()
    own.pull(f"{scripted.host}/bad:1")


def test_a_layer_that_is_not_what_the_configuration_says(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry
) -> None:
    served.image([tar(member("f", b"x"))], "1")
    kind, data = served.manifests["1"]
    manifest = json.loads(data)
    import gzip

    manifest["layers"] = [
        {"mediaType": manifest["layers"][0]["mediaType"], **served.blob(gzip.compress(tar()))}
    ]
    served.document(manifest, kind, "1")
    with pytest.raises(DigestMismatchError):
        own.pull(f"{scripted.host}/bad:1")
    assert own.images() == []
    manifest["layers"] *= 2
    served.document(manifest, kind, "1")
    with pytest.raises(VerificationError, match="2 layers"):
        own.pull(f"{scripted.host}/bad:1")


def test_an_index_is_searched_for_the_platform(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry
) -> None:
    arm = served.image([tar(member("arm", b"x"))], architecture="arm64")
    amd = served.image([tar(member("amd", b"x"))], architecture="amd64")
    attestation = served.image([tar(member("att", b"x"))])
    served.index(
        [
            (attestation, {"os": "unknown", "architecture": "unknown"}),
            (arm, {"os": "linux", "architecture": "arm64", "variant": "v8"}),
            (amd, {"os": "linux", "architecture": "amd64"}),
        ],
        "1",
    )
    name = f"{scripted.host}/many:1"
    index = own.pull(name, platform="linux/amd64")
    assert index.digest == amd["digest"]
    assert index.digests[0].endswith(
        next(d for d, (k, _) in served.manifests.items() if "index" in k)
    )
    assert own.pull(name, platform="linux/arm64").digest == arm["digest"]
    with pytest.raises(ImageNotFoundError) as caught:
        own.pull(name, platform="linux/s390x")
    assert "linux/arm64" in caught.value.hint


ESCAPES = {
    "dots": [member("../../../../../../escaped", b"x")],
    "absolute": [member("/escaped", b"x")],
    "link": [member("d", type=b"2", linkname="/"), member("d/escaped", b"x")],
    "relative link": [
        member("d", type=b"2", linkname="../../../../../../.."),
        member("d/escaped", b"x"),
    ],
    "hard link": [member("d", type=b"1", linkname="../../../../../../../etc/passwd")],
    "link to a link": [
        member("a", type=b"2", linkname=".."),
        member("b", type=b"2", linkname="a/.."),
        member("b/escaped", b"x"),
    ],
}


@pytest.mark.parametrize("kind", ESCAPES)
def test_layers_cannot_write_outside(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry, kind: str, tmp_path: Path
) -> None:
    served.image([tar(*ESCAPES[kind])], "1")
    passwd = Path("/etc/passwd").stat()
    try:
        own.pull(f"{scripted.host}/evil:1")
    except ArchiveError:
        assert own.images() == []
    assert Path("/etc/passwd").stat().st_nlink == passwd.st_nlink
    assert not Path("/escaped").exists()
    found = {path.parent for path in tmp_path.rglob("escaped")}
    layers = own.settings.root / "layers"
    assert all(layers in folder.parents for folder in found), found


def test_a_layer_under_a_link_of_the_layer_below(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    below = tar(member("d", type=b"2", linkname=str(victim)))
    served.image([below, tar(member("d/escaped", b"x"))], "1")
    own.pull(f"{scripted.host}/evil:1")
    assert list(victim.iterdir()) == []


def test_a_full_disk(
    served: ServedImage, scripted: ScriptedRegistry, tmp_path: Path, busybox: str, engine: Engine
) -> None:
    payload = os.urandom(6_000_000)
    served.image([busybox_layer(engine), tar(member("big", payload))], "1")
    small, name = tmp_path / "small", f"{scripted.host}/big:1"
    small.mkdir()
    shell("mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", str(small))
    try:
        with Engine(root=small / "root", run_root=tmp_path / "run") as tiny:
            try:
                with pytest.raises(StorageError, match="disk full") as caught:
                    tiny.pull(name)
                assert caught.value.hint
                assert tiny.images() == []
                assert not list((small / "root/staging").iterdir())
                shell("mount", "-o", "remount,size=40m", str(small))
                before = len(scripted.requests("GET", "/blobs/"))
                tiny.pull(name)
                assert says(tiny, name, "ls -l /big").split()[4] == str(len(payload))
                assert len(scripted.requests("GET", "/blobs/")) - before <= 2
            finally:
                demolish(tiny)
    finally:
        shell("umount", "-l", str(small))


KERNEL = """
import sys
from jupyter_containers import Engine
root, run, name = sys.argv[1:]
with Engine(root=root, run_root=run) as engine:
    print(engine.pull(name).id)
"""


def test_two_kernels_pull_at_once(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry, busybox: str, engine: Engine
) -> None:
    layers = [busybox_layer(engine), *(tar(member(f"f{n}", os.urandom(400_000))) for n in range(4))]
    served.image(layers, "1")
    served.pace = 0.03
    name = f"{scripted.host}/shared:1"
    roots = (str(own.settings.root), str(own.settings.run_root))
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", KERNEL, *roots, name],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    done = [program.communicate(timeout=60) for program in programs]
    assert [program.returncode for program in programs] == [0, 0], done
    assert done[0][0] == done[1][0]
    asked = [request.path for request in scripted.requests("GET", "/blobs/")]
    assert sorted(asked) == sorted(set(asked)), "each blob was downloaded once"
    assert says(own, name) == "it runs\n"
    with pytest.raises(ContainersError):
        own.pull(f"{scripted.host}/shared:2")


def test_a_push_in_another_compression(
    own: Engine, registry: DockerRegistry, busybox: str, engine: Engine
) -> None:
    """The registry gets zstd; the image here stays; a second push only asks."""
    name = f"{registry.host}/team/compressed:1"
    text = "FROM busybox\nRUN head -c 100000 /dev/urandom > /1\n"
    image = engine.build({}, dockerfile=text, tag=name)
    events: list[Event] = []
    digest = engine.push(name, compression="zstd", emit=events.append)
    assert digest != image.digest
    assert engine.images.get(name).digest == image.digest
    pulled = own.pull(name)
    assert (pulled.digest, pulled.id) == (digest, image.id)
    manifest = json.loads(own._context.store.content.read(digest))
    assert {layer["mediaType"].rpartition("+")[2] for layer in manifest["layers"]} == {"zstd"}
    assert says(own, name, "wc -c < /1").strip() == "100000"
    events.clear()
    engine.images.prune()
    assert engine.push(name, compression="zstd", emit=events.append) == digest
    assert outcomes(events) == {"exists"}
    assert engine.push(name, compression="gzip") == image.digest, "as it is stored"
    plain = engine.push(f"{registry.host}/team/compressed:1", compression="none")
    own.images.remove(name)
    assert own.pull(name).digest == plain
    assert says(own, name, "wc -c < /1").strip() == "100000"
    with pytest.raises(InvalidArgumentError, match="lzma"):
        engine.push(name, compression="lzma")


class Uploads:
    """A registry that takes uploads in chunks; ``broken`` refuses the second chunk of a session."""

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken
        self.sessions: dict[str, list[bytes]] = {}
        self.blobs: dict[str, bytes] = {}
        self.manifest = b""

    def __call__(self, asked: Asked) -> Answer:
        kind = asked.path.split("/")[-2]
        if asked.method == "POST":
            name = str(len(self.sessions))
            self.sessions[name] = []
            return Answer(202, {"Location": f"/v2/team/app/blobs/uploads/{name}"})
        if asked.method == "PATCH":
            chunks = self.sessions[asked.path.rpartition("/")[2]]
            if self.broken and chunks:
                return Answer(400, {}, b'{"errors":[{"code":"BLOB_UPLOAD_INVALID"}]}')
            chunks.append(asked.body)
            return Answer(202, {"Location": asked.path})
        if asked.method == "PUT" and kind == "uploads":
            data = b"".join([*self.sessions[asked.path.rpartition("/")[2]], asked.body])
            assert dict(asked.query)["digest"] == digest(data)
            self.blobs[digest(data)] = data
            return Answer(201)
        if asked.method == "PUT":
            self.manifest = asked.body
            return Answer(201)
        if asked.method == "DELETE":
            return Answer(204)
        return Answer(200 if asked.path.rpartition("/")[2] in self.blobs else 404)


@pytest.mark.parametrize("broken", [False, True])
def test_a_layer_is_on_the_wire_while_it_is_compressed(own: Engine, broken: bool) -> None:
    """Two chunks went out before the layer was known; a stream that fails is sent again whole."""
    uploads = Uploads(broken=broken)
    with ScriptedRegistry(uploads) as registry:
        name = f"{registry.host}/team/app:1"
        own.images.import_archive(tar(member("big", os.urandom(20_000_000))), name)
        own.push(name, compression="zstd")
        chunks = registry.requests("PATCH")
        (layer,) = json.loads(uploads.manifest)["layers"]
        assert layer["mediaType"].endswith("+zstd")
        assert layer["size"] == len(uploads.blobs[layer["digest"]])
        assert len(chunks) == (2 if broken else 3)
        wholes = [
            asked for asked in registry.requests("PUT", "/uploads/") if len(asked.body) > 10**7
        ]
        assert len(wholes) == (1 if broken else 0)
        before = len(registry.asked)
        own.push(name, compression="zstd")
        again = {asked.method for asked in registry.asked[before:]}
        assert again == {"HEAD", "PUT"}, "only the manifest is sent again"
