"""The outputs of builds: formats, archives, folders, metadata files."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.errors import (
    BuildError,
    ImageNotFoundError,
    InvalidArgumentError,
    UnsupportedError,
)
from jupyter_containers.events import TaskStarted
from jupyter_containers.oci.descriptor import digest_of
from tests.integration.build_bench import Bench
from tests.integration.engine_fixtures import Place, demolish
from tests.integration.registry_server import DockerRegistry, missing_registry

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

TEXT = 'FROM busybox\nCOPY --chown=5:6 a /app/a\nRUN ln -s a /app/link; rm /bin/vi\nCMD ["x"]\n'
SCRATCH = "FROM scratch\nCOPY --chown=5:6 a /app/a\n"
EPOCH = ["SOURCE_DATE_EPOCH=1700000000"]


def manifest_of(bench: Bench, digest: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(bench.engine._context.store.content.read(digest))
    return document


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        files = {one.name: archive.extractfile(one) for one in archive if one.isfile()}
        return {name: file.read() for name, file in files.items() if file}


def test_the_format_decides_the_media_types(bench: Bench) -> None:
    bench.write("a", "1")
    oci = manifest_of(bench, bench.build(TEXT).digest)
    docker = manifest_of(bench, bench.build(TEXT, format="docker").digest)
    assert oci["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert docker["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert docker["config"]["mediaType"] == "application/vnd.docker.container.image.v1+json"
    kinds = {layer["mediaType"] for layer in docker["layers"]}
    assert kinds == {"application/vnd.docker.image.rootfs.diff.tar.gzip"}
    assert docker["config"]["digest"] == oci["config"]["digest"]
    said = bench.build(TEXT, output="type=image,oci-mediatypes=false,name=fmt:1")
    assert manifest_of(bench, said.digest) == docker
    assert bench.engine.images.get("fmt:1").digest == said.digest
    assert bench.run(said, "cat /app/a") == "1"


def test_a_folder_gets_the_files_alone(bench: Bench, tmp_path: Path) -> None:
    bench.write("a", "1").chmod(0o640)
    os.utime(bench.context / "a", (1000, 1000))
    before = {image.id for image in bench.engine.images(all=True)}
    target = tmp_path / "out"
    target.mkdir()
    (target / "mine").write_text("kept")
    bench.build(TEXT, output=str(target))
    status = (target / "app/a").stat()
    assert (oct(status.st_mode & 0o777), status.st_uid, int(status.st_mtime)) == ("0o640", 0, 1000)
    assert os.readlink(target / "app/link") == "a"
    assert (target / "bin/busybox").exists()
    assert not (target / "bin/vi").exists(), "what a layer removes is not there"
    assert (target / "mine").read_text() == "kept"
    assert {image.id for image in bench.engine.images(all=True)} == before


def test_a_tar_has_the_files_with_their_owners(bench: Bench, tmp_path: Path) -> None:
    bench.write("a", "1")
    path = tmp_path / "new" / "root.tar"
    bench.build(SCRATCH, output=f"type=tar,dest={path}")
    with tarfile.open(path) as archive:
        found = {one.name: (one.uid, one.gid, one.size) for one in archive}
    # The folder that COPY makes belongs to the owner that it names.
    assert found == {"app": (5, 6, 0), "app/a": (5, 6, 1)}
    assert [one.name for one in path.parent.iterdir()] == ["root.tar"]
    stream = io.BytesIO()
    bench.build(SCRATCH, output="-", stream=stream)
    assert stream.getvalue() == path.read_bytes()
    with pytest.raises(InvalidArgumentError, match="dest=-"):
        bench.build(SCRATCH, output="-")


def test_an_oci_archive_is_a_layout(bench: Bench, tmp_path: Path) -> None:
    bench.write("a", "1")
    path = tmp_path / "image.tar"
    flags = {"tag": ["one:1", "two:2"], "annotation": ["k=v", "manifest-descriptor:d=e"]}
    image = bench.build(TEXT, output=[f"type=oci,dest={path}"], **flags)
    files = members(path)
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    entries = json.loads(files["index.json"])["manifests"]
    assert [one["annotations"]["io.containerd.image.name"] for one in entries] == [
        "docker.io/library/one:1",
        "docker.io/library/two:2",
    ]
    assert [one["annotations"]["org.opencontainers.image.ref.name"] for one in entries] == [
        "1",
        "2",
    ]
    assert entries[0]["annotations"]["d"] == "e"
    assert entries[0]["platform"]["os"] == "linux"
    for name, data in files.items():
        if name.startswith("blobs/"):
            assert digest_of(data) == "sha256:" + name.rpartition("/")[2]
    manifest = json.loads(files["blobs/sha256/" + entries[0]["digest"][7:]])
    assert manifest["annotations"] == {"k": "v"}
    assert manifest["config"]["digest"] == image.id
    for blob in (manifest["config"], *manifest["layers"]):
        assert len(files["blobs/sha256/" + blob["digest"][7:]]) == blob["size"]
    folder = tmp_path / "layout"
    bench.build(TEXT, output=[f"type=oci,dest={folder},tar=false"], **flags)
    assert (folder / "index.json").read_bytes() == files["index.json"]
    assert {
        str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()
    } == files


def test_a_docker_archive_has_dockers_contents(bench: Bench, tmp_path: Path) -> None:
    bench.write("a", "1")
    path = tmp_path / "image.tar"
    image = bench.build(TEXT, output=f"type=docker,dest={path}", tag="one:1")
    files = members(path)
    [contents] = json.loads(files["manifest.json"])
    assert contents["RepoTags"] == ["one:1"]
    assert contents["Config"] == "blobs/sha256/" + image.id[7:]
    assert len(contents["Layers"]) == 3
    assert all(name in files for name in contents["Layers"])


def test_several_outputs_at_once(bench: Bench, tmp_path: Path) -> None:
    bench.write("a", "1")
    bench.build(
        TEXT, output=[f"type=oci,dest={tmp_path}/i.tar", f"{tmp_path}/files"], load=True, tag="s:1"
    )
    assert bench.engine.images.get("s:1")
    assert {one.name for one in tmp_path.iterdir()} == {"i.tar", "files", "context"}


def test_facts_go_into_files(bench: Bench, tmp_path: Path) -> None:
    bench.write("a", "1")
    image = bench.build(
        TEXT, tag="x:1", iidfile=tmp_path / "iid", metadata_file=tmp_path / "metadata"
    )
    assert (tmp_path / "iid").read_text() == image.id
    facts = json.loads((tmp_path / "metadata").read_text())
    assert facts["containerimage.config.digest"] == image.id
    assert facts["containerimage.digest"] == image.digest
    assert facts["containerimage.descriptor"]["size"] > 0
    assert facts["image.name"] == "x:1"


def test_annotations_and_their_limits(bench: Bench) -> None:
    bench.write("a", "1")
    image = bench.build(TEXT, annotation=["org.opencontainers.image.title=app", "b=c=d"])
    assert manifest_of(bench, image.digest)["annotations"] == {
        "b": "c=d",
        "org.opencontainers.image.title": "app",
    }
    with pytest.raises(UnsupportedError, match="cannot have annotations"):
        bench.build(TEXT, annotation="a=b", format="docker")
    with pytest.raises(InvalidArgumentError, match="no index"):
        bench.build(TEXT, annotation="index:a=b")


def test_two_empty_stores_make_the_same_image(bench: Bench, tmp_path: Path) -> None:
    bench.write("a", "1")
    text = (
        "FROM busybox AS one\nRUN date > /dev/null; mkdir /d; echo x > /d/f\n"
        "FROM busybox\nRUN echo b > /b; rm /bin/vi\nCOPY --from=one /d /d\n"
        "COPY a /new/a\nWORKDIR /w\n"
    )
    base = tmp_path / "busybox.tar"
    bench.engine.images.save("busybox", base)
    found = []
    for number in range(2):
        os.utime(bench.context / "a", None)
        with Place.under(tmp_path / str(number)).engine() as engine:
            try:
                engine.images.load(base)
                image = engine.build(
                    bench.context,
                    dockerfile=text,
                    build_arg=EPOCH,
                    output="type=image,rewrite-timestamp=true",
                    network="none",
                )
                found.append((image.digest, engine.system.inspect(image.id)["Created"]))
            finally:
                demolish(engine)
    assert found[0] == found[1]
    assert found[0][1] == "2023-11-14T22:13:20Z"


def test_the_environment_gives_the_source_date(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000")
    image = bench.build("FROM scratch\nENV a=b\n")
    assert bench.engine.system.inspect(image.id)["Created"] == "1970-01-01T00:16:40Z"


def test_times_are_rewritten_only_when_asked_and_never_made_younger(bench: Bench) -> None:
    os.utime(bench.write("old", "1"), (1000, 1000))
    bench.write("new", "1")
    text = "FROM scratch\nCOPY old new /\n"
    found = {}
    for output in ("", "type=image,rewrite-timestamp=true", "type=image,rewrite-timestamp=false"):
        image = bench.build(text, build_arg=EPOCH, output=output or None)
        blob = manifest_of(bench, image.digest)["layers"][0]["digest"]
        with tarfile.open(bench.engine._context.store.content.path(blob)) as archive:
            found[output] = {one.name: int(one.mtime) for one in archive}
    as_it_is = {"old": 1000, "new": int((bench.context / "new").stat().st_mtime)}
    assert found == {
        "": as_it_is,
        "type=image,rewrite-timestamp=true": {"old": 1000, "new": 1700000000},
        "type=image,rewrite-timestamp=false": as_it_is,
    }


def test_files_that_are_handed_out_all_have_the_source_date(bench: Bench, tmp_path: Path) -> None:
    os.utime(bench.write("old", "1"), (1000, 1000))
    text = "FROM scratch\nCOPY old /d/\n"
    outputs = [f"{tmp_path}/files", f"type=tar,dest={tmp_path}/files.tar"]
    bench.build(text, build_arg=EPOCH, output=outputs)
    assert int((tmp_path / "files/d/old").stat().st_mtime) == 1700000000
    assert int((tmp_path / "files/d").stat().st_mtime) == 1700000000
    with tarfile.open(tmp_path / "files.tar") as archive:
        assert {one.name: int(one.mtime) for one in archive} == {
            "d": 1700000000,
            "d/old": 1700000000,
        }


def test_a_secret_value_is_nowhere_but_in_its_step(bench: Bench) -> None:
    value = "s3cret-of-the-notebook"
    image = bench.build(
        "FROM busybox\nRUN --mount=type=secret,id=t wc -c < /run/secrets/t > /count\n",
        secret_values={"t": value},
    )
    assert bench.run(image, "cat /count") == f"{len(value)}\n"
    store = bench.engine._context.settings.root
    # Another process reads: one that closes the database it has open loses its locks on it.
    found = subprocess.run(
        ["grep", "-rlF", value, str(store)], check=False, capture_output=True, text=True
    )
    assert (found.returncode, found.stdout) == (1, "")
    assert value not in repr(bench.engine) + repr(image) + repr(bench.events)


FOREIGN = "linux/s390x"


def test_a_foreign_platform_without_a_run_needs_no_emulator(bench: Bench) -> None:
    bench.write("a", "1")
    image = bench.build(
        "FROM scratch\nARG TARGETARCH\nCOPY a /a\nWORKDIR /w\nENV ARCH=$TARGETARCH\n",
        platform=FOREIGN,
        tag="foreign:1",
    )
    document = bench.engine.system.inspect(image.id)
    assert (document["Os"], document["Architecture"]) == ("linux", "s390x")
    assert "ARCH=s390x" in document["Config"]["Env"]
    again = bench.build("FROM foreign:1\nCOPY a /b\n", platform=FOREIGN)
    assert str(again.platform) == FOREIGN


def test_a_foreign_run_names_what_provides_it(bench: Bench) -> None:
    if Path("/proc/sys/fs/binfmt_misc/qemu-s390x").exists():
        pytest.skip("an emulator for s390x is registered here")
    with pytest.raises(UnsupportedError, match="programs for linux/s390x cannot run") as caught:
        bench.build("FROM scratch\nRUN true\n", platform=FOREIGN)
    assert "qemu-user-static" in caught.value.hint


def test_a_base_for_another_platform_comes_from_its_registry(bench: Bench, tmp_path: Path) -> None:
    if missing_registry():
        pytest.skip(missing_registry())
    bench.write("a", "1")
    with DockerRegistry(tmp_path / "registry") as registry:
        name = f"{registry.host}/team/base:1"
        bench.build("FROM scratch\nCOPY a /far\n", platform=FOREIGN, tag=name, push=True)
        bench.build("FROM scratch\nCOPY a /near\n", tag=name)
        built = bench.build(f"FROM {name}\nCOPY a /b\n", platform=FOREIGN, output=f"{tmp_path}/o")
        assert str(built.platform) == FOREIGN
        assert sorted(one.name for one in (tmp_path / "o").iterdir()) == ["b", "far"]
    bench.build("FROM scratch\nCOPY a /near\n", tag=name)
    with pytest.raises(BuildError, match="is for linux/amd64, not for linux/s390x"):
        bench.build(f"FROM {name}\n", platform=FOREIGN)


BOTH = {"platform": "linux/amd64,linux/s390x"}
EACH = "FROM scratch\nARG TARGETARCH\nCOPY a /a\nCOPY $TARGETARCH /which\nENV ARCH=$TARGETARCH\n"


def write_both(bench: Bench) -> None:
    for name in ("a", "amd64", "s390x"):
        bench.write(name, name)


def test_one_build_makes_an_image_for_several_platforms(bench: Bench, tmp_path: Path) -> None:
    write_both(bench)
    path = tmp_path / "both.tar"
    notes = ["index:i=1", "manifest:m=2", "index-descriptor:d=3"]
    facts = {"iidfile": tmp_path / "iid", "metadata_file": tmp_path / "facts"}
    bench.build(
        EACH, output=f"type=oci,dest={path}", tag="both:1", annotation=notes, **BOTH, **facts
    )
    files = members(path)
    [entry] = json.loads(files["index.json"])["manifests"]
    assert entry["mediaType"] == "application/vnd.oci.image.index.v1+json"
    assert entry["annotations"]["io.containerd.image.name"] == "docker.io/library/both:1"
    assert entry["annotations"]["d"] == "3"
    assert (tmp_path / "iid").read_text() == entry["digest"]
    told = json.loads((tmp_path / "facts").read_text())
    assert told["containerimage.digest"] == entry["digest"]
    index = json.loads(files["blobs/sha256/" + entry["digest"][7:]])
    assert index["annotations"] == {"i": "1"}
    found = {}
    for target in index["manifests"]:
        manifest = json.loads(files["blobs/sha256/" + target["digest"][7:]])
        assert manifest["annotations"] == {"m": "2"}
        assert all("blobs/sha256/" + one["digest"][7:] in files for one in manifest["layers"])
        config = json.loads(files["blobs/sha256/" + manifest["config"]["digest"][7:]])
        assert config["architecture"] == target["platform"]["architecture"]
        found[target["platform"]["architecture"]] = config["config"]["Env"][-1]
    assert found == {"amd64": "ARCH=amd64", "s390x": "ARCH=s390x"}
    titles = [one.title for one in bench.events if isinstance(one, TaskStarted)]
    assert sum("[linux/s390x " in title for title in titles) == 5


def test_files_of_several_platforms_stand_side_by_side(bench: Bench, tmp_path: Path) -> None:
    write_both(bench)
    outputs = [f"{tmp_path}/out", f"type=tar,dest={tmp_path}/out.tar"]
    bench.build(EACH, output=outputs, **BOTH)
    assert (tmp_path / "out/linux_amd64/which").read_text() == "amd64"
    assert (tmp_path / "out/linux_s390x/which").read_text() == "s390x"
    assert {name: data.decode() for name, data in members(tmp_path / "out.tar").items()} == {
        f"linux_{name}/{file}": text
        for name in ("amd64", "s390x")
        for file, text in (("a", "a"), ("which", name))
    }


def test_an_index_is_pushed_with_its_images(bench: Bench, tmp_path: Path) -> None:
    if missing_registry():
        pytest.skip(missing_registry())
    write_both(bench)
    with DockerRegistry(tmp_path / "registry") as registry:
        name = f"{registry.host}/team/both:1"
        mine = bench.build(EACH, tag=name, push=True, **BOTH)
        assert str(mine.platform) == "linux/amd64"
        assert bench.engine.images.get(name).id == mine.id
        further = f"FROM {name}\nCOPY a /b\n"
        built = bench.build(further, platform="linux/s390x", output=f"{tmp_path}/here")
        assert (tmp_path / "here/which").read_text() == "s390x", "taken from this store"
        assert bench.engine.images.get(name).id == mine.id, "the name means what it meant"
        with Place.under(tmp_path / "other").engine() as other:
            try:
                pulled = other.pull(name, platform="linux/s390x")
                assert str(pulled.platform) == "linux/s390x"
                assert other.pull(name, platform="linux/amd64").id == mine.id
            finally:
                demolish(other)
        assert built.platform == pulled.platform


def test_images_for_several_platforms_stay_together(bench: Bench, tmp_path: Path) -> None:
    if missing_registry():
        pytest.skip(missing_registry())
    write_both(bench)
    engine = bench.engine
    with DockerRegistry(tmp_path / "registry") as registry:
        name, other = f"{registry.host}/team/both:1", f"{registry.host}/team/other"
        bench.build(f"{EACH}LABEL of=this\n", tag=[name, f"{other}:1"], push=True, **BOTH)
        with engine._context.registry(registry.host) as client:
            index = client.resolve("team/both", "1").digest
            assert engine.push(f"{other}:1") == index == client.resolve("team/other", "1").digest
            engine.images.tag(name, f"{other}:arm")
            foreign = engine.push(f"{other}:arm", platform="linux/s390x")
            assert foreign == client.resolve("team/other", "arm").digest != index
            assert "s390x" in engine.images.history(name, platform="linux/s390x")[1].created_by
            assert engine.images.inspect(name, platform="linux/s390x")["Architecture"] == "s390x"
            with pytest.raises(ImageNotFoundError, match="not for linux/arm64"):
                engine.push(name, platform="linux/arm64")
            engine.images.tag(name, f"{other}:zstd")
            packed = client.manifest("team/other", engine.push(f"{other}:zstd", compression="zstd"))
            entries = json.loads(packed.data)["manifests"]
            assert [entry["platform"]["architecture"] for entry in entries] == ["amd64", "s390x"]
            for entry in entries:
                one = json.loads(client.manifest("team/other", entry["digest"]).data)
                assert one["layers"][0]["mediaType"].endswith("+zstd")
        shown = {one.digest for one in engine.images()}
        assert foreign not in shown
        assert foreign in {one.digest for one in engine.images(all=True)}
        engine.images.prune()
        engine.images.save(name, tmp_path / "foreign.tar", platform="linux/s390x")
        for tag in ("1", "arm", "zstd"):
            assert engine.images.remove(f"{other}:{tag}")[0] == f"Untagged: {other}:{tag}"
        ids = [
            engine.images.get(name).id,
            engine.images.inspect(name, platform="linux/s390x")["Id"],
        ]
        for platform, image_id in zip(("linux/amd64", "linux/s390x"), ids, strict=True):
            with engine.containers.create(
                name, ["/x"], platform=platform, pull="never"
            ) as container:
                assert container.inspect()["Image"] == image_id
        assert {f"Deleted: {one}" for one in ids} <= set(engine.images.remove(name))
        [loaded] = engine.images.load(tmp_path / "foreign.tar", platform="linux/s390x")
        assert (str(loaded.platform), loaded.digest) == ("linux/s390x", foreign)


@pytest.mark.parametrize(
    ("wish", "suffix"),
    [
        ("compression=zstd", "tar+zstd"),
        ("compression=zstd,compression-level=19", "tar+zstd"),
        ("compression=uncompressed", "layer.v1.tar"),
        ("compression=gzip,compression-level=9", "tar+gzip"),
    ],
)
def test_layers_in_another_compression(
    bench: Bench, tmp_path: Path, wish: str, suffix: str
) -> None:
    bench.write("a", "1" * 100_000)
    text = "FROM busybox\nCOPY a /a\n"
    plain = bench.build(text)
    image = bench.build(text, output=f"type=image,{wish},name=other:1")
    before, after = (manifest_of(bench, one.digest)["layers"] for one in (plain, image))
    assert image.id == plain.id
    assert after[0] == before[0], "the base's layers stay"
    assert after[1]["digest"] != before[1]["digest"]
    assert after[1]["mediaType"].endswith(suffix)
    path = tmp_path / "image.tar"
    bench.build(text, output=f"type=oci,dest={path},{wish},force-compression=true")
    with Place.under(tmp_path / "other").engine() as other:
        try:
            [again] = other.images.load(path)
            document = json.loads(other._context.store.content.read(again.digest))
            assert all(layer["mediaType"].endswith(suffix) for layer in document["layers"])
            run = other.run(again, ["wc", "-c", "/a"], rm=True, network="none")
            assert run.stdout == b"100000 /a\n"
        finally:
            demolish(other)
