from __future__ import annotations

from typing import Any

import pytest

from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.options.build import BuildOptions
from jupyter_containers.options.output import Annotations, BuildOutput, Compressed


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Compressed()),
        (",compression=gzip", Compressed("gzip")),
        (",compression=zstd,compression-level=19", Compressed("zstd", 19)),
        (",compression=uncompressed,force-compression=true", Compressed("none", force=True)),
    ],
)
def test_compressions(text: str, expected: Compressed) -> None:
    assert BuildOutput.parse(f"type=image{text}").compressed == expected


@pytest.mark.parametrize(
    "text", ["compression=lz4", "compression=gzip,compression-level=10", "compression-level=fast"]
)
def test_bad_compressions(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="compression"):
        BuildOutput.parse(f"type=image,{text}")
    with pytest.raises(UnsupportedError, match="estargz"):
        BuildOutput.parse("type=image,compression=estargz")


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
    index = Annotations.parse(("index:a=b", "index-descriptor,manifest:c=d"))
    assert index == Annotations({"c": "d"}, {}, {"a": "b"}, {"c": "d"})


def test_only_several_platforms_have_an_index() -> None:
    several = {"platform": "linux/arm64,linux/amd64,linux/arm64/v8"}
    options = BuildOptions.of(".", annotation="index:a=b", **several)
    assert options.platforms == ("linux/arm64", "linux/amd64", "linux/arm64/v8")
    assert BuildOptions.of(".").platforms == ("",)
    for flags in ({"annotation": "index:a=b"}, {"output": "type=image,annotation-index.a=b"}):
        with pytest.raises(InvalidArgumentError, match="no index"):
            BuildOptions.of(".", **flags)
    with pytest.raises(InvalidArgumentError, match="several platforms"):
        BuildOptions.of(".", output="type=docker,dest=x.tar", **several)
