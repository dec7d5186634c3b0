"""A registry that means harm: documents and bodies that lie are refused by name.

Every row ends with the same look around (:mod:`.hostile`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import (
    ContainersError,
    ImageNotFoundError,
    RegistryError,
    UnsupportedError,
    VerificationError,
)
from tests.integration.hostile import honest, nothing_left
from tests.integration.registry_server import Answer, Asked, ScriptedRegistry
from tests.integration.served_image import INDEX, MANIFEST, ServedImage, member, tar

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

Twist = Callable[[ServedImage, dict[str, Any]], Any]


def manifest_of(served: ServedImage) -> dict[str, Any]:
    served.image([tar(member("f", b"x" * 5000))], "1")
    document: dict[str, Any] = json.loads(served.manifests["1"][1])
    return document


def serve(served: ServedImage, document: Any, kind: str = MANIFEST) -> None:
    served.document(document, kind, "1")


def huge(served: ServedImage, document: dict[str, Any]) -> None:
    serve(served, {**document, "annotations": {"a": "x" * (5 * 2**20)}})


def many_layers(served: ServedImage, document: dict[str, Any]) -> None:
    serve(served, {**document, "layers": document["layers"] * 2000})


def both_kinds(served: ServedImage, document: dict[str, Any]) -> None:
    serve(served, {**document, "manifests": []})


def an_index_said_to_be_a_manifest(served: ServedImage, document: dict[str, Any]) -> None:
    entry = served.document(document, MANIFEST)
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
    serve(served, index, MANIFEST)


def a_manifest_said_to_be_an_index(served: ServedImage, document: dict[str, Any]) -> None:
    serve(served, document, INDEX)


def an_index_in_an_index(served: ServedImage, document: dict[str, Any]) -> None:
    del document
    platform = {"architecture": "amd64", "os": "linux"}
    inner = served.document({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}, INDEX)
    served.index([(inner, platform)], "1")


def an_index_of_itself(served: ServedImage, document: dict[str, Any]) -> None:
    platform = {"architecture": "amd64", "os": "linux"}
    entry = served.document(document, MANIFEST)
    served.index([(entry, platform)], "1")
    served.manifests[entry["digest"]] = served.manifests["1"]


def schema_1(served: ServedImage, document: dict[str, Any]) -> None:
    kind = "application/vnd.docker.distribution.manifest.v1+prettyjws"
    serve(served, {"schemaVersion": 1, "fsLayers": [], "history": []}, kind)


def a_helm_chart(served: ServedImage, document: dict[str, Any]) -> None:
    chart = {"mediaType": "application/vnd.cncf.helm.config.v1+json", **served.blob(b'{"name":1}')}
    serve(served, {**document, "config": chart})


def a_layer_for_a_configuration(served: ServedImage, document: dict[str, Any]) -> None:
    serve(served, {**document, "config": {**document["config"], **_place(document["layers"][0])}})


def a_configuration_for_a_layer(served: ServedImage, document: dict[str, Any]) -> None:
    serve(served, {**document, "layers": [{**document["layers"][0], **_place(document["config"])}]})


def _place(entry: dict[str, Any]) -> dict[str, Any]:
    return {"digest": entry["digest"], "size": entry["size"]}


def a_digest_with_a_path(served: ServedImage, document: dict[str, Any]) -> None:
    layer = {**document["layers"][0], "digest": "sha256:../../../../../../etc/passwd"}
    serve(served, {**document, "layers": [layer]})


def an_unknown_algorithm(served: ServedImage, document: dict[str, Any]) -> None:
    layer = {**document["layers"][0], "digest": "md5:" + "0" * 32}
    serve(served, {**document, "layers": [layer]})


def a_size_below_zero(served: ServedImage, document: dict[str, Any]) -> None:
    serve(served, {**document, "layers": [{**document["layers"][0], "size": -1}]})


def a_size_that_is_text(served: ServedImage, document: dict[str, Any]) -> None:
    serve(served, {**document, "layers": [{**document["layers"][0], "size": "5000"}]})


def numbers_for_texts(served: ServedImage, document: dict[str, Any]) -> None:
    serve(served, {**document, "layers": [{**document["layers"][0], "mediaType": 5}]})


def nested_for_ever(served: ServedImage, document: dict[str, Any]) -> None:
    del document
    data = b"[" * 100_000
    served.manifests["1"] = (MANIFEST, data)


def no_json(served: ServedImage, document: dict[str, Any]) -> None:
    del document
    served.manifests["1"] = (MANIFEST, b"<html>sign in to the hotel's network</html>")


def wrong_bytes_of_a_manifest(served: ServedImage, document: dict[str, Any]) -> None:
    platform = {"architecture": "amd64", "os": "linux"}
    entry = served.document(document, MANIFEST)
    served.index([(entry, platform)], "1")
    kind, data = served.manifests[entry["digest"]]
    served.manifests[entry["digest"]] = (kind, data + b" ")


def fewer_diff_ids(served: ServedImage, document: dict[str, Any]) -> None:
    serve(served, {**document, "layers": document["layers"] * 2})


def a_foreign_layer(served: ServedImage, document: dict[str, Any]) -> None:
    layer = document["layers"][0]
    del served.blobs[layer["digest"]]
    kind = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    place = "http://169.254.169.254/latest/meta-data"
    serve(served, {**document, "layers": [{**layer, "mediaType": kind, "urls": [place]}]})


DOCUMENTS: dict[Twist, tuple[type[ContainersError], str]] = {
    huge: (VerificationError, "larger than 4 MiB"),
    many_layers: (VerificationError, "2001 entries"),
    both_kinds: (VerificationError, "both an index and an image"),
    an_index_said_to_be_a_manifest: (VerificationError, "but declares"),
    a_manifest_said_to_be_an_index: (VerificationError, "but declares"),
    an_index_in_an_index: (VerificationError, "index inside an index"),
    an_index_of_itself: (VerificationError, "digest"),
    schema_1: (UnsupportedError, "schema 1"),
    a_helm_chart: (UnsupportedError, "helm"),
    a_layer_for_a_configuration: (VerificationError, "JSON"),
    a_configuration_for_a_layer: (ContainersError, "layer|digest"),
    a_digest_with_a_path: (ContainersError, "not a digest"),
    an_unknown_algorithm: (ContainersError, "not a digest"),
    a_size_below_zero: (ContainersError, "negative"),
    a_size_that_is_text: (VerificationError, "malformed"),
    numbers_for_texts: (VerificationError, "malformed"),
    nested_for_ever: (VerificationError, "JSON"),
    no_json: (VerificationError, "JSON"),
    wrong_bytes_of_a_manifest: (VerificationError, "digest"),
    fewer_diff_ids: (VerificationError, "2 layers"),
    a_foreign_layer: (ContainersError, "no blob"),
}


@pytest.mark.parametrize("twist", DOCUMENTS, ids=lambda twist: twist.__name__)
def test_documents_that_lie(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry, twist: Twist
) -> None:
    error, words = DOCUMENTS[twist]
    twist(served, manifest_of(served))
    with pytest.raises(error, match=words) as caught:
        own.pull(f"{scripted.host}/evil:1")
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 500
    nothing_left(own)
    honest(own, served, scripted)


def endless() -> Iterator[bytes]:
    while True:
        yield bytes(65536)


@pytest.mark.parametrize("where", ["manifests", "blobs"])
@pytest.mark.parametrize("length", ["", "100000000000"])
def test_endless_bodies(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry, where: str, length: str
) -> None:
    manifest_of(served)

    def script(asked: Asked) -> Answer:
        answer = served(asked)
        if f"/{where}/" in asked.path and asked.method == "GET":
            headers = {**answer.headers, **({"Content-Length": length} if length else {})}
            return Answer(answer.status, headers, endless())
        return answer

    scripted.script = script
    with pytest.raises((VerificationError, RegistryError)):
        own.pull(f"{scripted.host}/evil:1")
    partial = sum(path.stat().st_size for path in own.settings.root.rglob("*") if path.is_file())
    assert partial < 20 * 2**20, "what is over the announced size is not kept"
    nothing_left(own)
    honest(own, served, scripted)


def test_a_redirect_gets_no_credentials_and_its_bytes_are_verified(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = served.image([tar(member("f", b"x" * 5000))], "1")
    seen: list[str | None] = []

    def elsewhere(asked: Asked) -> Answer:
        seen.append(asked.headers.get("Authorization"))
        return served(asked)

    with ScriptedRegistry(elsewhere, name="localhost") as other:

        def script(asked: Asked) -> Answer:
            if not asked.headers.get("Authorization"):
                return Answer(401, {"WWW-Authenticate": 'Basic realm="x"'})
            if "/blobs/" in asked.path:
                return Answer(307, {"Location": f"{other.url}{asked.path}"})
            return served(asked)

        scripted.script = script
        own.registries.login(scripted.host, "ada", "s3cret")
        assert own.pull(f"{scripted.host}/app:1").digest == image["digest"]
        assert seen == [None] * len(seen) != []
        own.system.prune(all=True)
        served.lies = {d: data[:-1] + b"!" for d, data in served.blobs.items()}
        with pytest.raises(VerificationError):
            own.pull(f"{scripted.host}/app:1")


@pytest.mark.parametrize(
    "tag", ["../../../x", "a/b", "a@sha256:" + "0" * 64, "a b", "\x1b[31m", "", "x" * 200, 5, {}]
)
def test_tags_and_repositories_that_are_none(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry, tag: Any
) -> None:
    """They would become addresses, and names in the store that cannot be parsed again."""

    def listing(asked: Asked) -> Answer:
        if asked.path.endswith("/tags/list"):
            return Answer(200, {}, json.dumps({"name": "app", "tags": ["1", tag]}).encode())
        if asked.path.endswith("/_catalog"):
            return Answer(200, {}, json.dumps({"repositories": [f"{tag}//"]}).encode())
        return served(asked)

    served.image([tar(member("f", b"1"))], "1")
    scripted.script = listing
    with pytest.raises(VerificationError, match="no valid name"):
        own.pull(f"{scripted.host}/app", all_tags=True)
    with pytest.raises(VerificationError, match="no valid name"):
        own.registries.repositories(scripted.host)
    assert own.images() == []


def test_a_platform_that_is_not_offered_names_those_that_are(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry
) -> None:
    served.index([], "1")
    with pytest.raises(ImageNotFoundError, match="no image for"):
        own.pull(f"{scripted.host}/evil:1")
