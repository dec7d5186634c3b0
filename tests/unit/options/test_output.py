from __future__ import annotations

from typing import Any

import pytest

from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.options.build import BuildOptions
from jupyter_containers.options.output import Annotations, BuildOutput


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("out/dir", BuildOutput("local", "out/dir")),
        ("-", BuildOutput("tar", "-")),
        ("type=local,dest=out", BuildOutput("local", "out")),
        ("type=tar,dest=a.tar", BuildOutput("tar", "a.tar")),
        ("type=oci,dest=a.tar,tar=false", BuildOutput("oci", "a.tar", as_tar=False)),
        ("type=docker", BuildOutput("docker")),
        ("type=registry,name=a/b:1", BuildOutput("image", names=("a/b:1",), push=True)),
        ('type=image,"name=a,b",push=true', BuildOutput("image", names=("a", "b"), push=True)),
        ("type=image,oci-mediatypes=false", BuildOutput("image", oci=False)),
        (
            "type=image,rewrite-timestamp=true,annotation.x=1,annotation-manifest.y=2",
            BuildOutput("image", rewrite_timestamp=True, annotations={"x": "1", "y": "2"}),
        ),
    ],
)
def test_outputs(text: str, expected: BuildOutput) -> None:
    assert BuildOutput.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("type=local", "no destination"),
        ("type=oci", "no destination"),
        ("type=zip,dest=a", "no type 'zip'"),
        ("dest=a", "no type ''"),
        ("type=tar,dset=a", "unknown key 'dset'"),
        ("type=image,push=maybe", "invalid push"),
    ],
)
def test_bad_outputs(text: str, words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        BuildOutput.parse(text)


def test_other_compressions_are_refused() -> None:
    assert BuildOutput.parse("type=image,compression=gzip")
    with pytest.raises(UnsupportedError, match="zstd"):
        BuildOutput.parse("type=image,compression=zstd")


def test_what_stays_in_the_store() -> None:
    texts = ("type=image", "type=docker", "type=docker,dest=a", "type=oci,dest=a", "out")
    found = [BuildOutput.parse(text).in_store for text in texts]
    assert found == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({}, ()),
        ({"push": True}, (BuildOutput(push=True),)),
        ({"load": True}, (BuildOutput(),)),
        ({"load": True, "output": "out"}, (BuildOutput("local", "out"), BuildOutput())),
        ({"load": True, "output": "type=docker"}, (BuildOutput("docker"),)),
        (
            {"push": True, "output": "type=image,oci-mediatypes=0"},
            (BuildOutput(push=True, oci=False),),
        ),
    ],
)
def test_short_forms(flags: dict[str, Any], expected: tuple[BuildOutput, ...]) -> None:
    assert BuildOptions.of(".", **flags).outputs == expected


def test_annotations() -> None:
    found = Annotations.parse(("a.b=c=d", "manifest:e=", "manifest-descriptor[linux/amd64]:f=g"))
    assert found == Annotations({"a.b": "c=d", "e": ""}, {"f": "g"})
    both = Annotations.parse(("manifest,manifest-descriptor:a=b",))
    assert both == Annotations({"a": "b"}, {"a": "b"})
    with pytest.raises(InvalidArgumentError, match="annotation"):
        Annotations.parse(("novalue",))
    with pytest.raises(UnsupportedError, match="no index"):
        Annotations.parse(("index:a=b",))
