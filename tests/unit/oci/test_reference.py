from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.errors import InvalidReferenceError
from jupyter_containers.oci.reference import Reference

HEX = "a" * 64
DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "complete", "familiar"),
    [
        ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("python:3.11-slim", "docker.io/library/python:3.11-slim", "python:3.11-slim"),
        ("me/app", "docker.io/me/app:latest", "me/app:latest"),
        ("localhost/app:1", "localhost/app:1", "localhost/app:1"),
        ("localhost:5000/a/b:1", "localhost:5000/a/b:1", "localhost:5000/a/b:1"),
        ("host:5000/app", "host:5000/app:latest", "host:5000/app:latest"),
        ("ghcr.io/o/r", "ghcr.io/o/r:latest", "ghcr.io/o/r:latest"),
        ("index.docker.io/library/x", "docker.io/library/x:latest", "x:latest"),
        (f"busybox@{DIGEST}", f"docker.io/library/busybox@{DIGEST}", f"busybox@{DIGEST}"),
        (f"b:1@{DIGEST}", f"docker.io/library/b:1@{DIGEST}", f"b:1@{DIGEST}"),
        ("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"),
        ("docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
        (f"docker.io/{HEX}", f"docker.io/library/{HEX}:latest", f"{HEX}:latest"),
        (f"{HEX}:1", f"docker.io/library/{HEX}:1", f"{HEX}:1"),
        ("a" * 247, f"docker.io/library/{'a' * 247}:latest", f"{'a' * 247}:latest"),
        (f"host:5000/{'a' * 255}:1", f"host:5000/{'a' * 255}:1", f"host:5000/{'a' * 255}:1"),
        ("library/a/b:1", "docker.io/library/a/b:1", "library/a/b:1"),
        ("docker.io/library/library", "docker.io/library/library:latest", "library:latest"),
        ("localhost/library/a", "localhost/library/a:latest", "localhost/library/a:latest"),
    ],
)
def test_references_are_read_as_docker_reads_them(text: str, complete: str, familiar: str) -> None:
    """As Docker 28.5 answers ``image inspect``; 20.10 took longer names too."""
    reference = Reference.parse(text)
    assert (str(reference), reference.familiar) == (complete, familiar)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Busybox",
        "a//b",
        "a:b:c",
        "-a",
        "a:" + "t" * 129,
        "a@sha256:12",
        "a" * 64,
        "x/" * 200 + "x",
        "a b",
        "a_",
        "host:port/x",
        "a" * 248,  # 256 with library/
        f"host:5000/{'a' * 256}",
        "[2001:db8:3:4::192.0.2.33]:5000/x",
        "[fe80::1%25eth0]:5000/x",
    ],
)
def test_what_docker_refuses_is_refused(text: str) -> None:
    with pytest.raises(InvalidReferenceError):
        Reference.parse(text)


def test_capital_letters_get_a_hint() -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        Reference.parse("MyApp")
    assert caught.value.hint == "repository names are lower case: myapp"


@given(st.text(max_size=60))
def test_any_text_is_a_reference_or_a_typed_error(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidReferenceError:
        return
    assert Reference.parse(str(reference)) == reference
    assert Reference.parse(reference.familiar) == reference
