from __future__ import annotations

import pytest

from jupyter_containers.errors import InvalidArgumentError, InvalidDigestError
from jupyter_containers.oci.descriptor import (
    Descriptor,
    Platform,
    chain_id,
    digest_of,
    host_architecture,
    short_id,
    validate_digest,
)


def test_chain_ids_follow_the_specification() -> None:
    first, second = digest_of(b"1"), digest_of(b"2")
    assert chain_id([]) == ""
    assert chain_id([first]) == first
    assert chain_id([first, second]) == digest_of(f"{first} {second}".encode())


@pytest.mark.parametrize("text", ["", "sha256:", "md5:" + "0" * 32, "sha256:" + "G" * 64, "../x"])
def test_bad_digests_are_refused(text: str) -> None:
    with pytest.raises(InvalidDigestError):
        validate_digest(text)


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(InvalidDigestError):
        Descriptor("x/y", digest_of(b""), -1).checked()


@pytest.mark.parametrize(
    ("wish", "offers", "best"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], 1),
        ("linux/amd64", ["linux/amd64/v2", "linux/amd64"], 1),
        ("linux/arm64", ["linux/arm64/v8", "linux/arm64/v9"], 0),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6", "linux/arm64"], 1),
        ("linux/arm/v6", ["linux/arm/v7"], None),
        ("linux/amd64", ["windows/amd64"], None),
    ],
)
def test_platforms_match_by_fitness_not_by_order(
    wish: str, offers: list[str], best: int | None
) -> None:
    scores = [Platform.parse(wish).match_score(Platform.parse(offer)) for offer in offers]
    chosen = scores.index(max(scores)) if max(scores) > 0 else None
    assert chosen == best


def test_platform_words_of_the_kernel_become_gos() -> None:
    assert str(Platform.parse("linux/x86_64")) == "linux/amd64"
    assert str(Platform.parse("linux/aarch64")) == "linux/arm64"
    assert str(Platform.parse("arm64")) == str(Platform.parse("aarch64")) == "linux/arm64"
    assert Platform.parse("linux") == Platform.parse(f"linux/{host_architecture()}")
    for text in ("a/b/c/d", "amd46", ""):
        with pytest.raises(InvalidArgumentError, match="not a platform"):
            Platform.parse(text)


def test_short_ids_are_twelve_characters() -> None:
    assert short_id(digest_of(b"")) == "e3b0c44298fc"
