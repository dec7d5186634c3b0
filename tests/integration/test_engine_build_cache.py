"""The build cache: its import and export, and its limits."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import StorageError, UnsupportedError
from jupyter_containers.events import Event, TaskFinished, TaskStarted
from tests.integration.build_bench import Bench
from tests.integration.engine_fixtures import demolish, fresh_engine
from tests.integration.registry_server import DockerRegistry, missing_registry
from tests.ports import free_port

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
needs_registry = pytest.mark.skipif(
    bool(missing_registry()), reason=missing_registry() or "is there"
)

TEXT = """\
FROM busybox AS tools
RUN cat /proc/sys/kernel/random/uuid > /tool
FROM busybox
ENV A=1
RUN cat /proc/sys/kernel/random/uuid > /stamp
COPY a /a
COPY --from=tools /tool /tool
RUN true
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with DockerRegistry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def base(bench: Bench, tmp_path: Path) -> Path:
    """Return an archive of busybox, so that every store has the same base image."""
    path = tmp_path / "busybox.tar"
    bench.engine.images.save("busybox", output=path)
    bench.write("a", "1")
    return path


@pytest.fixture
def other(base: Path, tmp_path: Path) -> Iterator[Engine]:
    """Yield an engine whose store has the base image and nothing else."""
    with fresh_engine(tmp_path / "other") as engine:
        engine.images.load(base)
        yield engine
        demolish(engine)


def built(engine: Engine, bench: Bench, text: str = TEXT, **flags: Any) -> dict[str, str]:
    """Build, and return the outcome of each step by its title."""
    events: list[Event] = []
    image = engine.build(
        bench.context, dockerfile=text, emit=events.append, network="none", **flags
    )
    titles = {event.task: event.title for event in events if isinstance(event, TaskStarted)}
    outcomes = {
        titles[event.task]: event.outcome for event in events if isinstance(event, TaskFinished)
    }
    script = ["sh", "-c", "cat /stamp /tool || true"]
    outcomes["stamps"] = engine.run(image, script, rm=True, network="none").stdout.decode()
    return outcomes


def carried_out(outcomes: dict[str, str]) -> list[str]:
    return [title for title, outcome in outcomes.items() if "/" in title[:14] and outcome == "done"]


