"""Import and export of the build cache: ``--cache-from`` and ``--cache-to``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.options.values import csv_fields, local_path

CacheType = Literal["registry", "local", "inline"]
CacheMode = Literal["min", "max"]
_ELSEWHERE = ("gha", "s3", "azblob")


@dataclass(frozen=True, slots=True)
class CachePlace:
    """One place for cached steps.

    ``registry`` has a reference in ``ref``, ``local`` a folder in ``folder``; ``inline`` is the
    image itself.  ``mode`` max includes the steps of all stages, min only those of the image.
    With ``ignore_error`` a build succeeds even if its cache cannot be written.
    """

    type: CacheType
    ref: str = ""
    folder: Path = Path()
    tag: str = "latest"
    mode: CacheMode = "min"
    ignore_error: bool = False

    def __str__(self) -> str:
        return {"registry": self.ref, "local": str(self.folder)}.get(self.type, self.type)

    @classmethod
    def source(cls, text: str) -> CachePlace:
        """Return the place of ``--cache-from``: an image's name, or ``type=…,ref=…|src=…``."""
        place = _parse(text, "src")
        if place.type == "inline":
            raise InvalidArgumentError(
                "an inline cache is part of its image", hint="name the image: --cache-from IMAGE"
            )
        return place

    @classmethod
    def target(cls, text: str) -> CachePlace:
        """Return the place of ``--cache-to``: an image's name, or ``type=…,ref=…|dest=…``."""
        return _parse(text, "dest")


def _parse(text: str, folder_key: str) -> CachePlace:
    fields = csv_fields(text, "cache")
    if "=" not in text and fields == [text]:
        return CachePlace("registry", text)
    pairs = dict(entry.partition("=")[::2] for entry in fields)
    kind = pairs.get("type", "registry")
    if kind in _ELSEWHERE:
        raise UnsupportedError(
            f"cache of type {kind} is not supported",
            capability=f"build cache of type {kind}",
            hint="use type=registry or type=local",
        )
    known = {"type", "mode", "tag", "ref", folder_key, "ignore-error", "oci-mediatypes"}
    # Keys that tune another engine's archive do not affect the cached steps.
    known |= {"image-manifest", "compression", "compression-level", "force-compression", "digest"}
    unknown = sorted(set(pairs) - known)
    if kind not in ("registry", "local", "inline") or unknown:
        raise InvalidArgumentError(
            f"invalid cache {text!r}" + (f": unknown key {unknown[0]!r}" if unknown else ""),
            hint=f"write type=registry,ref=NAME or type=local,{folder_key}=FOLDER",
        )
    needed = {"registry": "ref", "local": folder_key}.get(kind, "")
    if needed and not pairs.get(needed):
        raise InvalidArgumentError(f"cache {text!r} needs {needed}=…")
    if pairs.get("mode", "min") not in ("min", "max"):
        raise InvalidArgumentError(f"invalid mode {pairs['mode']!r} of a cache", hint="min or max")
    return CachePlace(
        cast(CacheType, kind),
        pairs.get("ref", ""),
        local_path(pairs.get(folder_key, "")),
        pairs.get("tag", "latest"),
        cast(CacheMode, pairs.get("mode", "min")),
        pairs.get("ignore-error", "false").lower() in ("true", "1"),
    )
