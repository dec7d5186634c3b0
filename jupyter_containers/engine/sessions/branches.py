"""Snapshots of a session's files, and the sessions that begin with them.

A snapshot is an image without a name: the layers of the session's image, and one with what the
session changed.  Branches of it share these layers.  Folders in memory (``--tmpfs``) are no part of
a layer: their contents are packed beside it.  Volumes and folders of this machine are shared by all
branches.  Variables are not in files: pass those that a branch needs by name.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING

from jupyter_containers.errors import ContainersError, UnsupportedError

if TYPE_CHECKING:
    from jupyter_containers.engine.containers.service import ContainerService
    from jupyter_containers.engine.images.image import Image
    from jupyter_containers.engine.sessions.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of a session at one time; :meth:`remove` it when no branch needs it any more."""

    image: Image
    recipe: Recipe
    scratch: Mapping[str, bytes] = field(default_factory=dict)

    def remove(self) -> None:
        """Remove the image, unless a container uses it or it has been tagged."""
        if not self.image.names:
            with suppress(ContainersError):  # a branch uses it
                self.image.remove()

    def bring(self, containers: ContainerService, container: str) -> None:
        """Unpack the folders in memory in a new container."""
        for folder, packed in self.scratch.items():
            containers.copy("-", f"{container}:{folder}", archive=True, stdin=packed)


def take(containers: ContainerService, container: str, recipe: Recipe) -> Snapshot:
    """Return a snapshot of a running container, which is not paused: its cells wait."""
    image = containers.commit(container, pause=False, files_only=True)
    scratch: dict[str, bytes] = {}
    try:
        for folder in _folders_in_memory(recipe):
            packed = BytesIO()
            containers.copy(f"{container}:{folder}/.", "-", stdout=packed)
            scratch[folder] = packed.getvalue()
    except BaseException:
        Snapshot(image, recipe, scratch).remove()
        raise
    return Snapshot(image, recipe, scratch)


def _folders_in_memory(recipe: Recipe) -> list[str]:
    given = recipe.flags.get("tmpfs") or ()
    texts = (given,) if isinstance(given, str) else given
    return [str(text).partition(":")[0] for text in texts]


def refuse_memory() -> None:
    """Raise :class:`UnsupportedError`: variables cannot be copied with the process."""
    found = shutil.which("criu")
    words = "is there, but sessions do not use it yet" if found else "is not on this machine"
    raise UnsupportedError(
        f"a branch with the memory of its session needs CRIU, which {words}",
        capability="criu",
        hint="fork() copies files; fork(variables=['x']) copies variables by name",
    )