def test_a_folder_carries_all_steps_of_all_stages(
    bench: Bench, other: Engine, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    first = built(bench.engine, bench, cache_to=f"type=local,dest={folder},mode=max", no_cache=True)
    second = built(other, bench, cache_from=f"type=local,src={folder}")
    assert carried_out(second) == []
    assert second["stamps"] == first["stamps"] != ""
    third = built(other, bench)
    assert carried_out(third) == [], "what was taken over is in the store's own cache"
    index = json.loads((folder / "index.json").read_bytes())
    assert [entry["annotations"] for entry in index["manifests"]] == [
        {"org.opencontainers.image.ref.name": "latest"}
    ]


def test_mode_min_has_the_steps_of_the_last_stage_only(
    bench: Bench, other: Engine, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    first = built(bench.engine, bench, cache_to=f"type=local,dest={folder}", no_cache=True)
    second = built(other, bench, cache_from=f"type=local,src={folder}")
    assert "[tools 2/2] RUN cat /proc/sys/kernel/random/uuid > /tool" in carried_out(second)
    assert "[stage-1 3/6] RUN cat /proc/sys/kernel/random/uuid > /stamp" not in carried_out(second)
    assert second["stamps"].split()[0] == first["stamps"].split()[0]


@needs_registry
def test_a_registry_carries_a_cache(bench: Bench, other: Engine, registry: DockerRegistry) -> None:
    ref = f"{registry.host}/team/cache:main"
    first = built(bench.engine, bench, cache_to=f"type=registry,ref={ref},mode=max", no_cache=True)
    second = built(other, bench, cache_from=f"type=registry,ref={ref}")
    assert carried_out(second) == []
    assert second["stamps"] == first["stamps"]


@needs_registry
def test_an_image_carries_its_own_steps(
    bench: Bench, other: Engine, registry: DockerRegistry
) -> None:
    ref = f"{registry.host}/team/app:1"
    text = "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /stamp\nCOPY a /a\n"
    first = built(
        bench.engine, bench, text, cache_to="type=inline", tag=ref, push=True, no_cache=True
    )
    second = built(other, bench, text + "RUN echo more > /more\n", cache_from=ref)
    assert carried_out(second) == ["[4/4] RUN echo more > /more"]
    assert second["stamps"] == first["stamps"] != ""


@needs_registry
def test_an_image_without_a_cache_is_passed_over(
    bench: Bench, other: Engine, registry: DockerRegistry
) -> None:
    ref = f"{registry.host}/team/plain:1"
    text = "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /stamp\n"
    built(bench.engine, bench, text, tag=ref, push=True)
    second = built(other, bench, text, cache_from=ref)
    assert second[f"importing the build cache from {ref}"] == "failed"
    assert len(carried_out(second)) == 1


def test_a_place_that_cannot_be_read_is_told_of_and_passed_over(
    bench: Bench, tmp_path: Path
) -> None:
    places = [f"type=local,src={tmp_path}/none", f"localhost:{free_port()}/gone"]
    found = built(bench.engine, bench, "FROM busybox\nRUN echo $$ new\n", cache_from=places)
    assert [outcome for title, outcome in found.items() if title.startswith("importing")] == [
        "failed",
        "failed",
    ]


def test_a_cache_of_buildkits_is_told_apart(bench: Bench, tmp_path: Path) -> None:
    config = b'{"layers": [], "records": []}'
    entry = {
        "mediaType": "application/vnd.buildkit.cacheconfig.v0",
        "digest": f"sha256:{hashlib.sha256(config).hexdigest()}",
        "size": len(config),
    }
    kind = "application/vnd.oci.image.index.v1+json"
    index = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": [entry]}).encode()
    digest = hashlib.sha256(index).hexdigest()
    (tmp_path / "blobs/sha256").mkdir(parents=True)
    (tmp_path / "blobs/sha256" / digest).write_bytes(index)
    name = {"org.opencontainers.image.ref.name": "latest"}
    whole = {
        "mediaType": kind, "digest": f"sha256:{digest}", "size": len(index), "annotations": name,
    }  # fmt: skip
    (tmp_path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [whole]}))
    bench.build("FROM busybox\nRUN echo $$ b\n", cache_from=f"type=local,src={tmp_path}")
    told = [one.detail for one in bench.events if isinstance(one, TaskFinished)]
    assert "a cache written by BuildKit; its keys mean nothing to another builder" in told


