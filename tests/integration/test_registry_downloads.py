"""The client against scripted registries: ranges, broken bodies, odd documents, lists."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from jupyter_containers.errors import (
    ContainersError,
    DigestMismatchError,
    ImageNotFoundError,
    OperationCancelledError,
    RegistryError,
    SizeMismatchError,
    UnsupportedError,
    VerificationError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.oci.descriptor import (
    DOCKER_MANIFEST,
    MANIFEST,
    Descriptor,
    RawDocument,
    digest_of,
)
from tests.integration.registry_server import Answer, Asked, ScriptedRegistry
from tests.integration.scripted_client import (
    BLOB,
    DATA,
    DOCUMENT,
    client_of,
    found,
    ranged,
    read,
)


def test_a_range_that_is_ignored_starts_from_the_beginning() -> None:
    with (
        ScriptedRegistry(lambda asked: Answer(200, {}, DATA)) as server,
        client_of(server) as client,
        client.blob("a/b", BLOB, 1000) as reader,
    ):
        assert reader.offset == 0
        assert b"".join(reader) == DATA


def test_a_broken_download_goes_on_even_when_ranges_are_ignored() -> None:
    def script(asked: Asked) -> Answer:
        whole = len(server.requests(containing="/blobs/")) > 2
        told = {"Content-Length": str(len(DATA))}
        return Answer(200, told, iter([DATA if whole else DATA[:500_000]]))

    with ScriptedRegistry(script) as server, client_of(server) as client:
        assert read(client) == DATA
        assert len(server.requests(containing="/blobs/")) == 3


def test_a_download_that_breaks_again_and_again_is_given_up() -> None:
    def script(asked: Asked) -> Answer:
        start = ranged(asked)
        headers = {"Content-Length": str(len(DATA) - start)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"
        return Answer(206 if start else 200, headers, iter([b"" if start else DATA[:1000]]))

    with ScriptedRegistry(script) as server, client_of(server) as client:
        got = []
        with pytest.raises(RegistryError, match="broke"), client.blob("a/b", BLOB) as reader:
            got.extend(reader)
        assert b"".join(got) == DATA[:1000]
        assert len(server.requests(containing="/blobs/")) == 4


def test_a_body_that_ends_early_without_a_break_is_a_lie() -> None:
    with (
        ScriptedRegistry(lambda asked: Answer(200, {}, DATA[:-5])) as server,
        client_of(server) as client,
        pytest.raises(SizeMismatchError, match="ended"),
    ):
        read(client)


def test_an_endless_body_is_cut() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(65536)

    with (
        ScriptedRegistry(lambda asked: Answer(200, {}, endless())) as server,
        client_of(server) as client,
    ):
        assert len(read(client)) == BLOB.size + 1


@pytest.mark.parametrize(
    ("content_range", "error"),
    [
        ("bytes 5-1048575/1048576", RegistryError),
        ("bytes 1000-1048575/99", SizeMismatchError),
        ("nonsense", RegistryError),
    ],
)
def test_a_wrong_part_is_refused(content_range: str, error: type[ContainersError]) -> None:
    answer = {"Content-Range": content_range}
    with (
        ScriptedRegistry(lambda asked: Answer(206, answer, DATA[1000:])) as server,
        client_of(server) as client,
        pytest.raises(error),
    ):
        read(client, 1000)


def test_a_range_that_cannot_be_satisfied_starts_over() -> None:
    def script(asked: Asked) -> Answer:
        return Answer(416) if "Range" in asked.headers else Answer(200, {}, DATA)

    with ScriptedRegistry(script) as server, client_of(server) as client:
        assert read(client, 1000) == DATA


def test_cancelling_ends_the_wait_for_a_silent_registry() -> None:
    release = threading.Event()

    def slow() -> Iterator[bytes]:
        yield DATA[:300_000]
        release.wait(20)

    cancel = CancelToken()
    with (
        ScriptedRegistry(
            lambda asked: Answer(200, {"Content-Length": "1048576"}, slow())
        ) as server,
        client_of(server, cancel=cancel) as client,
        client.blob("a/b", BLOB) as reader,
    ):
        pieces = iter(reader)
        next(pieces)
        timer = threading.Timer(0.2, cancel.cancel)
        timer.start()
        began = time.monotonic()
        with pytest.raises(OperationCancelledError):
            list(pieces)
        assert time.monotonic() - began < 10
        release.set()
        timer.join()


def test_cancelling_ends_the_wait_for_an_answer() -> None:
    release = threading.Event()

    def script(asked: Asked) -> Answer:
        if asked.path != "/v2/":
            release.wait(20)
        return Answer(200)

    cancel = CancelToken()
    with ScriptedRegistry(script) as server, client_of(server, cancel=cancel) as client:
        timer = threading.Timer(0.2, cancel.cancel)
        timer.start()
        began = time.monotonic()
        with pytest.raises(OperationCancelledError):
            client.resolve("a/b", "v1")
        assert time.monotonic() - began < 10
        release.set()
        timer.join()


def test_resolve_falls_back_to_get_where_head_says_too_little() -> None:
    def script(asked: Asked) -> Answer:
        return found() if asked.method == "GET" else Answer(200, {"Content-Type": MANIFEST})

    with ScriptedRegistry(script) as server, client_of(server) as client:
        assert client.resolve("a/b", "v1") == RawDocument(DOCUMENT, MANIFEST).descriptor
        accepted = server.requests("HEAD")[0].headers["Accept"]
        assert len(accepted.split(", ")) == 4


def test_a_mere_head_is_enough_where_it_says_all() -> None:
    headers = {"Docker-Content-Digest": digest_of(DOCUMENT), "Content-Length": str(len(DOCUMENT))}
    answer = Answer(200, {"Content-Type": MANIFEST, **headers})
    with ScriptedRegistry(lambda asked: answer) as server, client_of(server) as client:
        assert client.resolve("a/b", "v1") == RawDocument(DOCUMENT, MANIFEST).descriptor
        assert not server.requests("GET", "/manifests/")
        with pytest.raises(DigestMismatchError):
            client.resolve("a/b", digest_of(b"other"))


@pytest.mark.parametrize(
    ("reference", "answer", "error"),
    [
        (digest_of(b"other"), found(), DigestMismatchError),
        ("v1", found(Docker_Content_Digest=digest_of(b"other")), DigestMismatchError),
        ("v1", found(media_type=DOCKER_MANIFEST), VerificationError),
        ("v1", found(b"<html>"), VerificationError),
        ("v1", found(b"[]"), VerificationError),
        ("v1", found(b"[" * 100_000), VerificationError),
        ("v1", found(b'{"a": 1}', "text/html"), VerificationError),
        ("v1", found(b'{"schemaVersion": 1}', "application/json"), UnsupportedError),
        ("v1", found(Content_Length="999999999999"), VerificationError),
        ("v1", found(b" " * (4 * 1024 * 1024 + 1)), VerificationError),
        ("v1", Answer(404, {}, b"not json"), ImageNotFoundError),
    ],
)
def test_manifests_that_are_refused(
    reference: str, answer: Answer, error: type[ContainersError]
) -> None:
    with (
        ScriptedRegistry(lambda asked: answer) as server,
        client_of(server) as client,
        pytest.raises(error),
    ):
        client.manifest("a/b", reference)


def test_an_endless_manifest_is_cut() -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 64 * 1024 * 1024:
            sent += 65536
            yield bytes(65536)

    with (
        ScriptedRegistry(lambda asked: Answer(200, {}, endless())) as server,
        client_of(server) as client,
        pytest.raises(VerificationError, match="4 MiB"),
    ):
        client.manifest("a/b", "v1")
    assert sent < 32 * 1024 * 1024


@pytest.mark.parametrize("told", ["application/json", "", "text/plain; charset=utf-8", MANIFEST])
def test_the_media_type_is_found_in_the_document(told: str) -> None:
    with (
        ScriptedRegistry(lambda asked: found(media_type=told)) as server,
        client_of(server) as client,
    ):
        assert client.manifest("a/b", "v1") == RawDocument(DOCUMENT, MANIFEST)


def test_an_expected_manifest_must_have_the_expected_size() -> None:
    with (
        ScriptedRegistry(lambda asked: found()) as server,
        client_of(server) as client,
        pytest.raises(SizeMismatchError),
    ):
        client.manifest("a/b", "v1", Descriptor(MANIFEST, digest_of(DOCUMENT), 3))


def test_tags_follow_links_within_the_registry_only() -> None:
    def script(asked: Asked) -> Answer:
        last = dict(asked.query).get("last")
        if last is None:
            link = '</v2/a/b/tags/list?last=b&n=2>; rel="next"'
            return Answer(200, {"Link": link}, b'{"tags": ["a", "b"]}')
        link = '<https://elsewhere.invalid/>; rel="next"'
        return Answer(200, {"Link": link} if last == "c" else {}, b'{"tags": ["c"]}')

    with ScriptedRegistry(script) as server, client_of(server) as client:
        assert client.tags("a/b") == ["a", "b", "c"]
        with pytest.raises(RegistryError, match="continues a list"):
            list(client._pages(client._main, "a/b", "a/b/tags/list?last=c"))
