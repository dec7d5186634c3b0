"""Images in archives: others load our archives, and we load theirs and our own."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import (
    ArchiveError,
    DigestMismatchError,
    ImageNotFoundError,
    InvalidArgumentError,
    OperationCancelledError,
    StorageError,
    VerificationError,
)
from jupyter_containers.events import CancelToken, Event, TaskFinished, TaskProgress
from tests.bench import peer
from tests.integration.engine_fixtures import fresh_engine, staged
from tests.integration.served_image import digest, member, tar

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
needs_skopeo = pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Engine]:
    """An engine with an empty store."""
    with fresh_engine(tmp_path / "own") as engine:
        yield engine


@pytest.fixture(scope="module")
def app(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of an image of three layers in the shared engine; it has a second name."""
    text = 'FROM busybox\nRUN echo one > /1\nRUN rm /1 && echo two > /2\nCMD ["cat", "/2"]\n'
    folder = tmp_path_factory.mktemp("context")
    engine.build(folder, dockerfile=text, tag="archived/app:1")
    engine.images.tag("archived/app:1", "archived/app:2")
    yield "archived/app:1"
    engine.images.remove("archived/app:1")
    engine.images.remove("archived/app:2")


def shell(*words: str, **more: object) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True, **more).stdout


def says(engine: Engine, name: str) -> str:
    return engine.run(name, rm=True, network="none").output


def members(path: Path) -> list[str]:
    with tarfile.open(path) as archive:
        return archive.getnames()


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.zst"])
def test_what_is_saved_is_loaded(
    engine: Engine, own: Engine, app: str, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"app.{suffix}"
    engine.images.save(app, path)
    magic = {"tar": b"oci-", "tar.gz": b"\x1f\x8b", "tar.zst": b"\x28\xb5\x2f\xfd"}[suffix]
    assert path.read_bytes().startswith(magic)
    events: list[Event] = []
    (image,) = own.images.load(path, emit=events.append)
    assert (image.id, image.digest) == (engine.images.get(app).id, engine.images.get(app).digest)
    assert image.names == ("archived/app:1",)
    assert says(own, app) == "two\n"
    assert {event.outcome for event in events if isinstance(event, TaskFinished)} == {"done"}
    events.clear()
    own.images.load(path, emit=events.append)
    assert {event.outcome for event in events if isinstance(event, TaskFinished)} == {"exists"}
    assert staged(own) == []


def test_a_repository_means_all_its_tags_and_an_id_none(
    engine: Engine, own: Engine, app: str, tmp_path: Path
) -> None:
    engine.images.save(["archived/app", "busybox"], tmp_path / "all.tar")
    loaded = own.images.load(tmp_path / "all.tar")
    assert [image.names for image in loaded] == [
        ("archived/app:1", "archived/app:2"),
        ("busybox:latest",),
    ]
    blobs = [name for name in members(tmp_path / "all.tar") if name.startswith("blobs/")]
    assert len(blobs) == len(set(blobs)), "a shared layer is there once"
    for name in ("archived/app:1", "archived/app:2"):
        own.images.remove(name)
    engine.images.save(engine.images.get(app).short_id, tmp_path / "id.tar")
    (image,) = own.images.load(tmp_path / "id.tar")
    assert image.names == ()
    assert own.images.get(image.id).names == ()


def test_streams_and_formats(engine: Engine, own: Engine, app: str, tmp_path: Path) -> None:
    stream = io.BytesIO()
    engine.images.save(app, stream, format="oci-archive", compression="gzip")
    data = gzip.decompress(stream.getvalue())
    path = tmp_path / "plain.tar"
    path.write_bytes(data)
    assert "manifest.json" not in members(path)
    (image,) = own.images.load(stream.getvalue())
    assert image.names == ("archived/app:1",)
    own.images.remove(app)
    with subprocess.Popen(["cat", str(path)], stdout=subprocess.PIPE) as pipe:
        assert pipe.stdout is not None
        assert own.images.load(pipe.stdout) == [image]
    folder = tmp_path / "layout"
    with tarfile.open(path) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # from 3.11.4 on
        archive.extractall(folder)
    own.images.remove(app)
    assert own.images.load(folder) == [image]
    for bad in ({"format": "tar"}, {"compression": "lzma"}):
        with pytest.raises(InvalidArgumentError):
            engine.images.save(app, stream, **bad)
    with pytest.raises(InvalidArgumentError, match="does not exist"):
        engine.images.save(app, tmp_path / "missing" / "x.tar")


def test_an_interrupted_save_leaves_no_file(engine: Engine, app: str, tmp_path: Path) -> None:
    token = CancelToken()

    def stop(event: Event) -> None:
        if isinstance(event, TaskProgress):
            token.cancel()

    (tmp_path / "app.tar").write_bytes(b"older")
    with pytest.raises(OperationCancelledError):
        engine.images.save(app, tmp_path / "app.tar", emit=stop, cancel=token)
    assert [path.name for path in tmp_path.iterdir()] == ["app.tar"]
    assert (tmp_path / "app.tar").read_bytes() == b"older"


def test_the_platform_must_be_there(engine: Engine, own: Engine, app: str, tmp_path: Path) -> None:
    with pytest.raises(ImageNotFoundError, match="linux/s390x"):
        engine.images.save(app, tmp_path / "x.tar", platform="linux/s390x")
    host = str(engine.images.get(app).platform)
    engine.images.save(app, tmp_path / "x.tar", platform=host)
    with pytest.raises(ImageNotFoundError, match="linux/s390x") as caught:
        own.images.load(tmp_path / "x.tar", platform="linux/s390x")
    assert host in caught.value.hint
    assert own.images() == []
    assert own.images.load(tmp_path / "x.tar", platform=host)[0].names == (app,)


# -- archives as other engines write them ---------------------------------------------------------


def docker_archive(*layers: bytes, tags: list[str] | None = None, **lies: object) -> bytes:
    """Return a docker-archive as Docker before 25 writes it, its layers as given."""
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["true"]},
            "rootfs": {
                "type": "layers",
                "diff_ids": [
                    digest(gzip.decompress(layer) if layer[:2] == b"\x1f\x8b" else layer)
                    for layer in layers
                ],
            },
            **lies,
        }
    ).encode()
    name = digest(config)[7:] + ".json"
    files = [member(f"{number}/layer.tar", layer) for number, layer in enumerate(layers)]
    entry = {
        "Config": name,
        "RepoTags": tags,
        "Layers": [f"{number}/layer.tar" for number in range(len(layers))],
    }
    return tar(*files, member(name, config), member("manifest.json", json.dumps([entry]).encode()))