def test_a_damaged_layer_of_a_cache_is_never_used(
    bench: Bench, other: Engine, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    text = "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /stamp\n"
    built(bench.engine, bench, text, cache_to=f"type=local,dest={folder}", no_cache=True)
    for blob in (folder / "blobs/sha256").iterdir():
        if b"schemaVersion" not in blob.read_bytes() and b"steps" not in blob.read_bytes():
            blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    found = built(other, bench, text, cache_from=f"type=local,src={folder}")
    assert len(carried_out(found)) == 1
    assert found["stamps"]


def test_a_cache_that_cannot_be_written(bench: Bench, tmp_path: Path) -> None:
    bench.write("a", "1")
    (tmp_path / "file").write_text("x")
    place = f"type=local,dest={tmp_path}/file/x"
    with pytest.raises(StorageError):
        built(bench.engine, bench, cache_to=place)
    assert built(bench.engine, bench, cache_to=f"{place},ignore-error=true")["stamps"]
    with pytest.raises(UnsupportedError, match="gha"):
        built(bench.engine, bench, cache_to="type=gha")


def test_no_cache_does_not_read_but_writes(bench: Bench) -> None:
    bench.write("a", "1")
    first = built(bench.engine, bench, no_cache=True)
    second = built(bench.engine, bench)
    assert carried_out(second) == []
    assert second["stamps"] == first["stamps"]
    third = built(bench.engine, bench, no_cache_filter=["tools"])
    assert carried_out(third) == [
        "[tools 2/2] RUN cat /proc/sys/kernel/random/uuid > /tool",
        "[stage-1 5/6] COPY --from=tools /tool /tool",
        "[stage-1 6/6] RUN true",
    ]


@pytest.fixture
def own(tmp_path: Path, base: Path) -> Iterator[Engine]:
    with fresh_engine(tmp_path / "own") as engine:
        engine.images.load(base)
        yield engine


def grow(engine: Engine, bench: Bench, name: str, size: int = 1_000_000, **flags: Any) -> None:
    """Build a chain of two steps, the first of ``size`` bytes that do not compress."""
    text = f"FROM busybox\nRUN head -c {size} /dev/urandom > /{name}\nRUN echo {name} > /n\n"
    engine.build(bench.context, dockerfile=text, network="none", **flags)


def disk(engine: Engine) -> int:
    return sum(line.size for line in engine.system.df())


def test_records_of_the_cache_and_their_prune(own: Engine, bench: Bench, tmp_path: Path) -> None:
    grow(own, bench, "kept", tag="kept:1")
    grow(own, bench, "loose", output=str(tmp_path / "out"))
    mount = "FROM busybox\nRUN --mount=type=cache,target=/c head -c 5000 /dev/zero > /c/f\n"
    own.build(bench.context, dockerfile=mount, tag="mount:1", network="none")
    records = own.builds.records()
    assert [record.description[:14] for record in records if not record.shared] == [
        "RUN echo loose", "RUN head -c 10", "cache mount /c"
    ]  # fmt: skip
    large = [record for record in records if record.size > 1_900_000]
    assert [record.shared for record in large] == [True, False]
    before = disk(own)
    result = own.builds.prune()
    assert before - disk(own) == result.freed > 2_000_000
    assert all(record.shared for record in own.builds.records()), "an image's steps stay"
    assert own.builds.records()
    own.builds.prune(all=True)
    assert own.builds.records() == []
    assert own.run("kept:1", ["cat", "/n"], rm=True, network="none").stdout == b"kept\n"


def test_a_prune_by_size_takes_the_least_recently_used(own: Engine, bench: Bench) -> None:
    for name in ("one", "two", "three"):
        grow(own, bench, name, output=str(bench.context / "out"))
    grow(own, bench, "one", output=str(bench.context / "out"))
    assert own.builds.prune(max_used_space="100g").removed == ()
    own.builds.prune(max_used_space=4_500_000)
    left = " ".join(record.description for record in own.builds.records())
    assert "/one" in left
    assert "/two" not in left
    assert "/three" in left
    own.builds.prune(max_used_space=0)
    assert own.builds.records() == []


def test_a_prune_by_age(own: Engine, bench: Bench) -> None:
    grow(own, bench, "old", output=str(bench.context / "out"))
    database = own._context.store._database
    with database.transaction("make the entries old") as connection:
        connection.execute("UPDATE cache SET used = used - 7200")
    grow(own, bench, "new", output=str(bench.context / "out"))
    own.builds.prune(filters=["until=24h"])
    assert len(own.builds.records()) == 4
    own.builds.prune(filters={"until": "1h"})
    assert [record.description[-4:] for record in own.builds.records()] == ["> /n", "/new"]


def test_a_prune_leaves_what_a_build_works_with(own: Engine, bench: Bench) -> None:
    with own._context.store.leases.hold() as lease:
        grow(own, bench, "busy", output=str(bench.context / "out"))
        layers = own._context.store.snapshots.layers.all()
        lease.add(*(layer.chain_id for layer in layers))
        assert [record.in_use for record in own.builds.records()] == [True, True]
        assert own.builds.prune(all=True).removed == ()


def test_a_prune_forgets_the_digests_of_contexts(own: Engine, bench: Bench) -> None:
    folder = own.settings.root / "contexts"
    os.utime(bench.write("a", "1"), (1000, 1000))
    own.build(bench.context, dockerfile="FROM scratch\nCOPY a /a\n")
    time.sleep(2.6)  # a file that is young when it is read is not remembered
    bench.write("b", "1")
    own.build(bench.context, dockerfile="FROM scratch\nCOPY a /a\n")
    own.builds.prune(max_used_space="1gb")
    kept = list(folder.iterdir())
    assert kept, "the digests of the context are remembered"
    own.builds.prune(filters=["until=1h"])
    assert list(folder.iterdir()) == kept
    os.utime(kept[0], (1000, 1000))
    size = kept[0].stat().st_size
    assert own.builds.prune(filters=["until=1h"]).freed >= size
    assert list(folder.iterdir()) == []
    own.build(bench.context, dockerfile="FROM scratch\nCOPY a /a\n")
