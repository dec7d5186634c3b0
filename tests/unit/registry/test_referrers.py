from __future__ import annotations

import json
from typing import Any

import pytest

from jupyter_containers.oci.descriptor import INDEX, MANIFEST, RawDocument
from jupyter_containers.registry.referrers import referrers_tag, subject_of, with_referrer

DIGEST = "sha256:" + "a" * 64


def document(value: Any) -> RawDocument:
    return RawDocument(json.dumps(value).encode(), MANIFEST)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"subject": {"digest": DIGEST}}, DIGEST),
        ({"subject": {"digest": "../../etc"}}, ""),
        ({"subject": {"digest": 5}}, ""),
        ({"subject": DIGEST}, ""),
        ({}, ""),
        ([], ""),
    ],
)
def test_subjects(value: Any, expected: str) -> None:
    assert subject_of(document(value)) == expected
    assert subject_of(RawDocument(b"{", MANIFEST)) == ""


def test_a_list_grows_by_what_is_not_in_it() -> None:
    assert referrers_tag(DIGEST) == "sha256-" + "a" * 64
    first = document({"artifactType": "a/b", "annotations": {"x": "y"}})
    made = with_referrer([], first)
    assert made is not None
    assert made.media_type == INDEX
    page = json.loads(made.data)
    assert page["manifests"] == [
        {
            "mediaType": MANIFEST,
            "digest": first.digest,
            "size": len(first.data),
            "artifactType": "a/b",
            "annotations": {"x": "y"},
        }
    ]
    assert with_referrer([page], first) is None
    second = document({"config": {"mediaType": "c/d"}})
    more = with_referrer([page], second)
    assert more is not None
    kinds = [entry["artifactType"] for entry in json.loads(more.data)["manifests"]]
    assert kinds == ["a/b", "c/d"]
