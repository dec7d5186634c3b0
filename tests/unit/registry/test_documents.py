from __future__ import annotations

import hashlib

import pytest

from jupyter_containers.errors import ContainersError, DigestMismatchError, VerificationError
from jupyter_containers.oci.descriptor import DOCKER_LIST, INDEX, MANIFEST, digest_of
from jupyter_containers.registry.documents import check_digest, media_type_of, next_page


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('</v2/x/tags/list?n=2&last=b>; rel="next"', "/v2/x/tags/list?n=2&last=b"),
        ("</a>; rel=next", "/a"),
        ('</p>; rel="prev", </n>; title="x"; rel="next"', "/n"),
        ('</p>; rel="prev"', ""),
        ("nonsense", ""),
        ("", ""),
    ],
)
def test_next_page(header: str, expected: str) -> None:
    assert next_page(header) == expected


@pytest.mark.parametrize(
    ("data", "header", "expected"),
    [
        (b'{"mediaType": "%s"}' % DOCKER_LIST.encode(), "application/json", DOCKER_LIST),
        (b'{"manifests": []}', "", INDEX),
        (b'{"config": {}, "layers": []}', "application/octet-stream", MANIFEST),
        (b'{"config": {}, "layers": []}', f"{MANIFEST.upper()}; charset=utf-8", MANIFEST),
    ],
)
def test_media_types(data: bytes, header: str, expected: str) -> None:
    assert media_type_of(data, header, "x:1") == expected


@pytest.mark.parametrize(
    ("data", "header"),
    [(b'{"mediaType": "%s"}' % INDEX.encode(), MANIFEST), (b"{}", ""), (b"7", MANIFEST)],
)
def test_documents_that_contradict_themselves(data: bytes, header: str) -> None:
    with pytest.raises(VerificationError):
        media_type_of(data, header, "x:1")


@pytest.mark.parametrize(
    ("digest", "error"),
    [
        (digest_of(b"x"), None),
        ("sha512:" + hashlib.sha512(b"x").hexdigest(), None),
        (digest_of(b"y"), DigestMismatchError),
        ("sha512:" + hashlib.sha512(b"y").hexdigest(), DigestMismatchError),
        ("", None),
        ("md5:abc", None),
    ],
)
def test_digests(digest: str, error: type[ContainersError] | None) -> None:
    if error is None:
        check_digest(b"x", digest, "x:1")
    else:
        with pytest.raises(error):
            check_digest(b"x", digest, "x:1")
