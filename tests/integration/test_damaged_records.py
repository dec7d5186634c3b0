"""One bad record affects only the object that it describes.

Each table gets rows of garbage bytes, wrong types and nulls.  Seen to fail at 39323e0: every verb,
the repair and the reset too, ended with "a record in containers is damaged" (or a traceback of
``TypeError``, ``OperationalError`` or ``InvalidDigestError``) for all rows but those of
``blob_sources``.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jupyter_containers.commands.execute import execute
from jupyter_containers.commands.session import Session
from jupyter_containers.errors import (
    AlreadyExistsError,
    ContainerNotFoundError,
    InvalidArgumentError,
    StorageError,
    UnreadableRecordsError,
)
from jupyter_containers.store.damage import DamagedRecordWarning
from jupyter_containers.store.database import put_aside
from tests.integration.engine_fixtures import Place, demolish

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.filterwarnings("ignore::jupyter_containers.store.damage.DamagedRecordWarning"),
]

PROGRAM = (sys.executable, "-m", "jupyter_containers.cli")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A store with two images, a container that has ended and one that runs, volume, network."""
    made = Place.under(tmp_path)
    with made.engine() as engine:
        engine.images.bootstrap("busybox")
        engine.build(tmp_path, dockerfile="FROM busybox\nRUN echo built > /built\n", tag="built")
        engine.volumes.create("kept")
        engine.networks.create("lan")
        engine.run("busybox", ["touch", "/mine"], name="ended", network="none")
        engine.run("built", ["sleep", "300"], name="running", detach=True, network="lan")
    yield made
    if spoilt(made):
        put_aside(made.root / "records.db")
    with made.engine() as engine:
        demolish(engine)


def spoilt(place: Place) -> bool:
    try:
        place.engine().close()
    except UnreadableRecordsError:
        return True
    return False


def change(place: Place, *statements: str, values: tuple[object, ...] = ()) -> None:
    with closing(sqlite3.connect(place.root / "records.db")) as database:
        for statement in statements:
            assert database.execute(statement, values).rowcount > 0, statement
        database.commit()


def everything_works(place: Place) -> None:
    """Go through the verbs that the issue names, and others."""
    with place.engine() as engine:
        engine.containers(all=True)
        engine.images()
        engine.volumes()
        engine.networks()
        engine.builds.history()
        list(engine.system.events(follow=False))
        engine.system.df()
        engine.system.info()
        engine.system.prune_preview()
        engine.images.tag("busybox", "again")
        engine.images.remove("again")
        assert engine.run("busybox", ["echo", "works"], rm=True).output == "works\n"
        engine.run("busybox", ["true"], name="new", network="none")
        engine.containers.remove("new")
        context = place.root.parent / "context"
        context.mkdir(exist_ok=True)
        engine.build(context, dockerfile="FROM busybox\nRUN echo other > /built\n", tag="other")
        engine.images.remove("other")
        engine.volumes.create("more")
        engine.volumes.remove("more")
        engine.system.prune()


