"""The requests and the progress of a pull."""

from __future__ import annotations

import http.client
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import ContainersError, DeniedError, RegistryError
from jupyter_containers.events import Event, TaskFinished, TaskProgress, TaskStarted
from tests.integration.registry_server import Answer, Asked, DockerRegistry, ScriptedRegistry
from tests.integration.served_image import INDEX, LAYER, MANIFEST, ServedImage, member, tar

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def asked_for(server: ScriptedRegistry) -> list[tuple[str, str]]:
    return [(asked.method, asked.path.rpartition("/")[2]) for asked in server.asked]


def ending(events: list[Event]) -> TaskFinished:
    last = events[-1]
    assert isinstance(last, TaskFinished)
    return last


def test_a_tag_that_is_up_to_date_costs_one_head(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry
) -> None:
    name = f"{scripted.host}/app:1"
    served.image([tar(member("f", b"1"))], "1")
    first = own.pull(name)
    # Another engine of the same store, as in a kernel that was restarted: nothing is remembered.
    with type(own)(own.settings) as other:
        scripted.asked.clear()
        events: list[Event] = []
        assert other.pull(name, emit=events.append) == first
        assert asked_for(scripted) == [("HEAD", "1")]
        assert ending(events).outcome == "exists"
        assert ending(events).detail.startswith("Image is up to date · sha256:")
        scripted.asked.clear()
        by_digest = first.digests[0]
        other.pull(by_digest)
        scripted.asked.clear()
        assert other.pull(by_digest) == first
        assert asked_for(scripted) == [], "a digest cannot mean anything else"


def test_a_tag_that_moved_is_fetched(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry
) -> None:
    name = f"{scripted.host}/app:1"
    served.image([tar(member("f", b"1"))], "1")
    first = own.pull(name)
    served.image([tar(member("f", b"2"))], "1")
    events: list[Event] = []
    second = own.pull(name, emit=events.append)
    assert second != first
    assert ending(events).detail.startswith("Downloaded newer image · sha256:")
    assert own.images.get(name) == second


def test_another_platform_than_the_one_that_is_here_is_fetched(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry
) -> None:
    arm = served.image([tar(member("arm", b"x"))], architecture="arm64")
    amd = served.image([tar(member("amd", b"x"))])
    platforms = [(arm, {"os": "linux", "architecture": "arm64"})]
    served.index([*platforms, (amd, {"os": "linux", "architecture": "amd64"})], "1")
    name = f"{scripted.host}/many:1"
    assert own.pull(name, platform="amd64").digest == amd["digest"]
    assert own.pull(name, platform="arm64").digest == arm["digest"]
    scripted.asked.clear()
    assert own.pull(name, platform="arm64").digest == arm["digest"]
    assert asked_for(scripted) == [("HEAD", "1")]


def test_an_image_that_is_no_longer_whole_is_fetched_again(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry
) -> None:
    name = f"{scripted.host}/app:1"
    served.image([tar(member("f", b"1"))], "1")
    own.pull(name)
    layer = next(digest for digest, data in served.blobs.items() if data[:1] != b"{")
    own._context.store.content.delete(layer)
    own.pull(name)
    assert own._context.store.content.has(layer)


def test_what_remains_of_the_rate_limit_is_told(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry
) -> None:
    served.image([tar(member("f", b"1"))], "1")
    left = iter(range(99, 0, -1))

    def limited(asked: Asked) -> Answer:
        answer = served(asked)
        if "/manifests/" in asked.path:
            answer.headers["ratelimit-limit"] = "100;w=21600"
            answer.headers["ratelimit-remaining"] = f"{next(left)};w=21600"
        return answer

    scripted.script = limited
    for remaining in (99, 98):
        events: list[Event] = []
        own.pull(f"{scripted.host}/app:1", emit=events.append)
        words = f"{remaining} of 100 pulls in 6 hours are left"
        titles = [event.title for event in events if isinstance(event, TaskStarted)]
        assert titles[-1] == f"{scripted.host}: {words}"
        assert own.system.info()["RateLimits"] == {scripted.host: words}


def test_the_phases_of_a_layer(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry
) -> None:
    served.image([tar(member("f", os.urandom(3_000_000)))], "1")
    served.pace = 0.002
    events: list[Event] = []
    own.pull(f"{scripted.host}/app:1", emit=events.append)
    layer = next(d for d, data in served.blobs.items() if data[:1] != b"{")[7:19]
    phases = [event.status for event in events if isinstance(event, TaskProgress)]
    assert list(dict.fromkeys(phases))[:4] == [
        "Waiting",
        "Downloading",
        "Verifying",
        "Download complete",
    ]
    done = [event for event in events if isinstance(event, TaskFinished)]
    assert [(event.task, event.detail.partition(" ·")[0]) for event in done] == [
        (layer, "Pull complete"),
        (f"{scripted.host}/app:1", "Downloaded newer image"),
    ]


