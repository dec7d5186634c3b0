from __future__ import annotations

import json

import pytest

from jupyter_containers.errors import ContainersError, UnsupportedError, VerificationError
from jupyter_containers.oci.descriptor import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    INDEX,
    MANIFEST,
    Descriptor,
    Platform,
    RawDocument,
    digest_of,
)
from jupyter_containers.oci.image import Index, Manifest, parse_image_config, parse_manifest

DIGEST = digest_of(b"x")
ENTRY = {"mediaType": "a/b", "digest": DIGEST, "size": 1}


def document(value: object, media_type: str = MANIFEST) -> RawDocument:
    return RawDocument(json.dumps(value).encode(), media_type)


@pytest.mark.parametrize("media_type", [MANIFEST, DOCKER_MANIFEST])
def test_both_kinds_of_manifest_parse(media_type: str) -> None:
    value = {"schemaVersion": 2, "mediaType": media_type, "config": ENTRY, "layers": [ENTRY]}
    parsed = parse_manifest(document(value, media_type))
    assert isinstance(parsed, Manifest)
    assert parsed.layers == (Descriptor("a/b", DIGEST, 1),)


@pytest.mark.parametrize("media_type", [INDEX, DOCKER_LIST])
def test_both_kinds_of_index_select_by_platform(media_type: str) -> None:
    entries = [
        {**ENTRY, "platform": {"os": "unknown", "architecture": "unknown"}},
        {**ENTRY, "size": 2, "platform": {"os": "linux", "architecture": "arm64"}},
        {**ENTRY, "size": 3, "platform": {"os": "linux", "architecture": "amd64"}},
    ]
    parsed = parse_manifest(document({"schemaVersion": 2, "manifests": entries}, media_type))
    assert isinstance(parsed, Index)
    chosen = parsed.select(Platform("amd64", "linux"))
    assert chosen is not None
    assert chosen.size == 3
    assert parsed.select(Platform("s390x", "linux")) is None


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ([], VerificationError),
        ({"schemaVersion": 1}, UnsupportedError),
        ({"schemaVersion": 2, "config": ENTRY, "layers": [], "manifests": []}, VerificationError),
        ({"schemaVersion": 2, "config": ENTRY}, VerificationError),
        ({"schemaVersion": 2, "config": {**ENTRY, "digest": "x"}, "layers": []}, ContainersError),
        ({"schemaVersion": 2, "config": ENTRY, "layers": [ENTRY] * 1001}, VerificationError),
        ({"schemaVersion": 2, "config": ENTRY, "layers": {"a": 1}}, VerificationError),
    ],
)
def test_malformed_manifests_are_typed_errors(value: object, error: type[ContainersError]) -> None:
    with pytest.raises(error):
        parse_manifest(document(value))


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b" " * (5 * 2**20)])
def test_bytes_that_are_no_manifest_are_typed_errors(data: bytes) -> None:
    with pytest.raises(VerificationError):
        parse_manifest(RawDocument(data, MANIFEST))


def test_nulls_of_go_encoders_mean_absent() -> None:
    config = parse_image_config(
        b'{"architecture":"amd64","os":"linux","config":{"Cmd":["sh"],"Env":null,"Labels":null,'
        b'"ExposedPorts":{"80/tcp":{}}},"rootfs":{"type":"layers","diff_ids":null},"history":null}'
    )
    assert config.config.cmd == ("sh",)
    assert config.config.env == ()
    assert list(config.config.exposed_ports) == ["80/tcp"]