CASES = {
    "containers: null": "UPDATE documents SET value = replace(CAST(value AS TEXT),"
    ' \'"options":{\', \'"options":{"health":{"interval":null},\') WHERE name = \'ended\'',
    "containers: garbage": "UPDATE documents SET value = x'FF00FE7B5D' WHERE name = 'ended'",
    "containers: a number": "UPDATE documents SET value = 7 WHERE name = 'ended'",
    "containers: running": "UPDATE documents SET value = '{}' WHERE name = 'running'",
    "networks: garbage": "UPDATE documents SET value = x'FF' WHERE name = 'lan'",
    "networks: default": "UPDATE documents SET value = '[]' WHERE name = 'bridge'",
    "volumes: garbage": "UPDATE documents SET value = x'FF' WHERE name = 'kept'",
    "endpoints: types": "UPDATE documents SET value = '{\"id\":5}' WHERE collection = 'endpoints'",
    "builds: garbage": "UPDATE documents SET value = x'FF' WHERE collection = 'builds'",
    "built-steps: types": "UPDATE documents SET value = '7' WHERE collection = 'built-steps'",
    "images: garbage": "UPDATE images SET value = x'FF00'",
    "images: types": "UPDATE images SET value = '{\"manifest\":null}'",
    "images: digest": "UPDATE images SET config_digest = '../../etc'",
    "names: garbage": "UPDATE names SET name = x'FF00' WHERE name LIKE '%built%'",
    "names: not UTF-8": "UPDATE names SET name = CAST(x'FFFE' AS TEXT) WHERE name LIKE '%built%'",
    "names: digest": "UPDATE names SET manifest_digest = 'x', target_digest = 5"
    " WHERE name LIKE '%built%'",
    "layers: blob": "UPDATE layers SET blob = x'FF' WHERE parent <> ''",
    "layers: types": "UPDATE layers SET size = 'many', entries = x'00', created = 'now'"
    " WHERE parent <> ''",
    "layers: path": "UPDATE layers SET directory = '../../../../etc' WHERE parent <> ''",
    "cache: types": "UPDATE cache SET value = 7, created = 'then', used = x'00'",
    "cache: digest": "UPDATE cache SET chain_id = 'sha256:' || CAST(x'FF' AS TEXT)",
    "leases: garbage": "INSERT INTO leases VALUES (x'FF', x'FE', 'sha256:zz')",
    "counters: types": "INSERT OR REPLACE INTO counters VALUES"
    " ('lease epoch', 'x'), ('name changes', x'FF')",
    "blob sources": "INSERT INTO blob_sources VALUES (x'FF', 'a', CAST(x'FF' AS TEXT))",
    "journal: garbage": "UPDATE journal SET attributes = x'FF', type = x'00'",
    "journal: types": "UPDATE journal SET time = 'now' WHERE sequence % 2",
}


@pytest.mark.parametrize("case", CASES)
def test_a_damaged_row(place: Place, case: str) -> None:
    change(place, CASES[case])
    if case.startswith("images"):
        # Both images are damaged: operations that need one fail with a message, the others work.
        with place.engine() as engine:
            assert engine.images() == []
            assert len(engine.containers(all=True)) == 2
            engine.system.prune()
    elif case.startswith(("names", "layers")):
        with place.engine() as engine:
            assert len(engine.images()) >= 1
            assert engine.run("busybox", ["echo", "x"], rm=True, network="none").output == "x\n"
            engine.containers(all=True)
            engine.system.df()
            engine.system.prune_preview()
    else:
        everything_works(place)
    with place.engine() as engine:
        if case.startswith(("layers", "networks")):
            for container in engine.containers():
                engine.containers.stop(container.name, timeout=0)
        report = engine.system.check(repair=True)
        assert report.problems == (), report
        assert engine.system.check().problems == ()
        with warnings.catch_warnings():
            warnings.simplefilter("error", DamagedRecordWarning)
            names = {name for image in engine.images() for name in image.names}
            assert names == {"busybox:latest", "built:latest"}
            said = engine.run("built", ["cat", "/built"], rm=True, network="none").output
            assert said == "built\n"
            assert [volume.name for volume in engine.volumes()] == ["kept"]
            list(engine.system.events(follow=False))
    everything_works(place)


@pytest.mark.parametrize(
    "case", ["containers: running", "networks: garbage", "images: garbage", "layers: path"]
)
def test_a_reset_always_works(place: Place, case: str) -> None:
    change(place, CASES[case])
    pid = running_pid(place)
    with place.engine() as engine:
        engine.system.reset()
    assert not place.root.exists() or os.listdir(place.root) == []
    assert not Path(f"/proc/{pid}").exists(), "the container of the damaged record runs on"