def test_pull_and_push_are_events(own: Engine, scripted: ScriptedRegistry) -> None:
    served = ServedImage()
    served.image([tar(member("f", b"1"))], "1")

    def takes_all(asked: Asked) -> Answer:
        if asked.method == "HEAD" and "/blobs/" in asked.path:
            return Answer(200)
        return Answer(201) if asked.method == "PUT" else served(asked)

    scripted.script = takes_all
    name = f"{scripted.host}/app:1"
    own.pull(name)
    own.push(name)
    found = [
        (event.type, event.action, event.id, event.attributes["name"])
        for event in own.system.events(follow=False)
        if event.action in ("pull", "push")
    ]
    repository = f"{scripted.host}/app"
    assert found == [("image", "pull", name, repository), ("image", "push", name, repository)]


def test_the_files_of_docker_and_podman_are_read(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry, tmp_path: Path
) -> None:
    image = served.image([tar(member("f", b"1"))], "1")
    daemon, conf = tmp_path / "daemon.json", tmp_path / "registries.conf"
    files = (str(daemon), str(conf))
    daemon.write_text(json.dumps({"registry-mirrors": [scripted.url]}))
    with type(own)(replace(own.settings, registry_files=files)) as other:
        assert other.pull("team/app:1").digest == image["digest"]
        assert other.system.info()["RegistryMirrors"] == [scripted.url]
    assert own.images.get("docker.io/team/app:1").names == ("team/app:1",)
    assert scripted.asked[-1].path.startswith("/v2/team/app/")
    conf.write_text(
        '[[registry]]\nprefix = "shop.test"\n'
        f'location = "{scripted.host}/moved"\n[[registry]]\nlocation = "bad.test"\nblocked = true\n'
    )
    with type(own)(replace(own.settings, registry_files=files)) as other:
        assert "shop.test/app:1" in other.pull("shop.test/app:1").names
        assert scripted.asked[-1].path == "/v2/moved/app/manifests/1"
        with pytest.raises(DeniedError, match="blocked"):
            other.pull("bad.test/app:1")


