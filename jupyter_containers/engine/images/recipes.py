"""Recipes of the base images that can be created from Debian's packages."""

from __future__ import annotations

import re

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.reference import Reference

SUITES = ("bookworm", "trixie", "bullseye", "sid")
# Shown when Docker Hub cannot be reached.
OFFLINE = "without internet bootstrap makes busybox, debian, python and registry:2"
PYTHONS = {"3.9": "bullseye", "3.11": "bookworm", "3.13": "trixie"}


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe: the kind of image, its Debian suite, and for Python its version."""

    kind: str
    suite: str = ""
    slim: bool = False
    python: str = ""


def recipe_of(reference: Reference) -> Recipe:
    """Return the recipe of a reference; raise with the possible images if there is none."""
    tag = reference.tag or "latest"
    name = reference.familiar_name
    if name == "busybox":
        return Recipe("busybox")
    if name == "registry" and tag in ("latest", "2"):
        return Recipe("registry")
    slim = tag.endswith("-slim") or tag == "slim"
    stem = tag.removesuffix("-slim")
    if name == "debian":
        suite = {
            "latest": "bookworm",
            "stable": "trixie",
            "slim": "bookworm",
            "12": "bookworm",
            "13": "trixie",
        }.get(stem, stem)
        if suite in SUITES:
            return Recipe("debian", suite, slim)
    if name == "python":
        match = re.fullmatch(r"(3\.\d+|3|latest|slim)(?:-slim)?(?:-(\w+))?", tag)
        version = (
            {"3": "3.11", "latest": "3.11", "slim": "3.11"}.get(match[1], match[1]) if match else ""
        )
        if match and version in PYTHONS and match[2] in (None, PYTHONS[version]):
            return Recipe("python", PYTHONS[version], True, version)
    raise InvalidArgumentError(
        f"cannot bootstrap {reference.familiar}",
        hint="one of busybox, registry:2, debian:bookworm[-slim], debian:trixie[-slim], "
        + ", ".join(f"python:{version}-slim" for version in PYTHONS),
    )


def bootstrap_hint(reference: Reference) -> str:
    """Return a hint to bootstrap the image without a registry; empty if there is no recipe."""
    try:
        recipe_of(reference)
    except InvalidArgumentError:
        return ""
    return f"without a registry: bootstrap {reference.familiar} makes it from Debian's packages"
