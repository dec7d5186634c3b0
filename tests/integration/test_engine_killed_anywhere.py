"""SIGKILL at every stage of pull, push, load and prune: the store stays whole, the work goes on."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from tests.integration.deaths import Deaths, Work
from tests.integration.engine_fixtures import Place, demolish, run_program
from tests.integration.forker import Forker
from tests.integration.registry_server import DockerRegistry, ScriptedRegistry, missing_registry
from tests.integration.served_image import ServedImage, member, tar

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A separate store."""
    place = Place.under(tmp_path / "own")
    yield place
    with place.engine() as engine:
        demolish(engine)


@pytest.fixture
def deaths(forker: Forker) -> Deaths:
    return Deaths(forker)


@pytest.fixture(scope="module")
def image() -> ServedImage:
    served = ServedImage()
    layers = [tar(*(member(f"d{n}/f{m}", os.urandom(3000)) for m in range(20))) for n in range(2)]
    served.image(layers, "1")
    return served


def on_disk(engine: Engine) -> list[str]:
    """Return all blobs, and the folders of all layers."""
    store = engine._context.store
    layers = set(os.listdir(store.snapshots.root)) - {"scratch"}
    return sorted({*store.content.digests(), *layers})


def check(place: Place, point: str) -> None:
    """Fail when the next engine finds anything wrong."""
    with place.engine() as engine:
        report = engine.system.check()
        assert report.problems == (), point
        assert os.listdir(engine.settings.root / "staging") == [], point
        assert engine._context.store.leases.protected() == frozenset(), point


def emptied(place: Place) -> None:
    """Remove every image; nothing may be left."""
    with place.engine() as engine:
        for image in engine.images():
            engine.images.remove(image.id, force=True)
        engine.images.prune(all=True)
        assert on_disk(engine) == []


def survives(deaths: Deaths, place: Place, prepare: Work, work: Work, expected: Work) -> int:
    """Kill ``work`` at each of its points; afterwards all is well, and it can be done again."""
    with place.engine() as engine:
        prepare(engine)
    found = deaths.points(place, work)
    for point in found:
        emptied(place)
        with place.engine() as engine:
            prepare(engine)
        deaths.die_at(place, work, point)
        check(place, point)
        with place.engine() as engine:
            work(engine)
            assert expected(engine), point
        check(place, point)
    emptied(place)
    return len(found)


def nothing(engine: Engine) -> None:
    """Prepare nothing."""


def pull(engine: Engine, name: str) -> None:
    engine.pull(name)


def load(engine: Engine, archive: bytes) -> None:
    engine.images.load(archive)


def push(engine: Engine, name: str) -> None:
    engine.push(name)


def prune(engine: Engine, name: str) -> None:
    """Remove an image, or its remains if it was removed."""
    if engine._images.lookup(name):
        engine.images.remove(name, force=True)
    else:
        engine.images.prune()


def test_a_pull_may_die_anywhere(deaths: Deaths, place: Place, image: ServedImage) -> None:
    with ScriptedRegistry(image) as registry:
        name = f"{registry.host}/team/app:1"
        count = survives(
            deaths,
            place,
            nothing,
            partial(pull, name=name),
            lambda engine: engine.images.get(name).names == (name,) and len(on_disk(engine)) == 6,
        )
    assert count > 20


def test_a_load_may_die_anywhere(
    deaths: Deaths, place: Place, image: ServedImage, tmp_path: Path
) -> None:
    archive = io.BytesIO()
    with Place.under(tmp_path / "other").engine() as other, ScriptedRegistry(image) as registry:
        other.pull(f"{registry.host}/team/app:1")
        other.images.tag(f"{registry.host}/team/app:1", "app:1")
        other.images.save("app:1", archive, compression="gzip")
    count = survives(
        deaths,
        place,
        nothing,
        partial(load, archive=archive.getvalue()),
        lambda engine: engine.images.get("app:1").names == ("app:1",) and len(on_disk(engine)) == 6,
    )
    assert count > 20


@pytest.mark.skipif(bool(missing_registry()), reason=missing_registry() or "is there")
def test_a_push_may_die_anywhere(
    deaths: Deaths, place: Place, image: ServedImage, tmp_path: Path
) -> None:
    with ScriptedRegistry(image) as source, DockerRegistry(tmp_path / "registry") as registry:
        name = f"{registry.host}/team/app:1"

        def prepare(engine: Engine) -> None:
            engine.images.tag(engine.pull(f"{source.host}/team/app:1").id, name)
            shutil.rmtree(registry.folder / "data", ignore_errors=True)

        def pushed(engine: Engine) -> bool:
            digest = engine.images.get(name).digest
            with engine._context.registry(registry.host) as client:
                return client.resolve("team/app", "1").digest == digest

        count = survives(deaths, place, prepare, partial(push, name=name), pushed)
    assert count > 5


def test_a_prune_may_die_anywhere(deaths: Deaths, place: Place, image: ServedImage) -> None:
    with ScriptedRegistry(image) as registry:
        name = f"{registry.host}/team/app:1"

        def prepare(engine: Engine) -> None:
            engine.pull(name)
            engine.images.import_archive(tar(member("x", b"1")), "kept:1")

        count = survives(
            deaths,
            place,
            prepare,
            partial(prune, name=name),
            lambda engine: (
                [image.names for image in engine.images()] == [("kept:1",)]
                and len(on_disk(engine)) == 4
            ),
        )
    assert count > 8


_LOOP = """
import sys, time
from jupyter_containers.engine import Engine
from jupyter_containers.errors import ContainersError
root, run_root, what, name, folder = sys.argv[1:]
end, count = time.monotonic() + 3, 0
while time.monotonic() < end or count < 3:
    with Engine(root=root, run_root=run_root) as engine:
        try:
            if what == "pull":
                engine.images.remove(engine.pull(name).id, force=True)
            elif what == "build":
                text = f"FROM base:1\\nCOPY . /{count % 5}\\nLABEL count={count % 3}\\n"
                engine.build(folder, dockerfile=text, tag="built:1")
            else:
                engine.system.prune(all=False)
            count += 1
        except ContainersError as error:
            if what != "prune" or "busy" not in str(error):
                raise
print(count)
"""


def test_a_prune_beside_a_pull_and_a_build(
    place: Place, image: ServedImage, tmp_path: Path
) -> None:
    """Three kernels at once: nothing is pruned that the others are about to use."""
    context = tmp_path / "context"
    context.mkdir()
    (context / "file").write_bytes(os.urandom(100_000))
    with place.engine() as engine, ScriptedRegistry(image) as registry:
        engine.images.import_archive(tar(member("x", b"1")), "base:1")
        arguments = (str(place.root), str(place.run_root))
        kernels = {
            what: run_program(_LOOP, *arguments, what, f"{registry.host}/team/app:1", str(context))
            for what in ("pull", "build", "prune")
        }
        for what, kernel in kernels.items():
            out, errors = kernel.communicate(timeout=90)
            assert kernel.returncode == 0, f"{what}: {errors[-2000:]}"
            assert int(out) > 2, what
    check(place, "afterwards")
    with place.engine() as engine:
        engine.system.prune(all=True)
        assert on_disk(engine) == []
    check(place, "empty")