def test_a_push_of_what_is_there_asks_for_each_blob_once(
    own: Engine, registry: DockerRegistry
) -> None:
    """Nothing is uploaded, no question precedes: one HEAD a blob and the manifest."""
    data = [tar(member(f"f{number}", b"x")) for number in range(3)]
    served = ServedImage()
    served.image(data, "1")
    with ScriptedRegistry(served) as source:
        own.pull(f"{source.host}/app:1")
        name = f"{registry.host}/again:1"
        own.images.tag(f"{source.host}/app:1", name)
    digest = own.push(name)
    seen: list[str] = []

    def forward(asked: Asked) -> Answer:
        seen.append(f"{asked.method} {asked.path.rpartition('/')[0].rpartition('/')[2]}")
        connection = http.client.HTTPConnection("127.0.0.1", registry.port)
        headers = {"Content-Type": asked.headers.get("Content-Type", "")}
        connection.request(asked.method, asked.target, asked.body, headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        length = {"Content-Length": answer.headers["Content-Length"] or "0"}
        return Answer(answer.status, length if asked.method == "HEAD" else {}, body)

    with ScriptedRegistry(forward) as proxy:
        own.images.tag(name, f"{proxy.host}/again:1")
        assert own.push(f"{proxy.host}/again:1") == digest
    assert sorted(seen) == ["HEAD blobs"] * 4 + ["PUT manifests"]


def test_the_layer_that_fails_says_why(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry
) -> None:
    served.image([tar(member("fine", b"x" * 5000)), tar(member("bad", b"y" * 5000))], "1")
    [_, bad] = [d for d, data in served.blobs.items() if data[:1] != b"{"]
    served.lies[bad] = served.blobs[bad][:-1] + b"!"
    events: list[Event] = []
    with pytest.raises(ContainersError):
        own.pull(f"{scripted.host}/app:1", emit=events.append)
    failed = {
        event.task: event.detail
        for event in events
        if isinstance(event, TaskFinished) and event.outcome == "failed"
    }
    assert set(failed) == {bad[7:19], f"{scripted.host}/app:1"}
    assert bad[7:19] in failed[bad[7:19]]


def test_a_push_shows_all_layers_from_the_beginning(own: Engine, registry: DockerRegistry) -> None:
    served = ServedImage()
    served.image([tar(member(f"f{number}", b"x")) for number in range(8)], "1")
    with ScriptedRegistry(served) as source:
        own.pull(f"{source.host}/app:1")
        own.images.tag(f"{source.host}/app:1", f"{registry.host}/many:1")
    events: list[Event] = []
    own.push(f"{registry.host}/many:1", emit=events.append)
    first = events[: 2 * 9]
    assert sum(isinstance(event, TaskStarted) for event in first) == 9
    assert {event.status for event in first if isinstance(event, TaskProgress)} == {"Waiting"}
    done = [event for event in events if isinstance(event, TaskFinished)]
    assert [event.detail for event in done] == ["Pushed"] * 9


DOCKER = "application/vnd.docker."
DOCKER_LIST = f"{DOCKER}distribution.manifest.list.v2+json"
DOCKER_MANIFEST = f"{DOCKER}distribution.manifest.v2+json"
DOCKER_CONFIG = f"{DOCKER}container.image.v1+json"
DOCKER_LAYER = f"{DOCKER}image.rootfs.diff.tar.gzip"


@pytest.mark.parametrize("index", [DOCKER_LIST, INDEX, ""])
@pytest.mark.parametrize("kind", [DOCKER_MANIFEST, MANIFEST])
@pytest.mark.parametrize("layer", [DOCKER_LAYER, LAYER, "application/x-made-up"])
@pytest.mark.parametrize("own_type", [True, False])
def test_documents_of_both_kinds_mixed(
    own: Engine,
    served: ServedImage,
    scripted: ScriptedRegistry,
    registry: DockerRegistry,
    index: str,
    kind: str,
    layer: str,
    own_type: bool,
) -> None:
    """Documents of one kind with parts of the other, and a media type only in the header."""
    served.image([tar(member("f", b"1")), tar(member("g", b"2"))], "1")
    manifest = json.loads(served.manifests["1"][1])
    manifest["layers"][0]["mediaType"] = layer
    if layer == DOCKER_LAYER:
        manifest["config"]["mediaType"] = DOCKER_CONFIG
    manifest["mediaType"] = kind
    if not own_type:
        del manifest["mediaType"]
    entry = target = served.document(manifest, kind, "1")
    if index:
        platforms = [{**entry, "platform": {"architecture": "amd64", "os": "linux"}}]
        value = {"schemaVersion": 2, "mediaType": index, "manifests": platforms}
        target = served.document(value, index, "1")
    name = f"{scripted.host}/mixed:1"
    image = own.pull(name)
    assert image.digest == entry["digest"]
    assert image.record.manifest.media_type == kind
    scripted.asked.clear()
    assert own.pull(name) == image
    assert asked_for(scripted) == [("HEAD", "1")]
    # Debian's registry takes no layer of an unknown type, nor Docker's manifest without its own.
    if layer != "application/x-made-up" and (own_type or kind == MANIFEST):
        copy = f"{registry.host}/mixed:1"
        own.images.tag(name, copy)
        assert own.push(copy) == target["digest"], "bytes are kept as received"


def test_a_pause_that_a_registry_asks_for_is_told(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry
) -> None:
    served.image([tar(member("f", b"1"))], "1")
    refusals = iter([Answer(429, {"Retry-After": "1"})])
    scripted.script = lambda asked: next(refusals, None) or served(asked)
    events: list[Event] = []
    own.pull(f"{scripted.host}/app:1", emit=events.append)
    titles = [event.title for event in events if isinstance(event, TaskStarted)]
    assert f"{scripted.host} is retried in 1 s" in titles


def test_without_internet_the_error_says_what_can_be_made(
    own: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with pytest.raises(RegistryError) as caught:
        own.pull("nginx")
    assert "without internet bootstrap makes busybox" in caught.value.hint
    with pytest.raises(RegistryError) as caught:
        own.pull("python:3.11-slim")
    assert caught.value.hint.endswith("bootstrap python:3.11-slim makes it from Debian's packages")
    with pytest.raises(RegistryError) as caught:
        own.pull("registry.invalid/nginx")
    assert "bootstrap" not in caught.value.hint


def test_a_name_like_one_that_is_here_is_named(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry
) -> None:
    served.image([tar(member("f", b"1"))], "1")
    own.pull(f"{scripted.host}/app:1")
    own.images.tag(f"{scripted.host}/app:1", "weather")
    with pytest.raises(ContainersError) as caught:
        own.pull(f"{scripted.host}/app:nosuch")
    assert f"did you mean {scripted.host}/app:1, which is stored here?" in caught.value.hint
    own.images.tag("weather", f"{scripted.host}/weather:2")
    with pytest.raises(ContainersError) as caught:
        own.run(f"{scripted.host}/wether", ["true"])
    assert f"did you mean {scripted.host}/weather:2, which is stored here?" in caught.value.hint
    with pytest.raises(ContainersError) as caught:
        own.pull(f"{scripted.host}/quite-another")
    assert "did you mean" not in caught.value.hint


def test_an_image_that_is_here_is_said_to_be_here(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry
) -> None:
    """Before, another name was suggested, without a hint that the image can be used."""
    served.image([tar(member("f", b"1"))], "1")
    own.pull(f"{scripted.host}/app:1")
    for name in (f"{scripted.host}/app:2", "registry.invalid/app:1"):
        own.images.tag(f"{scripted.host}/app:1", name)
        with pytest.raises(ContainersError) as caught:
            own.pull(name)
        assert caught.value.hint.startswith(f"{name} is stored here and can be used")
        assert "did you mean" not in caught.value.hint