def test_a_docker_archive_of_bare_and_compressed_layers(own: Engine) -> None:
    first, second = tar(member("a", b"1" * 5000)), tar(member("b", b"2"), member("c", b"3"))
    data = docker_archive(first, gzip.compress(second, mtime=0), tags=["tool:1", "tool:2"])
    (image,) = own.images.load(data)
    assert image.names == ("tool:1", "tool:2")
    manifest = json.loads(own._context.store.content.read(image.digest))
    assert [layer["mediaType"].rpartition("+")[2] for layer in manifest["layers"]] == ["gzip"] * 2
    received = digest(gzip.compress(second, mtime=0))
    assert manifest["layers"][1]["digest"] == received, "bytes as received"
    assert own.images.load(data) == [image]
    assert own.images.load(gzip.compress(data)) == [image]
    own.images.remove("tool:1")
    own.images.remove("tool:2")
    assert own._context.store.content.digests() == []


def test_damaged_archives_leave_nothing(own: Engine) -> None:
    layer = tar(member("a", b"1"))
    wrong = {"rootfs": {"type": "layers", "diff_ids": [digest(b"other")]}}
    none = {"rootfs": {"type": "layers", "diff_ids": []}}
    cases: list[tuple[bytes, type[Exception]]] = [
        (docker_archive(layer, **wrong), DigestMismatchError),
        (docker_archive(layer, **none), VerificationError),
        (docker_archive(layer)[:1500], ArchiveError),
        (tar(member("x", b"1")), ArchiveError),
        (tar(member("manifest.json", b"[{]")), VerificationError),
        (tar(member("manifest.json", b'[{"Config": "no", "Layers": []}]')), ArchiveError),
        (tar(member("repositories", b"{}")), ArchiveError),
        (b"no archive at all" * 100, ArchiveError),
        (b"", ArchiveError),
    ]
    for data, expected in cases:
        with pytest.raises(expected):
            own.images.load(data)
    assert own.images() == []
    own._garbage.collect()
    assert own._context.store.content.digests() == []
    assert os.listdir(own.settings.root / "staging") == []


