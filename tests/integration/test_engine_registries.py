"""Registries beyond pull and push: one of our own, lists of manifests, search, removal."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import (
    AlreadyExistsError,
    ConflictError,
    ContainersError,
    ImageNotFoundError,
    InvalidArgumentError,
    NotFoundError,
)
from jupyter_containers.oci.descriptor import RawDocument
from jupyter_containers.registry import Credential, FixedCredentials
from tests.integration.account import NEEDS, opened
from tests.integration.registry_server import Answer, Asked, DockerRegistry, ScriptedRegistry
from tests.integration.served_image import INDEX, MANIFEST, ServedImage, member, tar

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
needs_account = pytest.mark.skipif(
    any(mark.args[0] for mark in NEEDS), reason="needs runc, slirp4netns and newuidmap"
)
needs_skopeo = pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")


def image_of(engine: Engine, name: str, platform: str, text: str) -> str:
    """Make an image of one file for a platform; return its digest."""
    architecture = platform.partition("/")[2]
    data = tar(member("platform", text.encode()))
    engine.images.import_archive(data, name)
    record = engine.images.get(name).record
    if architecture == str(record.platform.architecture):
        return record.manifest.digest
    return engine.build(
        "/var/empty",
        dockerfile=f"FROM scratch\nCOPY <<E /platform\n{text}\nE\n",
        tag=name,
        platform=platform,
    ).digest


@pytest.fixture
def own_registry(engine: Engine, busybox: str) -> Iterator[str]:
    del busybox  # asked for: the test leaves nothing behind
    started = engine.registries.start(publish="0")
    yield started.address
    engine.registries.stop()
    engine.volumes.remove(started.volume)


def test_a_registry_in_one_line(engine: Engine, own_registry: str) -> None:
    [running] = engine.registries.list()
    assert (running.name, running.volume, running.address) == (
        "registry",
        "registry-data",
        own_registry,
    )
    assert own_registry.startswith("localhost:")
    name = f"{own_registry}/team/app"
    engine.images.tag("busybox", f"{name}:1")
    engine.images.tag("busybox", f"{name}:2")
    sent = engine.push(name, all_tags=True)
    digest = engine.images.get("busybox").digest
    assert sent == {f"{name}:1": digest, f"{name}:2": digest}
    assert [(item.name, item.tags) for item in engine.registries.repositories(own_registry)] == [
        (name, ("1", "2"))
    ]
    assert engine.registries.tags(name) == ["1", "2"]
    assert [found.name for found in engine.registries.search(f"{own_registry}/app")] == ["team/app"]
    assert engine.registries.search(f"{own_registry}/nothing") == []

    # A second identical line finds the running registry; pushed images outlive the container.
    assert engine.registries.start(publish="0").address == own_registry
    engine.registries.stop()
    again = engine.registries.start(publish=own_registry.rpartition(":")[2])
    assert engine.registries.tags(name) == ["1", "2"]

    for tag in ("1", "2"):
        engine.images.remove(f"{name}:{tag}")
    pulled = engine.pull(name, all_tags=True)
    assert sorted(n for image in pulled[:1] for n in image.names if n.startswith(name)) == [
        f"{name}:1",
        f"{name}:2",
    ]
    assert engine.registries.remove(f"{name}:1") == digest
    with pytest.raises(ImageNotFoundError):
        engine.registries.remove(f"{name}:1")
    with pytest.raises(InvalidArgumentError, match="all-tags"):
        engine.pull(f"{name}:1", all_tags=True)
    for tag in ("1", "2"):
        engine.images.remove(f"{name}:{tag}")
    assert again.container.status == "running"


def test_a_registry_asks_others_for_a_password(engine: Engine, own_registry: str) -> None:
    """Seen to fail before: anybody on the machine listed, pulled and pushed."""
    registry = engine.registries.start()
    url = f"http://{own_registry}/v2/_catalog"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(url, timeout=10)
    asking = urllib.request.Request(url, headers=dict(registry.headers))
    with urllib.request.urlopen(asking, timeout=10) as answer:
        assert json.load(answer) == {"repositories": []}
    assert len(registry.password) == 32
    assert registry.password not in repr(registry) + str(registry.container.inspect())
    # The engine finds it under every name of the port, and sends it to no other registry.
    for host in ("localhost", "127.0.0.1"):
        name = f"{host}:{registry.address.rpartition(':')[2]}/team/app:1"
        engine.images.tag("busybox", name)
        engine.push(name)
        assert engine.registries.tags(name.rpartition(":")[0]) == ["1"]
        engine.images.remove(name)
    source = engine._context._with_logins(FixedCredentials())
    assert source.get(own_registry) == Credential(registry.username, registry.password)
    for other in ("localhost:1", f"elsewhere:{own_registry.rpartition(':')[2]}", "docker.io"):
        assert source.get(other) is None
    engine.containers.stop(registry.container.id)
    assert engine._context._with_logins(FixedCredentials()).get(own_registry) is None
    assert engine.registries.start().address.startswith("localhost:")
    engine.registries.stop()
    assert list((engine.settings.root / "registries").iterdir()) == []
    opened = engine.registries.start(publish="0", auth=False)
    assert opened.password == ""
    with urllib.request.urlopen(f"http://{opened.address}/v2/_catalog", timeout=10) as answer:
        assert answer.status == 200


@needs_account
def test_a_users_own_registry_knows_that_user_only(engine: Engine, own_registry: str) -> None:
    del own_registry  # made its image
    with opened("single") as account:
        archive = account.home / "images.tar"
        engine.images.save(["busybox", "registry:2"], archive)
        archive.chmod(0o644)
        account.container(f"load -i {archive}")
        told = account.container("registry start -p 0")
        address = told.split()[0]
        account.container(f"tag busybox {address}/team/app:1")
        account.container(f"push {address}/team/app:1")
        assert account.container(f"registry tags {address}/team/app") == "1\n"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"http://{address}/v2/_catalog", timeout=10)
        account.container("registry stop")


def test_a_container_that_is_no_registry_is_left_alone(engine: Engine, busybox: str) -> None:
    engine.containers.create(busybox, ["true"], name="mine")
    with pytest.raises(ConflictError, match="not a registry"):
        engine.registries.start("mine")
    with pytest.raises(ConflictError, match="not a registry"):
        engine.registries.stop("mine")


def test_one_name_for_several_platforms(
    own: Engine, registry: DockerRegistry, tmp_path: Path
) -> None:
    host = registry.host
    amd, arm, whole = f"{host}/amd/app:1", f"{host}/arm/app:1", f"{host}/whole/app:1"
    amd_digest = image_of(own, amd, "linux/amd64", "amd")
    arm_digest = image_of(own, arm, "linux/arm64", "arm")
    own.push(amd)
    own.push(arm)
    own.manifests.create(whole, [amd])
    with pytest.raises(AlreadyExistsError, match="already"):
        own.manifests.create(whole, [arm])
    own.manifests.create(whole, [arm], amend=True)
    own.manifests.annotate(whole, arm, variant="v8", os_version="6.1")
    with pytest.raises(ImageNotFoundError):
        own.manifests.annotate(whole, f"{host}/other:1", arch="arm")
    digest = own.manifests.push(whole, purge=True)
    with pytest.raises(NotFoundError, match="no manifest list"):
        own.manifests.push(whole)
    sent = own.manifests.inspect(whole)
    assert sent.digest == digest
    document = json.loads(sent.data)
    assert [(entry["digest"], entry["platform"]) for entry in document["manifests"]] == [
        (amd_digest, {"architecture": "amd64", "os": "linux"}),
        (
            arm_digest,
            {"architecture": "arm64", "os": "linux", "variant": "v8", "os.version": "6.1"},
        ),
    ]
    for name in (amd, arm):
        own.images.remove(name)
    assert own.pull(whole, platform="linux/amd64").digest == amd_digest
    assert own.pull(whole, platform="linux/arm64").digest == arm_digest
    # A list of a list contains the entries of that list.
    own.manifests.create(f"{host}/copy:1", [whole])
    assert own.manifests.push(f"{host}/copy:1") != ""
    own.manifests.remove(f"{host}/copy:1")
    if shutil.which("skopeo"):
        told = subprocess.run(
            ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{whole}"],
            check=True,
            capture_output=True,
        ).stdout
        assert told == sent.data


def test_a_list_takes_images_that_are_only_here_and_from_another_registry(
    own: Engine, registry: DockerRegistry, tmp_path: Path
) -> None:
    with DockerRegistry(tmp_path / "second") as second:
        amd = f"{second.host}/app:amd"
        amd_digest = image_of(own, amd, "linux/amd64", "amd")
        own.push(amd)
        own.images.remove(amd)
        arm = f"{registry.host}/never/pushed:arm"
        arm_digest = image_of(own, arm, "linux/arm64", "arm")
        whole = f"{registry.host}/mixed:1"
        own.manifests.create(whole, [amd, arm])
        own.manifests.push(whole)
    own.images.remove(arm)
    assert own.pull(whole, platform="linux/arm64").digest == arm_digest
    assert own.pull(whole, platform="linux/amd64").digest == amd_digest


def test_a_manifest_list_of_docker_images_is_dockers(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry
) -> None:
    docker = "application/vnd.docker.distribution.manifest.v2+json"
    served.image([tar(member("f", b"1"))], "x")
    manifest = json.loads(served.manifests["x"][1])
    manifest["mediaType"] = docker
    served.document(manifest, docker, "1")
    made = own.manifests.create(f"{scripted.host}/app:all", [f"{scripted.host}/app:1"])
    assert made.media_type == "application/vnd.docker.distribution.manifest.list.v2+json"
    entry = own.manifests.inspect(f"{scripted.host}/app:all", f"{scripted.host}/app:1")
    assert entry.digest == json.loads(made.data)["manifests"][0]["digest"]


def test_tags_go_over_several_pages_and_all_are_pulled(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry
) -> None:
    for tag in ("1", "2", "3"):
        served.image([tar(member("f", tag.encode()))], tag)

    def listing(asked: Asked) -> Answer:
        if not asked.path.endswith("/tags/list"):
            return served(asked)
        if ("last", "2") in asked.query:
            return Answer(200, {}, b'{"name": "app", "tags": ["3"]}')
        link = {"Link": '</v2/app/tags/list?last=2&n=2>; rel="next"'}
        return Answer(200, link, b'{"name": "app", "tags": ["1", "2"]}')

    scripted.script = listing
    pulled = own.pull(f"{scripted.host}/app", all_tags=True)
    assert [image.name.rpartition(":")[2] for image in pulled] == ["1", "2", "3"]


def test_a_registry_that_removes_tags_keeps_the_others(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry
) -> None:
    served.image([tar(member("f", b"1"))], "1", "2")

    def removing(asked: Asked) -> Answer:
        if asked.method == "DELETE":
            del served.manifests[asked.path.rpartition("/")[2]]
            return Answer(202)
        return served(asked)

    scripted.script = removing
    own.registries.remove(f"{scripted.host}/app:1")
    assert "2" in served.manifests
    assert "1" not in served.manifests


def test_a_registry_where_removal_is_off(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry
) -> None:
    served.image([tar(member("f", b"1"))], "1")
    scripted.script = lambda asked: Answer(405) if asked.method == "DELETE" else served(asked)
    with pytest.raises(ContainersError, match="removal of app"):
        own.registries.remove(f"{scripted.host}/app:1")


def test_the_address_answers(own_registry: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):  # and requests its address
        urllib.request.urlopen(f"http://{own_registry}/v2/")


def test_what_points_at_an_image_is_listed_where_the_registry_keeps_no_list(
    own: Engine, registry: DockerRegistry
) -> None:
    """Debian's registry knows nothing of referrers: the list is kept under a tag."""
    name = f"{registry.host}/signed:1"
    own.images.import_archive(tar(member("f", b"1")), name)
    image = own.push(name)
    subject = own.images.get(name).record.manifest
    assert own.registries.referrers(name) == ()
    empty = RawDocument(b"{}", "application/vnd.oci.empty.v1+json")
    with own._context.registry(registry.host, push=True) as client:
        client.push_blob("signed", empty.descriptor, lambda: io.BytesIO(empty.data))
        digests = []
        for kind in ("application/vnd.example.sbom", "application/vnd.example.signature"):
            signature = {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "artifactType": kind,
                "config": msgspec.to_builtins(empty.descriptor),
                "layers": [],
                "subject": msgspec.to_builtins(subject),
                "annotations": {"by": "ada"},
            }
            document = RawDocument(json.dumps(signature).encode(), MANIFEST)
            digests += [client.push_manifest("signed", document.digest, document) for _ in range(2)]
    found = own.registries.referrers(name)
    assert [item.digest for item in found] == digests[::2]
    assert found[0].annotations == {"by": "ada"}
    [one] = own.registries.referrers(f"{name}", artifact_type="application/vnd.example.signature")
    assert one.digest == digests[-1]
    assert own.registries.referrers(f"{registry.host}/signed@{image}") == found
    assert f"sha256-{image[7:]}" in own.registries.tags(f"{registry.host}/signed")


def test_a_registry_that_keeps_the_list_is_left_to_it(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry
) -> None:
    image = served.image([tar(member("f", b"1"))], "1")
    listed = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{**image, "artifactType": "x"}]}

    def knowing(asked: Asked) -> Answer:
        if asked.method == "PUT":
            return Answer(201, {"OCI-Subject": image["digest"]})
        if "/referrers/" in asked.path:
            return Answer(200, {"Content-Type": INDEX}, json.dumps(listed).encode())
        return served(asked)

    scripted.script = knowing
    [found] = own.registries.referrers(f"{scripted.host}/app:1")
    assert found.artifact_type == "x"
    document = RawDocument(json.dumps({"subject": image, "schemaVersion": 2}).encode(), MANIFEST)
    with own._context.registry(scripted.host, push=True) as client:
        client.push_manifest("app", document.digest, document)
    assert len(scripted.requests("PUT")) == 1
