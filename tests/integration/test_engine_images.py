"""Images of a real store: names, removal, history, inspect, import, prune, df and bootstrap."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.engine import Container, Engine, Image
from jupyter_containers.errors import (
    ArchiveError,
    ContainersError,
    ImageNotFoundError,
    InUseError,
    InvalidArgumentError,
    InvalidReferenceError,
)
from jupyter_containers.events import CancelToken, Event, TaskFinished, TaskOutput, TaskStarted
from tests.integration.engine_fixtures import busybox_program, fresh_engine, nothing_left
from tests.integration.registry_server import Answer, Asked, ScriptedRegistry

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Engine]:
    """An engine with its own store that contains busybox."""
    with fresh_engine(tmp_path / "own") as engine:
        engine.images.bootstrap("busybox")
        yield engine


def on_disk(engine: Engine) -> int:
    """Return the bytes of all blobs and of the regular files of all layers."""
    root = engine.settings.root
    total, seen = 0, set()
    for folder in ("content/blobs", "layers"):
        for path in (root / folder).rglob("*"):
            status = path.lstat()
            if path.is_file() and not path.is_symlink() and status.st_ino not in seen:
                seen.add(status.st_ino)
                total += status.st_size
    return total


def variant(engine: Engine, text: str, **flags: object) -> Image:
    return engine.build({}, dockerfile=f"FROM busybox\nRUN {text}\n", **flags)


def test_names(own: Engine) -> None:
    image = own.images.get("busybox")
    own.images.tag("busybox", "localhost:5000/team/tool:v1")
    own.images.tag(image.short_id, "tool")
    names = own.images.get("tool").names
    assert set(names) == {"busybox:latest", "localhost:5000/team/tool:v1", "tool:latest"}
    assert own.images.get("localhost:5000/team/tool:v1") == own.images.get(image.id[7:20])
    other = variant(own, "echo 1 > /1", tag="tool")
    assert own.images.get("tool") == other, "a name moves to the image that got it last"
    for bad in ("UPPER", "a b", "x:", "tool@sha256:" + "0" * 64):
        with pytest.raises(InvalidReferenceError):
            own.images.tag("busybox", bad)
    with pytest.raises(ImageNotFoundError) as caught:
        own.images.get("busybux")
    assert "busybox" in caught.value.hint


def test_removing_one_of_several_names_only_untags(own: Engine) -> None:
    image = own.images.get("busybox")
    own.images.tag("busybox", "second")
    assert own.images.remove("second") == ["Untagged: second:latest"]
    assert own.images.get("busybox").names == ("busybox:latest",)
    lines = own.images.remove("busybox")
    assert lines[0] == "Untagged: busybox:latest"
    assert lines[1:] == [f"Deleted: {one}" for one in (image.id, *image.record.chain_ids)]
    assert own.images() == []
    assert on_disk(own) == 0
    with pytest.raises(ImageNotFoundError):
        own.images.remove("busybox")


def test_removing_by_id(own: Engine) -> None:
    image = own.images.get("busybox")
    own.images.tag("busybox", "second")
    with pytest.raises(InUseError, match="several names"):
        own.images.remove(image.short_id)
    assert len(own.images.remove(image.short_id, force=True)) == 4
    assert own.images() == []


def test_an_image_of_a_container_stays(own: Engine) -> None:
    container = own.containers.create("busybox", ["true"])
    with pytest.raises(InUseError, match=container.name):
        own.images.remove("busybox")
    own.images.tag("busybox", "second")
    own.images.remove("second")
    assert own.images.remove("busybox", force=True) == ["Untagged: busybox:latest"]
    container.start()
    assert container.wait() == 0, "its layers are still there"
    container.remove()
    assert [image.names for image in own.images()] == [()]
    own.images.prune()
    assert on_disk(own) == 0


def test_an_image_of_a_running_container_stays_even_by_force(own: Engine) -> None:
    container = own.run("busybox", ["sleep", "100"], detach=True, network="none")
    assert isinstance(container, Container)
    with pytest.raises(InUseError, match="running"):
        own.images.remove("busybox", force=True)
    container.remove(force=True)


def test_history_and_inspect_are_dockers(own: Engine) -> None:
    image = own.build(
        {},
        dockerfile="FROM busybox\nENV A=b\nRUN echo 12345 > /f\nUSER 7:8\nSTOPSIGNAL INT\n"
        'HEALTHCHECK --interval=5s CMD true\nENTRYPOINT ["sh"]\nEXPOSE 53/udp\n',
        tag="shown:1",
    )
    steps = image.history()
    assert [step.created_by.split()[0] for step in steps] == [
        "EXPOSE",
        "ENTRYPOINT",
        "HEALTHCHECK",
        "STOPSIGNAL",
        "USER",
        "RUN",
        "ENV",
        "bootstrap",
    ]
    assert [step.size for step in steps][5] == 6
    assert steps[0].id == image.id
    assert {step.id for step in steps[1:]} == {"<missing>"}
    document = image.inspect()
    assert document["Id"] == image.id
    assert document["RepoTags"] == ["shown:1"]
    assert document["RepoDigests"] == [f"shown@{image.digest}"]
    assert (document["Os"], document["Architecture"]) == ("linux", image.architecture)
    config = document["Config"]
    assert (config["User"], config["StopSignal"]) == ("7:8", "INT")
    assert (config["Entrypoint"], config["Cmd"]) == (["sh"], None)
    assert config["ExposedPorts"] == {"53/udp": {}}
    assert config["Healthcheck"] == {"Test": ["CMD-SHELL", "true"], "Interval": 5_000_000_000}
    assert config["Env"][-1] == "A=b"
    assert len(document["RootFS"]["Layers"]) == 2
    assert document["Size"] == own.images.get("busybox").size + 6
    json.dumps(document)


def a_root(members: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def test_import(own: Engine, tmp_path: Path) -> None:
    tar = a_root({"bin/sh": busybox_program(own), "etc/x": b"x"})
    (tmp_path / "root.tar").write_bytes(tar)
    changes = ['CMD ["sh", "-c", "cat /etc/x; echo $A"]', "ENV A=b", "WORKDIR /etc"]
    image = own.images.import_archive(
        tmp_path / "root.tar", "imported:1", changes=changes, message="why"
    )
    again = own.images.import_archive(io.BytesIO(tar), changes=changes)
    assert again.inspect()["RootFS"] == image.inspect()["RootFS"], "the same bytes, one layer"
    assert again.names == ()
    assert image.history()[0].comment == "why"
    result = own.run(image, ["sh", "-c", 'read x < x; echo "$x$A" || true'], rm=True, check=False)
    assert result.stdout in (b"xb\n", b"b\n")
    with pytest.raises(InvalidArgumentError, match="RUN is not a valid change"):
        own.images.import_archive(tar, changes=["RUN true"])
    with pytest.raises(InvalidArgumentError, match="cannot read"):
        own.images.import_archive(tmp_path / "missing.tar")


@pytest.mark.parametrize("name", ["../../evil", "/evil"])
def test_import_of_a_hostile_tar_stays_inside(own: Engine, tmp_path: Path, name: str) -> None:
    before = {path.name for path in tmp_path.parent.iterdir()}
    image = own.images.import_archive(a_root({name: b"x", "bin/f": b""}))
    assert {path.name for path in tmp_path.parent.iterdir()} == before
    assert not Path("/evil").exists()
    assert image.size == 1


def test_import_of_garbage_leaves_nothing(own: Engine) -> None:
    size = on_disk(own)
    for data in (b"no tar at all" * 100, a_root({"f": b"x" * 5000})[:3000]):
        with pytest.raises(ArchiveError):
            own.images.import_archive(data, "broken")
    assert [image.name for image in own.images()] == ["busybox:latest"]
    assert on_disk(own) == size
    assert not list((own.settings.root / "staging").iterdir())


def test_df_is_what_the_disk_holds_and_prune_frees_what_df_says(own: Engine) -> None:
    variant(own, "head -c 100000 /dev/urandom > /big", tag="kept")
    dangling = variant(own, "head -c 50000 /dev/urandom > /big2")
    text = "--mount=type=cache,target=/c head -c 3000 /dev/zero > /c/f; true"
    variant(own, text, tag="kept")
    lines = {line.type: line for line in own.system.df()}
    cached = 3000
    assert sum(line.size for line in lines.values()) == on_disk(own) + cached
    assert lines["Images"].total == len(own.images())
    assert (lines["Images"].active, lines["Images"].reclaimable) == (0, lines["Images"].size)

    own.containers.create("busybox", ["true"], name="user")
    lines = {line.type: line for line in own.system.df()}
    assert lines["Images"].active == 1
    before = on_disk(own)
    result = own.images.prune()
    assert f"deleted: {dangling.id}" in result.removed
    assert result.freed == before - on_disk(own)
    size = on_disk(own)
    result = own.builds.prune()
    assert result.freed == size + cached - on_disk(own)
    before = on_disk(own)
    reclaimable = {line.type: line for line in own.system.df()}["Images"].reclaimable
    result = own.images.prune(all=True)
    assert result.freed == before - on_disk(own) == reclaimable
    assert [image.name for image in own.images()] == ["busybox:latest"]
    own.system.prune(all=True)
    assert own.images() == []
    assert on_disk(own) == 0
    assert [line.size for line in own.system.df()] == [0, 0, 0, 0]


def test_filters(own: Engine) -> None:
    variant(own, "echo 1 > /1", tag="team/app:1", label=["tier=web"])
    variant(own, "echo 2 > /2")

    def names(**filters: list[str]) -> list[str]:
        return sorted(image.name for image in own.images(filters=filters))

    assert names(reference=["team/*"]) == ["team/app:1"]
    assert names(reference=["busybox"]) == ["busybox:latest"]
    assert names(label=["tier=web"]) == ["team/app:1"]
    assert names(label=["tier=db"]) == []
    assert len(names(dangling=["true"])) == 1
    assert names(dangling=["false"]) == ["busybox:latest", "team/app:1"]
    with pytest.raises(InvalidArgumentError, match="invalid filter"):
        names(size=["1"])


@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")
def test_other_tools_read_the_store(own: Engine) -> None:
    layout = own.settings.root / "content"

    def inspect(name: str) -> dict[str, object]:
        done = subprocess.run(
            ["skopeo", "inspect", f"oci:{layout}:{name}"], capture_output=True, check=False
        )
        return json.loads(done.stdout) if done.returncode == 0 else {}

    assert inspect("busybox:latest")["Digest"] == own.images.get("busybox").digest
    image = variant(own, "echo 1 > /1", tag="localhost:5000/app:1")
    assert inspect("localhost:5000/app:1")["Digest"] == image.digest
    own.images.tag("busybox", "second:2")
    own.images.remove("busybox")
    assert inspect("second:2")
    assert not inspect("busybox:latest")


# -- bootstrap ------------------------------------------------------------------------------------


def test_bootstrap_is_reproducible(own: Engine, tmp_path: Path) -> None:
    with fresh_engine(tmp_path / "other") as other:
        second = other.images.bootstrap("busybox")
        assert second.inspect()["RootFS"] == own.images.get("busybox").inspect()["RootFS"]
        assert second.digest == own.images.get("busybox").digest


def test_bootstrap_of_an_image_that_is_here_changes_nothing(own: Engine) -> None:
    events: list[Event] = []
    assert own.images.bootstrap("busybox", emit=events.append) == own.images.get("busybox")
    assert events == []


@pytest.mark.parametrize("name", ["alpine", "debian:potato", "python:2.7", "quay.io/busybox"])
def test_bootstrap_of_the_unknown_says_what_there_is(own: Engine, name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="cannot bootstrap") as caught:
        own.images.bootstrap(name)
    assert "debian:bookworm" in caught.value.hint


needs_mmdebstrap = pytest.mark.skipif(
    not shutil.which("mmdebstrap"), reason="mmdebstrap is not installed"
)


@needs_mmdebstrap
def test_an_interrupted_bootstrap_leaves_nothing(own: Engine) -> None:
    cancel, seen = CancelToken(), threading.Event()
    events: list[Event] = []
    sent: list[float] = []

    def emit(event: Event) -> None:
        events.append(event)
        if isinstance(event, TaskOutput) and b"installing" in event.data:
            seen.set()

    def interrupt() -> None:
        seen.wait(60)
        time.sleep(0.5)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    size = on_disk(own)
    started = time.monotonic()
    with nothing_left(own):
        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            own.images.bootstrap("debian:bookworm-slim", emit=emit, cancel=cancel)
        took = time.monotonic() - sent[0]
        thread.join()
    assert seen.is_set()
    assert took < sent[0] - started, "sooner than to go on: what was unpacked is deleted"
    assert isinstance(events[0], TaskStarted)
    assert isinstance(events[-1], TaskFinished)
    assert events[-1].outcome == "cancelled"
    assert [image.name for image in own.images()] == ["busybox:latest"]
    assert on_disk(own) == size
    assert not list((own.settings.root / "staging").iterdir())
    assert str(own.settings.root) not in Path("/proc/mounts").read_text()


@needs_mmdebstrap
def test_debian_is_reproducible(engine: Engine, debian: str, tmp_path: Path) -> None:
    events: list[Event] = []
    with fresh_engine(tmp_path / "second") as other:
        second = other.images.bootstrap("debian:bookworm-slim", emit=events.append)
        assert second.digest == engine.images.get(debian).digest
        result = other.run(
            second, ["sh", "-c", "cat /etc/debian_version; dpkg -l | wc -l"], rm=True
        )
        assert result.stdout.startswith(b"12.")
    lines = [event.data for event in events if isinstance(event, TaskOutput)]
    assert any(line.startswith(b"I: ") for line in lines)
    assert all(line.endswith(b"\n") and len(line) < 300 for line in lines)


def test_filters_of_listing_and_pruning(own: Engine) -> None:
    first = variant(own, "echo 1 > /1", tag="team/one:1", label=["tier=base"])
    variant(own, "echo 2 > /2", tag="team/two:1", label=["tier=app"])
    own.images.tag("team/two:1", "other:1")

    def listed(**filters: list[str]) -> list[str]:
        return sorted(name for image in own.images(filters=filters) for name in image.names)

    assert listed(since=["busybox"]) == ["other:1", "team/one:1", "team/two:1"]
    assert listed(since=[first.id]) == ["other:1", "team/two:1"]
    assert listed(before=["other:1"], label=["tier"]) == ["team/one:1"]
    assert listed(reference=["team/*"]) == ["team/one:1", "team/two:1"], "other:1 is left out"
    assert listed(until=["1h"]) == ["busybox:latest"]
    own.images.remove("team/one:1", no_prune=True)
    own.images.tag("busybox", "team/two:1")
    own.images.remove("other:1", no_prune=True)
    variant(own, "echo 3 > /3", label=["keep=1"])
    kept = variant(own, "echo 4 > /4", label=["keep=2"])
    removed = own.images.prune(filters={"label!": ["keep=2"]}).removed
    assert len(removed) == 1
    assert [image.id for image in own.images(filters={"dangling": ["true"]})] == [kept.id]
    assert own.images.prune(filters={"until": ["1h"]}).removed == ()
    assert own.images.prune(filters={"label": ["keep=2"]}).removed == (f"deleted: {kept.id}",)


def test_the_layers_of_an_image(own: Engine) -> None:
    text = (
        "FROM busybox\nRUN mkdir /d && head -c 1000 /dev/zero > /d/a && echo x > /b\n"
        'RUN head -c 600 /dev/zero > /d/a && rm /b\nRUN rm -r /d\nCMD ["x"]\n'
    )
    own.build({}, dockerfile=text, tag="layered")
    found = own.images.layers("layered")
    assert [layer.created_by.split()[0] for layer in found.layers] == [
        "bootstrap",
        "RUN",
        "RUN",
        "RUN",
    ]
    assert [(c.kind, c.path, c.size) for c in found.layers[2].changes] == [
        ("removed", "/b", 2),
        ("changed", "/d/a", 600),
    ]
    assert [(c.kind, c.path, c.size) for c in found.layers[3].changes] == [("removed", "/d", 600)]
    # /d/a: 1000 + 600 bytes in two layers; /b: 2 bytes, then a whiteout without any.
    assert [(path.path, path.size) for path in found.wasted] == [("/d/a", 1600), ("/b", 2)]
    assert found.wasted_bytes == 1602
    assert [layer.wasted for layer in found.layers] == [0, 1002, 600, 0]
    busybox = own.images.get("busybox").size
    assert found.efficiency == pytest.approx((busybox + 600 + 600) / (busybox + 1602 + 600))
    assert own.images.layers("busybox").efficiency == 1.0


def test_how_two_images_differ(own: Engine) -> None:
    text = 'FROM busybox\nENV A=1\nRUN echo x > /new && rm /bin/vi && chmod 700 /tmp\nCMD ["new"]\n'
    own.build({}, dockerfile=text, tag="other")
    found = own.images.diff("busybox", "other")
    assert [(file.kind, file.path) for file in found.files] == [
        ("removed", "/bin/vi"),
        ("added", "/new"),
        ("changed", "/tmp"),
    ]
    settings = {item.setting: (item.before, item.after) for item in found.settings}
    assert settings["Env A"] == (None, "1")
    assert settings["Cmd"][1] == "['new']"
    assert (found.shared_layers, found.size_after - found.size_before) == (1, 2)
    same = own.images.diff("busybox", "busybox")
    assert (same.files, same.settings) == ((), ())


def test_the_tree_of_layers(own: Engine) -> None:
    variant(own, "echo 1 > /1", tag="one")
    variant(own, "echo 2 > /2", tag="two")
    (root,) = own.images.tree()
    assert root.images == ["busybox:latest"]
    assert sorted(node.images[0] for node in root.children) == ["one:latest", "two:latest"]
    assert [node.size for node in root.children] == [2, 2]


def test_what_each_thing_takes(own: Engine) -> None:
    """``system df`` counts the unique bytes of images, and shared bytes once."""
    variant(own, "head -c 70000 /dev/urandom > /big", tag="one")
    own.containers.create("one", ["true"], name="user")
    details = own.system.disk_details()
    spaces = {name: space for space in details.images for name in space.names}
    base, built = spaces["busybox:latest"], spaces["one:latest"]
    assert (base.containers, built.containers) == (0, 1)
    assert built.size == built.shared + built.unique
    assert built.shared == base.shared > 1_000_000
    assert built.unique > 140_000, "the layer unpacked and as an archive"
    images = {line.type: line for line in own.system.df()}["Images"]
    assert base.unique + built.unique + base.shared == images.size
    assert [(item.name, item.size) for item in details.containers] == [("user", 0)]
    own.containers.remove("user")
    before = on_disk(own)
    own.images.remove("one")
    own.builds.prune()
    assert before - on_disk(own) == built.unique


def test_what_happens_to_images_is_told(own: Engine, tmp_path: Path) -> None:
    start = own._context.journal.last()
    image = own.images.get("busybox")
    own.images.tag("busybox", "second:1")
    own.images.save("second:1", tmp_path / "x.tar")
    own.images.remove("second:1")
    own.images.load(tmp_path / "x.tar")
    own.images.remove(image.id, force=True)
    events = own.system.events(after=start, filters={"type": ["image"]}, follow=False)
    found = [(event.action, event.id, event.attributes["name"]) for event in events]
    assert found == [
        ("tag", image.id, "second:1"),
        ("save", image.id, image.id),
        ("untag", image.id, image.id),
        ("load", image.id, image.id),
        ("untag", image.id, image.id),
        ("untag", image.id, image.id),
        ("delete", image.id, image.id),
    ]


def test_import_from_an_address(own: Engine, tmp_path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as archive:
        archive.addfile(tarfile.TarInfo("hello"))

    def script(asked: Asked) -> Answer:
        return Answer(200, {}, data.getvalue()) if asked.path == "/root.tar.xz" else Answer(404)

    with ScriptedRegistry(script) as server:
        image = own.images.import_archive(
            f"{server.url}/root.tar.xz", "net:1", message="from afar", platform="linux/arm64/v8"
        )
        assert str(image.platform) == "linux/arm64/v8"
        assert image.history()[0].comment == "from afar"
        plain = own.images.import_archive(f"{server.url}/root.tar.xz")
        assert plain.history()[0].comment == f"Imported from {server.url}/root.tar.xz"
        with pytest.raises(ContainersError, match="404"):
            own.images.import_archive(f"{server.url}/missing")
    assert os.listdir(own.settings.root / "staging") == []


def test_inspect_has_docker_s_keys(own: Engine) -> None:
    """Those of Docker 26.1, and our Descriptor, which Docker has since 27."""
    variant(own, "echo 1 > /1", tag="one")
    document = own.images.inspect("one")
    assert set(document) - {"Descriptor"} == {
        "Id", "RepoTags", "RepoDigests", "Parent", "Comment", "Created", "DockerVersion", "Author",
        "Config", "Architecture", "Variant", "Os", "Size", "GraphDriver", "RootFS", "Metadata",
    }  # fmt: skip
    data = document["GraphDriver"]["Data"]
    assert (Path(data["UpperDir"]) / "1").read_text() == "1\n"
    assert (Path(data["LowerDir"]) / "bin/busybox").is_file()
    shutil.rmtree(data["UpperDir"])
    assert own.images.inspect("one")["GraphDriver"]["Data"] is None
