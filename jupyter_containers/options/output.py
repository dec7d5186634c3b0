"""What becomes of a build's result: ``--output``, ``--annotation`` and their short forms.

An *output* is the image in this store, an archive or folder of it, or its files alone.
Docker's reference, "docker buildx build", sections "output" and "annotation".
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.options.run import nearest

OutputType = Literal["image", "local", "tar", "oci", "docker"]
ImageFormat = Literal["oci", "docker"]

_ALIASES = {"registry": "image", "tarball": "tar"}
_SWITCHES = ("push", "oci-mediatypes", "rewrite-timestamp", "tar")
_KNOWN = ("type", "dest", "name", "compression", *_SWITCHES)
# What goes to standard output instead of a file.
STREAM = "-"


@dataclass(frozen=True, slots=True)
class BuildOutput:
    """One output; ``dest`` is a path, ``-`` for a stream, or empty for this store.

    ``oci`` None leaves the media types to the build's format.  With ``rewrite_timestamp`` no file
    of a new layer is newer than SOURCE_DATE_EPOCH.  ``annotations`` go into the
    manifest.  ``as_tar`` False writes an image layout as a folder.
    """

    type: OutputType = "image"
    dest: str = ""
    names: tuple[str, ...] = ()
    push: bool = False
    oci: bool | None = None
    rewrite_timestamp: bool | None = None
    as_tar: bool = True
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def in_store(self) -> bool:
        """True for an image of this store, false for files."""
        return self.type == "image" or (self.type == "docker" and not self.dest)

    @property
    def path(self) -> Path:
        """Where the files go."""
        return Path(self.dest).expanduser()

    @classmethod
    def parse(cls, text: str) -> BuildOutput:
        """Return what ``type=oci,dest=app.tar``, a folder, or ``-`` means."""
        if text == STREAM:
            return cls("tar", STREAM)
        fields = next(csv.reader([text]), [])
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
            _annotations(pairs),
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
    if pairs.get("compression", "gzip") != "gzip":
        raise UnsupportedError(
            f"output with compression={pairs['compression']}: layers are written as gzip",
            capability=f"{pairs['compression']} layers of a build",
        )


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


def _annotations(pairs: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for name, value in pairs.items():
        kind, dot, key = name.partition(".")
        if kind not in ("annotation", "annotation-manifest"):
            if kind.startswith("annotation"):
                raise _no_index(name)
            continue
        if not dot or not key:
            raise InvalidArgumentError(f"annotation without a key: {name!r}")
        found[key] = value
    return found


@dataclass(frozen=True, slots=True)
class Annotations:
    """Annotations by where they stand: in the manifest, or beside it in a layout's index."""

    manifest: Mapping[str, str] = field(default_factory=dict)
    descriptor: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, entries: tuple[str, ...]) -> Annotations:
        """Return what ``[manifest|manifest-descriptor:]key=value`` texts mean."""
        places: dict[str, dict[str, str]] = {"manifest": {}, "manifest-descriptor": {}}
        for entry in entries:
            name, equals, value = entry.partition("=")
            match = _ANNOTATION.fullmatch(name)
            if not equals or match is None:
                raise InvalidArgumentError(
                    f"invalid annotation {entry!r}", hint="write key=value or manifest:key=value"
                )
            kinds = (match["kinds"] or "manifest").split(",")
            for kind in kinds:
                if kind not in places:
                    raise _no_index(kind)
                places[kind][match["key"]] = value
        return cls(places["manifest"], places["manifest-descriptor"])


_KIND = r"(?:manifest|index)(?:-descriptor)?"
_ANNOTATION = re.compile(rf"(?:(?P<kinds>{_KIND}(?:,{_KIND})*)(?:\[[\w/-]+\])?:)?(?P<key>\S+)")


def _no_index(name: str) -> UnsupportedError:
    return UnsupportedError(
        f"{name}: an image for one platform has no index to annotate",
        capability="index annotations",
        hint="annotate the manifest: manifest:KEY=VALUE",
    )