def test_a_blob_that_is_not_its_name_is_refused(
    engine: Engine, own: Engine, app: str, tmp_path: Path
) -> None:
    engine.images.save(app, tmp_path / "app.tar")
    data = bytearray((tmp_path / "app.tar").read_bytes())
    with tarfile.open(tmp_path / "app.tar") as archive:
        largest = max(archive.getmembers(), key=lambda item: item.size)
        data[largest.offset_data + largest.size // 2] ^= 1
    with pytest.raises((DigestMismatchError, ArchiveError)):
        own.images.load(bytes(data))
    assert own.images() == []


@needs_skopeo
def test_skopeo_reads_and_writes_the_same(
    engine: Engine, own: Engine, app: str, tmp_path: Path
) -> None:
    engine.images.save(app, tmp_path / "app.tar")
    for source in ("docker-archive", "oci-archive"):
        found = json.loads(shell("skopeo", "inspect", f"{source}:{tmp_path / 'app.tar'}"))
        assert len(found["Layers"]) == 3
    for form in ("docker-archive", "oci-archive", "oci"):
        target = tmp_path / form
        shell(
            *("skopeo", "copy", f"oci-archive:{tmp_path / 'app.tar'}"),
            f"{form}:{target}:copied/{form}:1",
        )
        (image,) = own.images.load(target)
        assert image.id == engine.images.get(app).id
        assert f"copied/{form}:1" in image.names
        assert says(own, f"copied/{form}:1") == "two\n"


# -- the engines of Debian ------------------------------------------------------------------------


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose name is short enough for the sockets of other engines."""
    with tempfile.TemporaryDirectory(prefix="peer-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.mark.skipif(not os.path.exists(peer.DAEMON), reason="docker.io is not installed")
def test_docker_loads_ours_and_we_load_docker_s(
    engine: Engine, own: Engine, app: str, tmp_path: Path, short: Path
) -> None:
    engine.images.save("archived/app", tmp_path / "ours.tar")
    try:
        with peer.Docker(short / "docker", "--bridge=none", "--iptables=false") as docker:
            loaded = docker("load", "-i", str(tmp_path / "ours.tar"))
            assert loaded.splitlines() == [
                "Loaded image: archived/app:1",
                "Loaded image: archived/app:2",
            ]
            assert docker("images", "-q", "--no-trunc", app) == engine.images.get(app).id
            assert docker("run", "--rm", "--network", "none", app) == "two"
            docker("tag", app, "from/docker:1")
            docker("save", "-o", str(tmp_path / "docker.tar"), "from/docker:1", "archived/app:2")
    finally:
        peer.remove_cgroups(peer.CGROUP)
    (image,) = own.images.load(tmp_path / "docker.tar")
    assert image.id == engine.images.get(app).id
    assert image.names == ("from/docker:1", "archived/app:2")
    assert says(own, "from/docker:1") == "two\n"


@pytest.mark.skipif(not shutil.which("podman"), reason="podman is not installed")
def test_podman_loads_ours_and_we_load_podman_s(
    engine: Engine, own: Engine, app: str, tmp_path: Path, short: Path
) -> None:
    folders = ("--root", str(short / "root"), "--runroot", str(short / "runroot"))
    podman = ("podman", *folders, "--storage-driver", "vfs")
    engine.images.save(app, tmp_path / "ours.tar")
    assert "archived/app:1" in shell(*podman, "load", "-i", str(tmp_path / "ours.tar"))
    shell(*podman, "tag", "archived/app:1", "from/podman:1")
    for form in ("docker-archive", "oci-archive"):
        path = tmp_path / f"{form}.tar"
        shell(*podman, "save", "--format", form, "-o", str(path), "from/podman:1")
        (image,) = own.images.load(path)
        assert image.id == engine.images.get(app).id
        assert image.names == ("localhost/from/podman:1",)
        assert says(own, "localhost/from/podman:1") == "two\n"
        own.images.remove("localhost/from/podman:1")


# -- a full disk ----------------------------------------------------------------------------------


def test_a_load_on_a_full_disk(engine: Engine, app: str, tmp_path: Path) -> None:
    """It fails in one line, leaves the store whole, and goes on when there is room."""
    big = docker_archive(tar(member("big", os.urandom(8_000_000))), tags=["big:1"])
    small = tmp_path / "small"
    small.mkdir()
    shell("mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", str(small))
    try:
        with Engine(root=small / "root", run_root=tmp_path / "run") as tiny:
            with pytest.raises(StorageError, match="disk full") as caught:
                tiny.images.load(big)
            assert caught.value.hint
            assert tiny.images() == []
            assert tiny.system.check().problems == ()
            shell("mount", "-o", "remount,size=60m", str(small))
            assert tiny.images.load(big)[0].names == ("big:1",)
            assert tiny.system.check().problems == ()
            shell("mount", "-o", "remount,size=18m", str(small))
            with pytest.raises(StorageError, match="disk full"):
                tiny.images.save("big:1", small / "out.tar")
            assert [path.name for path in small.iterdir()] == ["root"]
    finally:
        shell("umount", "-l", str(small))


def test_a_pipe_between_two_stores(engine: Engine, app: str, tmp_path: Path) -> None:
    """``save … | load`` in a terminal: bytes on the output, nothing else."""
    command = [sys.executable, "-m", "jupyter_containers.cli"]

    def environment(root: Path, run_root: Path) -> dict[str, str]:
        places = {"ROOT": str(root), "RUN_ROOT": str(run_root)}
        return os.environ | {f"JUPYTER_CONTAINERS_{name}": path for name, path in places.items()}

    here = environment(engine.settings.root, engine.settings.run_root)
    there = environment(tmp_path / "root", tmp_path / "run")
    with subprocess.Popen(
        [*command, "save", app], env=here, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as saving:
        loaded = subprocess.run(
            [*command, "load", "-q"],
            check=False,
            env=there,
            stdin=saving.stdout,
            capture_output=True,
            text=True,
        )
        assert (loaded.returncode, loaded.stdout) == (0, f"Loaded image: {app}\n"), loaded.stderr
    assert saving.returncode == 0
    nothing = subprocess.run(
        [*command, "load"],
        check=False,
        env=there,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert nothing.returncode == 1
