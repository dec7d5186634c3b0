"""``system check`` finds damage that a test did on purpose, and repairs it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jupyter_containers.commands.execute import execute
from jupyter_containers.commands.session import Session
from jupyter_containers.engine import Container, Engine
from jupyter_containers.engine.system.fsck import CheckReport
from tests.integration.engine_fixtures import fresh_engine
from tests.integration.registry_server import ScriptedRegistry
from tests.integration.served_image import ServedImage, member, tar

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Engine]:
    """An engine with a base image and one that was built on it."""
    with fresh_engine(tmp_path / "own") as engine:
        engine.images.bootstrap("busybox")
        engine.build(tmp_path, dockerfile="FROM busybox\nRUN echo built > /built\n", tag="built")
        yield engine


def blob_file(engine: Engine, digest: str) -> Path:
    return engine._context.store.content.path(digest)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.chmod(0o600)
    path.write_bytes(data)


def layers(engine: Engine, name: str) -> list[tuple[str, Path]]:
    """Return blob and folder of each layer, lowest first."""
    store = engine._context.store
    records = [store.snapshots.get(chain) for chain in engine.images.get(name).record.chain_ids]
    return [(r.blob.digest, store.snapshots.root / r.directory) for r in records if r]


def kinds(report: CheckReport) -> set[str]:
    return {problem.kind for problem in report.problems}


def repaired(engine: Engine) -> set[str]:
    """Repair, check that no problem remains, and return the problems."""
    report = engine.system.check(repair=True)
    assert report.problems == ()
    assert engine.system.check().problems == ()
    return {problem.kind for problem in report.repaired}


def says(engine: Engine, name: str) -> str:
    return engine.run(name, ["cat", "/built"], rm=True, network="none").output


def test_a_whole_store(own: Engine) -> None:
    report = own.system.check()
    assert report.problems == ()
    assert (report.images, report.layers) == (2, 2)
    disk = sum(path.stat().st_size for path in own.settings.root.glob("content/blobs/sha256/*"))
    assert report.bytes == disk


def test_a_flipped_byte_in_what_can_be_made_again(own: Engine) -> None:
    digest, _ = layers(own, "built")[1]
    flip(blob_file(own, digest))
    assert kinds(own.system.check()) == {"damaged blob"}
    assert repaired(own) == {"damaged blob", "missing blob"}
    assert own._context.store.content.has(digest), "made again from the unpacked layer"
    assert says(own, "built") == "built\n"


def test_deleted_layers_are_unpacked_again(own: Engine) -> None:
    for _, folder in layers(own, "built"):
        shutil.rmtree(folder)
    assert kinds(own.system.check()) == {"missing layer"}
    assert repaired(own) == {"missing layer"}
    assert says(own, "built") == "built\n"


def test_a_changed_layer_is_unpacked_again(own: Engine) -> None:
    _, folder = layers(own, "built")[1]
    (folder / "built").write_text("something else")
    assert kinds(own.system.check()) == {"changed layer"}
    assert repaired(own) == {"changed layer"}
    assert says(own, "built") == "built\n"


def test_what_nobody_has_any_more_is_removed(own: Engine) -> None:
    kept = own.images.get("busybox")
    digest, folder = layers(own, "built")[1]
    blob_file(own, digest).unlink()
    shutil.rmtree(folder)
    assert kinds(own.system.check()) == {"missing blob", "missing layer"}
    assert repaired(own) == {"missing blob", "missing layer"}
    assert own.images() == [kept]
    blob_file(own, kept.digest).unlink()
    assert repaired(own) == {"missing blob"}
    assert own.images() == []


def test_a_registry_gives_back_what_is_lost(own: Engine) -> None:
    served = ServedImage()
    served.image([tar(member("a", b"1" * 1000)), tar(member("b", b"2"))], "1")
    with ScriptedRegistry(served) as registry:
        image = own.pull(f"{registry.host}/team/app:1")
        (first, one), (second, two) = layers(own, image.name)
        flip(blob_file(own, first))
        blob_file(own, second).unlink()
        blob_file(own, image.id).unlink()
        shutil.rmtree(one)
        shutil.rmtree(two)
        assert kinds(own.system.check()) == {"damaged blob", "missing blob", "missing layer"}
        repaired(own)
        assert own.images.get(image.name) == image
        assert (one / "a").read_bytes() == b"1" * 1000


def test_orphans_go(own: Engine) -> None:
    root = own.settings.root
    (root / "layers/nobodys/deep").mkdir(parents=True)
    (root / "uppers/nobodys/upper").mkdir(parents=True)
    (root / "ingest/rubbish").write_text("x")
    (root / "content/blobs/sha256/rubbish").write_text("x")
    (root / "content/blobs/sha256" / ("0" * 64)).symlink_to("/etc/passwd")
    report = own.system.check()
    assert {problem.kind for problem in report.problems} >= {"stray file"}
    assert len(report.problems) >= 5
    repaired(own)
    assert not (root / "layers/nobodys").exists()
    assert not (root / "uppers/nobodys").exists()
    assert os.path.exists("/etc/passwd")


def test_records_without_their_things(own: Engine) -> None:
    with closing(sqlite3.connect(own.settings.root / "records.db")) as database, database:
        names = ("docker.io/library/lost:1", f"sha256:{0:064}", f"sha256:{0:064}")
        database.execute("INSERT INTO names VALUES (?, ?, ?)", names)
        step = ("step", b"", f"sha256:{1:064}", 0, 0)
        database.execute("INSERT INTO cache VALUES (?, ?, ?, ?, ?)", step)
    (own.settings.root / "content/index.json").write_text("{}")
    found = {"lost name", "lost build step", "index out of date"}
    assert kinds(own.system.check()) == found
    assert repaired(own) == found


def test_a_container_s_things(own: Engine) -> None:
    container = own.containers.create("built", ["cat", "/built"], network="none")
    shutil.rmtree(own.settings.root / "uppers" / container.id)
    assert kinds(own.system.check()) == {"lost writable layer"}
    assert repaired(own) == {"lost writable layer"}
    container.start()
    assert container.wait() == 0
    container.remove()


def test_nothing_under_a_running_container_is_touched(own: Engine) -> None:
    container = own.run("built", ["sleep", "100"], detach=True, network="none")
    assert isinstance(container, Container)
    _, folder = layers(own, "built")[1]
    (folder / "built").write_text("something else")
    report = own.system.check(repair=True)
    assert kinds(report) == {"changed layer"}
    assert (folder / "built").read_text() == "something else"
    container.remove(force=True)
    assert repaired(own) == {"changed layer"}


def test_a_mount_that_was_left(own: Engine) -> None:
    point = own.settings.root / "staging" / "left"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(point)], check=True)
    assert kinds(own.system.check()) == {"left mount"}
    assert repaired(own) == {"left mount"}
    point.rmdir()


def test_the_command(own: Engine) -> None:
    session = Session(lambda: own)
    whole = execute(session, ["system", "check"])
    assert "all is well" in str(whole)
    assert whole.exit_status == 0
    flip(blob_file(own, layers(own, "built")[1][0]))
    found = execute(session, ["system", "check"])
    assert found.exit_status == 1
    assert str(found).splitlines()[1].split()[:3] == ["✗", "damaged", "blob"]
    assert "--repair" in str(found)
    mended = execute(session, ["system", "check", "--repair"])
    assert mended.exit_status == 0
    assert "2 repaired" in str(mended)
    assert "✓" in mended._repr_html_()
