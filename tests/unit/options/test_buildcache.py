from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.options.buildcache import CachePlace


def test_sources() -> None:
    assert CachePlace.source("host:5000/a:1") == CachePlace("registry", "host:5000/a:1")
    assert CachePlace.source("type=registry,ref=a") == CachePlace("registry", "a")
    assert CachePlace.source("type=local,src=x,tag=t") == CachePlace(
        "local", folder=Path("x"), tag="t"
    )


def test_targets() -> None:
    assert CachePlace.target("type=inline") == CachePlace("inline")
    assert CachePlace.target("type=local,dest=x,mode=max") == CachePlace(
        "local", folder=Path("x"), mode="max"
    )
    found = CachePlace.target("type=registry,ref=a,image-manifest=true,ignore-error=true")
    assert found == CachePlace("registry", "a", ignore_error=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("type=registry", "needs ref"),
        ("type=local", "needs src"),
        ("type=local,dest=x", "unknown key 'dest'"),
        ("type=inline", "is part of its image"),
        ("type=disk,src=x", "invalid cache"),
        ("type=local,src=x,mode=most", "invalid mode"),
    ],
)
def test_bad_sources(text: str, words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        CachePlace.source(text)


@pytest.mark.parametrize("kind", ["gha", "s3", "azblob"])
def test_services_are_named_as_unsupported(kind: str) -> None:
    with pytest.raises(UnsupportedError, match=f"type {kind}"):
        CachePlace.target(f"type={kind},url=x")
