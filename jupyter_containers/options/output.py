"""The outputs of a build: ``--output``, ``--annotation`` and their short forms.

An *output* is the image in this store, an archive or folder of it, or only its files.
Docker's reference, "docker buildx build", sections "output" and "annotation".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, cast

from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.options.run import nearest
from jupyter_containers.options.values import csv_fields, local_path, natural

OutputType = Literal["image", "local", "tar", "oci", "docker"]
ImageFormat = Literal["oci", "docker"]
LayerCompression = Literal["gzip", "zstd", "none"]

_ALIASES = {"registry": "image", "tarball": "tar"}
_SWITCHES = (
    "push",
    "oci-mediatypes",
    "rewrite-timestamp",
    "tar",
    "force-compression",
    "platform-split",
)
_KNOWN = ("type", "dest", "name", "compression", "compression-level", *_SWITCHES)
_COMPRESSIONS: dict[str, LayerCompression] = {
    "gzip": "gzip",
    "zstd": "zstd",
    "uncompressed": "none",
}
_LEVELS = {"gzip": 9, "zstd": 22, "none": 0}
# Written to standard output instead of a file.
STREAM = "-"


@dataclass(frozen=True, slots=True)
class Compressed:
    """The compression of a build's new layers; with ``force`` also of its base image's.

    ``level`` None is the default level.
    """

    kind: LayerCompression = "gzip"
    level: int | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class BuildOutput:
    """One output; ``dest`` is a path, ``-`` for a stream, or empty for this store.

    With ``oci`` None the build's format decides about media types.  With ``rewrite_timestamp`` no
    file of a new layer is newer than SOURCE_DATE_EPOCH.  ``annotations`` go into the manifest,
    ``index_annotations`` into the index of several platforms.  ``as_tar`` False writes an image
    layout as a folder.  ``platform_split`` gives each of several platforms its own folder.
    """

    type: OutputType = "image"
    dest: str = ""
    names: tuple[str, ...] = ()
    push: bool = False
    oci: bool | None = None
    rewrite_timestamp: bool | None = None
    as_tar: bool = True
    annotations: Mapping[str, str] = field(default_factory=dict)
    index_annotations: Mapping[str, str] = field(default_factory=dict)
    compressed: Compressed = Compressed()
    platform_split: bool = True

    @property
    def in_store(self) -> bool:
        """True for an image in this store, false for files."""
        return self.type == "image" or (self.type == "docker" and not self.dest)

    @property
    def path(self) -> Path:
        """The destination; absolute, because layers are read by threads with other folders."""
        return local_path(self.dest).absolute()

    @classmethod
    def parse(cls, text: str) -> BuildOutput:
        """Return the output of ``type=oci,dest=app.tar``, a folder, or ``-``."""
        if text == STREAM:
            return cls("tar", STREAM)
        fields = csv_fields(text, "output")
        if len(fields) == 1 and "=" not in text:
            return cls("local", text)
        pairs = dict(entry.partition("=")[::2] for entry in fields)
        _check(pairs, text)
        written = pairs.get("type", "")
        output = cls(
            cast(OutputType, _type(written, text)),
            pairs.get("dest", ""),
            tuple(name for name in pairs.get("name", "").split(",") if name),
            _switch(pairs, "push", written == "registry") or False,
            _switch(pairs, "oci-mediatypes"),
            _switch(pairs, "rewrite-timestamp"),
            _switch(pairs, "tar", True) is not False,
            _annotations(pairs, "manifest"),
            _annotations(pairs, "index"),
            _compressed(pairs, text),
            _switch(pairs, "platform-split", True) is not False,
        )
        if output.type in ("local", "tar", "oci") and not output.dest:
            raise InvalidArgumentError(
                f"output {text!r} names no destination", hint="add dest=PATH, or dest=- for a tar"
            )
        return output


def _check(pairs: Mapping[str, str], text: str) -> None:
    for name in pairs:
        if name not in _KNOWN and not name.startswith("annotation"):
            raise InvalidArgumentError(
                f"unknown key {name!r} in output {text!r}", hint=nearest(name, set(_KNOWN))
            )


def _compressed(pairs: Mapping[str, str], text: str) -> Compressed:
    name = pairs.get("compression", "gzip")
    if name == "estargz":
        raise UnsupportedError(
            "output with compression=estargz: layers cannot be written with a file index",
            capability="estargz layers",
            hint="write compression=zstd or compression=gzip",
        )
    if name not in _COMPRESSIONS:
        raise InvalidArgumentError(
            f"unsupported compression type {name!r} in output {text!r}",
            hint="one of gzip, zstd, uncompressed",
        )
    kind, level = _COMPRESSIONS[name], pairs.get("compression-level")
    number = None if level is None else natural(level)
    if level is not None and (number is None or number > _LEVELS[kind]):
        raise InvalidArgumentError(
            f"invalid compression-level={level} for {name}", hint=f"0 to {_LEVELS[kind]}"
        )
    force = _switch(pairs, "force-compression") or False
    return Compressed(kind, number, force)


def _type(written: str, text: str) -> str:
    kind = _ALIASES.get(written, written)
    if kind not in ("image", "local", "tar", "oci", "docker"):
        raise InvalidArgumentError(
            f"invalid output {text!r}: no type {written!r}",
            hint="one of image, registry, local, tar, oci, docker",
        )
    return kind


def _switch(pairs: Mapping[str, str], name: str, default: bool | None = None) -> bool | None:
    if name not in pairs:
        return default
    value = pairs[name].lower()
    if value not in ("", "true", "1", "false", "0"):
        raise InvalidArgumentError(f"invalid {name}={pairs[name]}", hint="write true or false")
    return value in ("", "true", "1")


def _annotations(pairs: Mapping[str, str], place: str) -> dict[str, str]:
    """Return the annotations of one place (``annotation-index.KEY=VALUE``)."""
    found = {}
    for name, value in pairs.items():
        kind, dot, key = name.partition(".")
        if not kind.startswith("annotation"):
            continue
        if kind.removeprefix("annotation").lstrip("-") not in ("", *_PLACES):
            raise InvalidArgumentError(f"there is nowhere to put the annotation {name!r}")
        if (kind.removeprefix("annotation").lstrip("-") or "manifest") != place:
            continue
        if not dot or not key:
            raise InvalidArgumentError(f"annotation without a key: {name!r}")
        found[key] = value
    return found


@dataclass(frozen=True, slots=True)
class Annotations:
    """Annotations by place: in the manifest, or in its descriptor in a layout or an index.

    ``index`` and ``index_descriptor`` are those of an image for several platforms.
    """

    manifest: Mapping[str, str] = field(default_factory=dict)
    descriptor: Mapping[str, str] = field(default_factory=dict)
    index: Mapping[str, str] = field(default_factory=dict)
    index_descriptor: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, entries: tuple[str, ...]) -> Annotations:
        """Return ``[manifest|index|manifest-descriptor|index-descriptor:]key=value`` by place."""
        places: dict[str, dict[str, str]] = {place: {} for place in _PLACES}
        for entry in entries:
            name, equals, value = entry.partition("=")
            match = _ANNOTATION.fullmatch(name)
            if not equals or match is None:
                raise InvalidArgumentError(
                    f"invalid annotation {entry!r}", hint="write key=value or manifest:key=value"
                )
            kinds = (match["kinds"] or "manifest").split(",")
            for kind in kinds:
                places[kind][match["key"]] = value
        return cls(*places.values())


_PLACES = ("manifest", "manifest-descriptor", "index", "index-descriptor")
_KIND = r"(?:manifest|index)(?:-descriptor)?"
_ANNOTATION = pattern(rf"(?:(?P<kinds>{_KIND}(?:,{_KIND})*)(?:\[[\w/-]+\])?:)?(?P<key>\S+)")


def require_index(outputs: Sequence[BuildOutput], annotations: Annotations) -> None:
    """Raise for annotations that need an image for several platforms."""
    several = annotations.index or annotations.index_descriptor
    if several or any(output.index_annotations for output in outputs):
        raise InvalidArgumentError(
            "an image for one platform has no index to annotate",
            hint="annotate the manifest (manifest:KEY=VALUE), or name several platforms",
        )


def require_single(outputs: Sequence[BuildOutput]) -> None:
    """Raise for an output that cannot hold an image for several platforms."""
    if any(output.type == "docker" and output.dest for output in outputs):
        raise InvalidArgumentError(
            "a docker archive cannot hold several platforms", hint="write it as type=oci"
        )