def running_pid(place: Place) -> int:
    """Return the process of the container that runs, by the runtime's own files."""
    found = subprocess.run(
        ["pgrep", "-f", "^sleep 300$"], capture_output=True, text=True, check=True
    ).stdout.split()
    marks = {str(path.name) for path in (place.run_root / "runtime").iterdir()}
    for pid in found:
        if any(mark in Path(f"/proc/{pid}/cgroup").read_text() for mark in marks):
            return int(pid)
    raise AssertionError("nothing runs")


def test_the_one_warning_names_the_record(place: Place) -> None:
    change(place, CASES["containers: garbage"])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with place.engine() as engine:
            engine.containers(all=True)
            engine.containers(all=True)
            with pytest.raises(ContainerNotFoundError):
                engine.containers.get("ended")
            with pytest.raises(AlreadyExistsError, match="already in use"):
                engine.run("busybox", ["true"], name="ended", network="none")
    assert [str(each.message).count("of containers") for each in said] == [1]
    done = subprocess.run(
        [*PROGRAM, "ps", "-a"],
        env={**os.environ, **place.variables},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.count("WARNING: ") == 1
    assert "system check --repair" in done.stderr
    assert ".py:" not in done.stderr


def test_a_mended_container_keeps_its_files(place: Place) -> None:
    change(place, CASES["containers: null"])
    with place.engine() as engine:
        (problem,) = engine.system.check().problems
        assert (problem.kind, problem.subject) == ("damaged record", "containers/ended")
        assert engine.system.check(repair=True).problems == ()
        assert engine.containers.get("ended").diff()


def test_infinity_is_refused_and_never_recorded(place: Place) -> None:
    """``--health-interval`` with 309 digits; seen to end the store before."""
    digits = "9" * 309
    with place.engine() as engine:
        session = Session(lambda: engine)
        for line in (
            f"run -d --health-cmd true --health-interval {digits} busybox sleep 1",
            f"run -d --health-cmd true --health-interval {digits}h busybox sleep 1",
            f"run -d --stop-timeout {digits} busybox sleep 1",
            f"run -d --memory {digits}g busybox sleep 1",
            f"run -d --cpus 1e{digits[:3]} busybox sleep 1",
        ):
            with pytest.raises(InvalidArgumentError):
                execute(session, line)
        for number in (float("inf"), float("nan")):
            with pytest.raises(InvalidArgumentError):
                engine.run("busybox", ["true"], health_cmd="true", health_interval=number)
        assert {item.name for item in engine.containers(all=True)} == {"ended", "running"}


@pytest.mark.parametrize("spoil", ["header", "page", "nothing but zeros"])
def test_a_file_that_is_no_database(place: Place, spoil: str) -> None:
    """Seen to fail at 39323e0: "file is not a database" from every verb, the remedies too."""
    path = place.root / "records.db"
    data = bytearray(path.read_bytes())
    if spoil == "header":
        data[:100] = os.urandom(100)
    elif spoil == "page":
        data[100:4096] = bytes(3996)
    else:
        data[:] = bytes(len(data))
    path.write_bytes(data)

    def command(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *line.split()],
            env={**os.environ, **place.variables},
            capture_output=True,
            text=True,
            check=False,
        )

    refused = command("ps")
    assert refused.returncode == 1
    first, hint = refused.stderr.splitlines()
    assert str(path) in first
    assert "is damaged" in first
    assert "system check --repair" in hint
    with pytest.raises(StorageError):
        place.engine()
    mended = command("system check --repair")
    assert mended.returncode == 0, mended.stderr + mended.stdout
    with place.engine() as engine:
        assert {name for image in engine.images() for name in image.names} == {
            "busybox:latest",
            "built:latest",
        }
        assert [volume.name for volume in engine.volumes()] == ["kept"]
        assert engine.containers(all=True) == []
    everything_works(place)
    path.write_bytes(data)
    assert command("system reset --force").returncode == 0
    assert not place.root.exists() or os.listdir(place.root) == []
