"""Names of images on their way to a cluster, and the secrets with which nodes pull them."""

from __future__ import annotations

import base64
import json

import pytest

from jupyter_containers.kubernetes.images import destination
from jupyter_containers.kubernetes.pull_secrets import secret_document
from jupyter_containers.oci.reference import Reference
from jupyter_containers.registry.credentials import Credential


@pytest.mark.parametrize(
    ("name", "registry", "wanted"),
    [
        ("app", "reg.lab:5000/team", "reg.lab:5000/team/app:latest"),
        ("me/app:2", "reg.lab:5000", "reg.lab:5000/me/app:2"),
        ("reg.lab:5000/team/app:2", "reg.lab:5000/team", "reg.lab:5000/team/app:2"),
        (
            "reg.lab:5000/teams/app:2",
            "reg.lab:5000/team",
            "reg.lab:5000/team/reg.lab-5000/teams/app:2",
        ),
        ("quay.io/a/b:3", "reg.lab/x/", "reg.lab/x/quay.io/a/b:3"),
    ],
)
def test_the_name_in_the_contexts_registry(name: str, registry: str, wanted: str) -> None:
    assert str(destination(Reference.parse(name), registry)) == wanted


def test_a_context_without_a_registry_has_no_name() -> None:
    assert destination(Reference.parse("app"), "") is None


def test_a_pull_secret_is_that_of_kubernetes_and_named_by_its_contents() -> None:
    found = secret_document("reg.lab:5000", Credential("me", "geheim"), "ann")
    assert found["type"] == "kubernetes.io/dockerconfigjson"
    text = json.loads(base64.b64decode(found["data"][".dockerconfigjson"]))
    assert base64.b64decode(text["auths"]["reg.lab:5000"]["auth"]) == b"me:geheim"
    again = secret_document("reg.lab:5000", Credential("me", "geheim"), "ann")
    other = secret_document("reg.lab:5000", Credential("me", "anderes"), "ann")
    theirs = secret_document("reg.lab:5000", Credential("me", "geheim"), "bob")
    names = [one["metadata"]["name"] for one in (found, again, other, theirs)]
    assert names[0] == names[1]
    assert len(set(names)) == 3
    assert all("geheim" not in json.dumps(one["metadata"]) for one in (found, other))
