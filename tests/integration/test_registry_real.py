"""The client against Debian's docker-registry: open, with a password, with TLS."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jupyter_containers.errors import (
    BlobNotFoundError,
    DigestMismatchError,
    ImageNotFoundError,
    RegistryError,
    SizeMismatchError,
    UnauthorizedError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.oci.descriptor import (
    CONFIG,
    INDEX,
    LAYER_TAR,
    MANIFEST,
    Descriptor,
    RawDocument,
    digest_of,
)
from jupyter_containers.registry import (
    Credential,
    FixedCredentials,
    RegistryClient,
    RetryPolicy,
)
from jupyter_containers.registry.endpoint import TrustPolicy
from jupyter_containers.registry.transport import RequestsTransport
from jupyter_containers.registry.upload import BlobUpload
from tests.integration.registry_server import (
    Certificates,
    DockerRegistry,
    missing_registry,
)
from tests.ports import free_port

pytestmark = pytest.mark.skipif(bool(missing_registry()), reason=missing_registry())
QUICK = RetryPolicy(attempts=2, pause=0.01, longest_wait=1)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with DockerRegistry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    folder = tmp_path_factory.mktemp("locked")
    with DockerRegistry(folder, user=("ada", "s3cret:with colon")) as running:
        yield running


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def secure(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[DockerRegistry]:
    folder = tmp_path_factory.mktemp("secure")
    with DockerRegistry(folder, certificates=certificates) as running:
        yield running


@pytest.fixture
def client(registry: DockerRegistry) -> Iterator[RegistryClient]:
    with RegistryClient(registry.host, retry=QUICK) as opened:
        yield opened


def blob_of(data: bytes, media_type: str = LAYER_TAR) -> Descriptor:
    return Descriptor(media_type, digest_of(data), len(data))


def push_image(client: RegistryClient, repository: str, tag: str, data: bytes) -> RawDocument:
    """Push a one-layer image made by hand and return its manifest."""
    diff_id = digest_of(data)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        }
    ).encode()
    parts = [blob_of(config, CONFIG), blob_of(data)]
    for part, content in zip(parts, (config, data), strict=True):
        client.push_blob(repository, part, lambda content=content: io.BytesIO(content))
    entries = [{"mediaType": p.media_type, "digest": p.digest, "size": p.size} for p in parts]
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": entries[0],
        "layers": entries[1:],
    }
    manifest = RawDocument(json.dumps(document, indent=3).encode(), MANIFEST)
    assert client.push_manifest(repository, tag, manifest) == manifest.digest
    return manifest


def fetched(client: RegistryClient, repository: str, blob: Descriptor, offset: int = 0) -> bytes:
    with client.blob(repository, blob, offset) as reader:
        assert reader.offset == offset
        return b"".join(reader)


def test_what_is_pushed_comes_back_byte_for_byte(client: RegistryClient) -> None:
    layer = os.urandom(3 * 1024 * 1024 + 17)
    manifest = push_image(client, "round/trip", "v1", layer)
    for reference in ("v1", manifest.digest):
        assert client.resolve("round/trip", reference) == manifest.descriptor
        assert client.manifest("round/trip", reference) == manifest
    assert client.manifest("round/trip", "v1", manifest.descriptor) == manifest
    assert fetched(client, "round/trip", blob_of(layer)) == layer


@pytest.mark.parametrize("offset", [1, 70_000, 299_999, 300_000])
def test_a_download_goes_on_where_it_was(client: RegistryClient, offset: int) -> None:
    layer = hashlib.shake_256(b"x").digest(300_000)
    client.push_blob("resumed", blob_of(layer), lambda: io.BytesIO(layer))
    assert fetched(client, "resumed", blob_of(layer), offset) == layer[offset:]


def test_outcomes_of_a_push(client: RegistryClient) -> None:
    data = os.urandom(2 * 1024 * 1024 + 1)
    blob = blob_of(data)
    sent: list[int] = []

    def push(repository: str, **more: object) -> str:
        return client.push_blob(repository, blob, lambda: io.BytesIO(data), **more)

    assert not client.has_blob("first", blob.digest)
    assert push("first", progress=sent.append) == "uploaded"
    assert sent == sorted(sent)
    assert sent[-1] == blob.size
    assert client.has_blob("first", blob.digest)
    assert push("first") == "exists"
    assert push("second", mount_from=["nowhere", "first"]) == "mounted"
    assert push("third", mount_from=["nowhere"]) == "uploaded"
    assert client.mount_blob("fourth", blob.digest, "first") is True
    assert client.mount_blob("fourth", digest_of(b"unknown"), "first") is False
    assert fetched(client, "second", blob) == fetched(client, "fourth", blob) == data


def test_an_empty_blob_can_be_pushed_and_read(client: RegistryClient) -> None:
    blob = blob_of(b"")
    assert client.push_blob("empty", blob, lambda: io.BytesIO(b"")) == "uploaded"
    assert fetched(client, "empty", blob) == b""


def test_chunked_upload_is_accepted(client: RegistryClient) -> None:
    data = os.urandom(1_000_003)
    upload = BlobUpload(
        client._main,
        "chunked",
        blob_of(data),
        lambda: io.BytesIO(data),
        cancel=CancelToken(),
        chunk_bytes=300_000,
    )
    upload._put_chunks(upload._begin())
    assert fetched(client, "chunked", blob_of(data)) == data


def test_several_transfers_at_once(client: RegistryClient) -> None:
    contents = [os.urandom(1_500_000) for _ in range(6)]

    def there_and_back(data: bytes) -> bool:
        client.push_blob("parallel", blob_of(data), lambda: io.BytesIO(data))
        return fetched(client, "parallel", blob_of(data)) == data

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(there_and_back, contents))


def test_the_registry_refuses_other_bytes_than_promised(client: RegistryClient) -> None:
    lie = Descriptor(LAYER_TAR, digest_of(b"promised"), 8)
    with pytest.raises(DigestMismatchError):
        client.push_blob("liar", lie, lambda: io.BytesIO(b"received"))


def test_a_file_shorter_than_its_descriptor_is_noticed(client: RegistryClient) -> None:
    with pytest.raises(SizeMismatchError):
        client.push_blob(
            "short", Descriptor(LAYER_TAR, digest_of(b"abc"), 9), lambda: io.BytesIO(b"abc")
        )


def test_tags_come_page_by_page(client: RegistryClient, registry: DockerRegistry) -> None:
    layer = b"tags"
    for number in range(7):
        manifest = push_image(client, "tagged", f"t{number}", layer)
    expected = [f"t{number}" for number in range(7)]
    assert sorted(client.tags("tagged")) == expected
    # This registry gives all tags at once, but its list of repositories comes in pages.
    push_image(client, "tagged/too", "t", layer)
    pages = list(client._pages(client._main, "tagged", "_catalog?n=1"))
    names = [name for page in pages for name in page["repositories"] or ()]
    assert len(pages) > 1
    assert {"tagged", "tagged/too"} <= set(names)
    client.delete_manifest("tagged", manifest.digest)
    with pytest.raises(ImageNotFoundError):
        client.resolve("tagged", "t6")
    with pytest.raises(ImageNotFoundError):
        client.delete_manifest("tagged", manifest.digest)


def test_an_index_is_as_good_as_a_manifest(client: RegistryClient) -> None:
    child = push_image(client, "multi", "one", b"multi").descriptor
    entry = {"mediaType": child.media_type, "digest": child.digest, "size": child.size}
    entry["platform"] = {"os": "linux", "architecture": "amd64"}
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
    index = RawDocument(json.dumps(document).encode(), INDEX)
    client.push_manifest("multi", "all", index)
    assert client.resolve("multi", "all") == index.descriptor
    assert client.manifest("multi", "all") == index


def test_referrers_are_read_from_the_tag_where_there_is_no_api(client: RegistryClient) -> None:
    subject = push_image(client, "signed", "v1", b"signed")
    assert client.referrers("signed", subject.digest) == ()
    other = push_image(client, "signed", "signature", b"signature").descriptor
    entry = {"mediaType": other.media_type, "digest": other.digest, "size": other.size}
    entry["artifactType"] = "application/x-signature"
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
    index = RawDocument(json.dumps(document).encode(), INDEX)
    client.push_manifest("signed", subject.digest.replace(":", "-"), index)
    assert [d.digest for d in client.referrers("signed", subject.digest)] == [other.digest]
    assert client.referrers("signed", subject.digest, "application/x-other") == ()


def test_what_is_not_there(client: RegistryClient) -> None:
    push_image(client, "known", "v1", b"known")
    for repository, reference in [
        ("known", "v2"),
        ("unknown", "v1"),
        ("known", digest_of(b"unknown")),
    ]:
        with pytest.raises(ImageNotFoundError, match=reference):
            client.resolve(repository, reference)
        with pytest.raises(ImageNotFoundError, match=reference):
            client.manifest(repository, reference)
    with pytest.raises(BlobNotFoundError):
        client.blob("known", blob_of(b"unknown"))
    with pytest.raises(ImageNotFoundError):
        client.tags("unknown")


def test_a_password_is_wanted_and_checked(locked: DockerRegistry) -> None:
    def using(*pair: str) -> RegistryClient:
        known = {locked.host: Credential(*pair)} if pair else {}
        return RegistryClient(locked.host, credentials=FixedCredentials(known), retry=QUICK)

    with using("ada", "s3cret:with colon") as client:
        client.ping()
        push_image(client, "private", "v1", b"private")
        assert fetched(client, "private", blob_of(b"private")) == b"private"
    for wrong in (("ada", "guess"), ("bob", "s3cret:with colon")):
        with using(*wrong) as client:
            with pytest.raises(UnauthorizedError, match="user name or password") as caught:
                client.ping()
            assert caught.value.status == 401
            assert f"login {locked.host}" in caught.value.hint
            assert wrong[1] not in caught.value.report()
            with pytest.raises(UnauthorizedError):
                client.push_blob("private", blob_of(b"new"), lambda: io.BytesIO(b"new"))
    with using() as client:
        with pytest.raises(UnauthorizedError, match="login") as caught:
            client.resolve("private", "v1")
        assert f"login {locked.host}" in caught.value.hint


def test_tls_with_an_own_authority(
    secure: DockerRegistry, certificates: Certificates, tmp_path: Path
) -> None:
    place = tmp_path / "certs.d" / secure.host
    place.mkdir(parents=True)
    shutil.copy(certificates.authority, place / "ca.crt")
    transport = RequestsTransport(
        policy=TrustPolicy(), certificate_folders=[tmp_path / "certs.d"], environ={}
    )
    with RegistryClient(secure.host, transport=transport) as client:
        client.ping()
        assert client._main.url("").startswith("https://")
        push_image(client, "tls", "v1", b"over tls")
        assert fetched(client, "tls", blob_of(b"over tls")) == b"over tls"
    transport.close()


def test_tls_with_the_authority_in_the_environment(
    secure: DockerRegistry, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.authority))
    with RegistryClient(secure.host) as client:
        client.ping()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent/bundle.pem")
    with (
        RegistryClient(secure.host) as client,
        pytest.raises(RegistryError, match="trusted") as caught,
    ):
        client.ping()
    assert "REQUESTS_CA_BUNDLE" in caught.value.hint


def test_tls_that_nobody_vouches_for(secure: DockerRegistry) -> None:
    with (
        RegistryClient(secure.host) as client,
        pytest.raises(RegistryError, match="not trusted") as caught,
    ):
        client.ping()
    assert "certs.d" in caught.value.hint
    assert "insecure_registries" in caught.value.hint
    with RegistryClient(secure.host, insecure=[secure.host]) as client:
        client.ping()
        client.ping()
        assert client._main.url("").startswith("https://")


def test_plain_http_also_where_the_registry_is_listed(registry: DockerRegistry) -> None:
    with RegistryClient(registry.host, insecure=[registry.host]) as client:
        client.ping()
        assert client._main.url("").startswith("http://")


def test_a_registry_that_is_down() -> None:
    host = f"127.0.0.1:{free_port()}"
    with (
        RegistryClient(host) as client,
        pytest.raises(RegistryError, match="connection refused") as caught,
    ):
        client.resolve("any", "thing")
    assert "running" in caught.value.hint
    assert "\n" not in caught.value.message


def test_a_name_that_does_not_exist() -> None:
    with (
        RegistryClient("no-such-registry.invalid:5000", retry=QUICK) as client,
        pytest.raises(RegistryError) as caught,
    ):
        client.ping()
    assert "no-such-registry.invalid" in caught.value.message


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
def test_skopeo_reads_what_is_pushed(client: RegistryClient, registry: DockerRegistry) -> None:
    empty_tar = bytes(10240)
    manifest = push_image(client, "interop/image", "v1", empty_tar)
    done = subprocess.run(
        ["skopeo", "inspect", "--tls-verify=false", f"docker://{registry.host}/interop/image:v1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["Digest"] == manifest.digest
    assert told["Layers"] == [digest_of(empty_tar)]
