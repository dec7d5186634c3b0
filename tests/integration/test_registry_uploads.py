"""The client against scripted registries: sessions, chunks, mounts, other storage formats."""

from __future__ import annotations

import io

import pytest

from jupyter_containers.errors import (
    DigestMismatchError,
    OperationCancelledError,
    RegistryError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.oci.descriptor import (
    LAYER_TAR,
    MANIFEST,
    Descriptor,
    RawDocument,
    digest_of,
)
from tests.integration.registry_server import Answer, ScriptedRegistry
from tests.integration.scripted_client import (
    BLOB,
    DATA,
    DOCUMENT,
    TokenServer,
    Uploads,
    client_of,
    push,
)


def test_a_relative_location_and_its_query_are_kept() -> None:
    uploads = Uploads()
    with ScriptedRegistry(uploads) as server, client_of(server) as client:
        assert push(client) == "uploaded"
        assert uploads.committed == DATA
        (put,) = server.requests("PUT")
        assert put.headers["Content-Length"] == str(len(DATA))
        assert put.headers["Transfer-Encoding"] is None
        assert "_state=abc%3D%3D" in put.target


def test_a_session_offered_instead_of_a_mount_is_used() -> None:
    uploads = Uploads()
    with ScriptedRegistry(uploads) as server, client_of(server) as client:
        assert push(client, mount_from=["c/d"]) == "uploaded"
        assert uploads.committed == DATA
        (post,) = server.requests("POST")
        assert post.query == [("mount", BLOB.digest), ("from", "c/d")]


@pytest.mark.parametrize("status", [413, 405, 501])
def test_a_refusal_of_the_whole_leads_to_chunks(status: int) -> None:
    uploads = Uploads()
    uploads.whole, uploads.limit, uploads.least = status, 400_000, "100000"
    with ScriptedRegistry(uploads) as server, client_of(server) as client:
        assert push(client) == "uploaded"
        assert uploads.committed == DATA
        taken = [len(p.body) for p in server.requests("PATCH") if len(p.body) <= 400_000]
        assert all(size >= 100_000 for size in taken[:-1])


def test_a_server_that_hangs_up_on_large_bodies_gets_small_ones() -> None:
    uploads = Uploads()
    with ScriptedRegistry(uploads) as server, client_of(server) as client:
        server.longest_body = 200_000
        assert push(client) == "uploaded"
        assert uploads.committed == DATA


def test_a_lost_chunk_is_taken_up_where_the_registry_is() -> None:
    uploads = Uploads()
    uploads.whole, uploads.limit, uploads.lose_after = 413, 300_000, 200_000
    with ScriptedRegistry(uploads) as server, client_of(server) as client:
        assert push(client) == "uploaded"
        assert uploads.committed == DATA
        assert server.requests("GET", "/uploads/")


def test_an_expired_token_in_an_upload_is_renewed_and_the_body_sent_again() -> None:
    uploads = Uploads()
    with TokenServer(uploads, uses=1).served() as server, client_of(server) as client:
        assert push(client) == "uploaded"
        assert uploads.committed == DATA


def test_the_body_of_an_upload_elsewhere_goes_without_authorization() -> None:
    uploads = Uploads()
    with ScriptedRegistry(uploads, name="localhost") as store:
        uploads.location = store.url + "/v2/a/b/blobs/uploads/{}?_state=abc%3D%3D"
        with TokenServer(uploads).served() as server, client_of(server) as client:
            assert push(client) == "uploaded"
        assert uploads.committed == DATA
        assert [asked.headers["Authorization"] for asked in store.asked] == [None]


@pytest.mark.parametrize("location", ["", "http://plain.invalid/x", "ftp://x/", "http://[x"])
def test_a_session_without_a_usable_address_is_an_error(location: str) -> None:
    uploads = Uploads()
    uploads.location = location
    with (
        ScriptedRegistry(uploads) as server,
        client_of(server) as client,
        pytest.raises(RegistryError, match="Location"),
    ):
        push(client)


def test_an_upload_can_be_cancelled_and_leaves_no_open_file() -> None:
    cancel = CancelToken()
    opened: list[io.BytesIO] = []

    def open_blob() -> io.BytesIO:
        opened.append(io.BytesIO(DATA * 8))
        return opened[-1]

    blob = Descriptor(LAYER_TAR, digest_of(DATA * 8), len(DATA) * 8)
    with (
        ScriptedRegistry(Uploads()) as server,
        client_of(server, cancel=cancel) as client,
        pytest.raises(OperationCancelledError),
    ):
        client.push_blob("a/b", blob, open_blob, progress=lambda sent: cancel.cancel())
    assert [stream.closed for stream in opened] == [True]


def test_a_manifest_that_is_stored_differently_is_noticed() -> None:
    answer = Answer(201, {"Docker-Content-Digest": digest_of(b"other")})
    with (
        ScriptedRegistry(lambda asked: answer) as server,
        client_of(server) as client,
        pytest.raises(DigestMismatchError),
    ):
        client.push_manifest("a/b", "v1", RawDocument(DOCUMENT, MANIFEST))
