"""The contents of a layout's folder, and the replacement of images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from jupyter_containers.engine.images.copy import copy
from jupyter_containers.engine.images.places.base import Image, Target, Transfer
from jupyter_containers.engine.images.places.layout import FULL_NAME, LayoutPlace
from jupyter_containers.errors import (
    DigestMismatchError,
    NotFoundError,
    UnsupportedError,
    VerificationError,
)
from jupyter_containers.events import CancelToken, discard
from jupyter_containers.oci.descriptor import CONFIG, MANIFEST, RawDocument, encode_json
from jupyter_containers.oci.image import new_manifest
from jupyter_containers.oci.reference import Reference
from jupyter_containers.store.content import REF_NAME

QUIET = Transfer(discard, CancelToken())


def image(place: LayoutPlace, text: bytes) -> Image:
    """Put a configuration into a place; return an image that is nothing else."""
    config = RawDocument(text, CONFIG)
    place.put(config)
    manifest = new_manifest(config.descriptor, ())
    return Image(manifest, RawDocument(encode_json(manifest), MANIFEST))


def marked(folder: Path) -> Sequence[tuple[str, str]]:
    entries = json.loads((folder / "index.json").read_bytes())["manifests"]
    marks = [entry.get("annotations", {}) for entry in entries]
    return [(each.get(FULL_NAME, ""), each.get(REF_NAME, "")) for each in marks]


def keep(place: LayoutPlace, text: bytes, *names: str, **marks: str) -> Target:
    target = Target((image(place, text),), tuple(map(Reference.parse, names)), annotations=marks)
    copy(place, place, [target], QUIET)
    return target


def test_only_entries_of_the_same_name_are_replaced(tmp_path: Path) -> None:
    place = LayoutPlace.at(tmp_path / "layout", CancelToken())
    first = keep(place, b"{}", "app:1", "app:2")
    assert marked(place.folder) == [
        ("docker.io/library/app:1", "1"),
        ("docker.io/library/app:2", "2"),
    ]
    second = keep(place, b"{ }", "app:2", "other:2")
    assert marked(place.folder) == [
        ("docker.io/library/app:1", "1"),
        ("docker.io/library/app:2", "2"),
        ("docker.io/library/other:2", "2"),
    ]
    assert place.find("docker.io/library/app:2") == second.document
    assert place.find("docker.io/library/app:1") == first.document
    third = keep(place, b"{  }", **{REF_NAME: "2"})
    assert place.find("2") == third.document, "a bare tag means one thing"
    assert marked(place.folder) == [("docker.io/library/app:1", "1"), ("", "2")]
    keep(place, b"{   }")
    keep(place, b"{   }")
    assert marked(place.folder)[2:] == [("", "")], "without a name it is listed once"


def test_a_fresh_layout_names_only_what_is_copied(tmp_path: Path) -> None:
    keep(LayoutPlace.at(tmp_path, CancelToken()), b"{}", "old:1")
    place = LayoutPlace.at(tmp_path, CancelToken(), fresh=True)
    keep(place, b"{ }", "new:1")
    keep(place, b"{  }", "new:2")
    assert [name for name, _ in marked(tmp_path)] == [
        "docker.io/library/new:1",
        "docker.io/library/new:2",
    ]


def test_a_folder_that_is_not_there_names_nothing_and_is_not_made(tmp_path: Path) -> None:
    place = LayoutPlace.at(tmp_path / "none", CancelToken())
    with pytest.raises(NotFoundError, match="names no latest"):
        place.find("latest")
    assert not place.has("sha256:" + "0" * 64)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"manifests": 1}', "[" * 100_000])
def test_an_index_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(VerificationError):
        LayoutPlace.at(tmp_path, CancelToken()).find("latest")


def test_a_damaged_manifest_is_told_apart(tmp_path: Path) -> None:
    place = LayoutPlace.at(tmp_path, CancelToken())
    target = keep(place, b"{}", "app:1")
    (tmp_path / place.path(target.document.descriptor)).write_bytes(b"{}")
    with pytest.raises(DigestMismatchError):
        place.find("docker.io/library/app:1")


def test_an_image_without_a_manifest_needs_a_store(tmp_path: Path) -> None:
    place = LayoutPlace.at(tmp_path, CancelToken())
    config = RawDocument(b"{}", CONFIG)
    made = Target((Image(new_manifest(config.descriptor, ()), None),))
    with pytest.raises(UnsupportedError, match="no manifest"):
        copy(place, place, [made], QUIET)
