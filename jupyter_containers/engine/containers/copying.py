"""``cp``: copy files between a container and this machine."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO

from jupyter_containers.errors import InvalidArgumentError, StorageError
from jupyter_containers.events import EventSink, warn
from jupyter_containers.lazy_dataclasses import dataclass

if TYPE_CHECKING:
    from jupyter_containers.engine.containers.catalog import Containers
    from jupyter_containers.engine.containers.filesystems import FileSystems
    from jupyter_containers.engine.containers.lifecycle import Lifecycle
    from jupyter_containers.engine.records import ContainerRecord
    from jupyter_containers.trees.handover import Handover
    from jupyter_containers.trees.rooted import Root


@dataclass(frozen=True, slots=True)
class Copying:
    """Copies files between the containers of a store and this machine."""

    files: FileSystems
    containers: Containers
    lifecycle: Lifecycle

    def copy(
        self,
        source: str,
        target: str,
        *,
        archive: bool,
        follow_link: bool,
        stdin: BinaryIO | bytes | None,
        stdout: BinaryIO | None,
        emit: EventSink,
    ) -> None:
        """Copy ``source`` to ``target``; see :meth:`ContainerService.copy`."""
        taken, given = container_path(source), container_path(target)
        if (taken is None) == (given is None):
            raise InvalidArgumentError(
                "copying between containers is not supported"
                if taken
                else "must specify at least one container source",
                hint="one of the two is CONTAINER:PATH, the other a path of this machine, or -",
            )
        with ExitStack() as stack:
            try:
                if taken is not None:
                    record = self.containers.find(taken[0])
                    root = stack.enter_context(self.files.view(record))
                    left_out = _copy_out(
                        self.files, root, taken[1], target, archive, follow_link, stdout
                    )
                    warn(emit, str(left_out), of="cp")
                    self.lifecycle.note(record, "archive-path")
                elif given is not None:
                    record = self.containers.find(given[0])
                    root = stack.enter_context(self.files.view(writable(record)))
                    _copy_in(self.files, source, root, given[1], follow_link, stdin)
                    self.lifecycle.note(record, "extract-to-dir")
            except OSError as error:
                # A running container may change its files during the copy.
                raise StorageError(f"cannot copy {source}: {error.strerror}") from error


def _copy_out(
    files: FileSystems,
    root: Root,
    path: str,
    target: str,
    archive: bool,
    follow: bool,
    stdout: BinaryIO | None,
) -> Handover:
    """Copy a container's path to a local path, or as a tar to ``stdout`` (``-``).

    Returns the attributes left out: set-user-ID bits, devices, extended attributes except
    ``user.*``.
    """
    from jupyter_containers.trees.handover import Handover
    from jupyter_containers.trees.rooted import Root

    handover = Handover()
    if target == "-":
        if stdout is None:
            raise InvalidArgumentError(
                "cp to - needs an output to write to",
                hint="name a file or folder; in a terminal, - is the standard output",
            )
        files.pack(root, path, stdout.write, follow=follow)
        return handover
    owner = None if archive else (os.geteuid(), os.getegid())
    with Root("/") as here:
        files.copy(
            root, path, here, local_path(target), follow=follow, owner=owner, handover=handover
        )
    return handover


def _copy_in(
    files: FileSystems,
    source: str,
    root: Root,
    path: str,
    follow: bool,
    stdin: BinaryIO | bytes | None,
) -> None:
    """Copy a local path, or the tar on ``stdin`` (``-``), into a container."""
    from io import BytesIO

    from jupyter_containers.trees.rooted import Root

    if source == "-":
        if stdin is None:
            raise InvalidArgumentError("cp from - needs an input to read")
        stream = BytesIO(stdin) if isinstance(stdin, bytes) else stdin
        files.unpack(stream, root, path, owner=None)
        return
    with Root("/") as here:
        files.copy(here, local_path(source), root, path, follow=follow, owner=None)


def container_path(text: str) -> tuple[str, str] | None:
    """Return container and path of ``NAME:PATH``; None for a local path or ``-``."""
    name, colon, path = text.partition(":")
    if not colon or text.startswith((".", "/")):
        return None
    if not name or not path:
        raise InvalidArgumentError(f"invalid path {text!r}", hint="write CONTAINER:PATH")
    return name, path


def local_path(path: str) -> str:
    """Return an absolute path; a trailing slash and ``/.``, which have a meaning, stay."""
    return path if path.startswith("/") else f"{os.getcwd()}/{path}"


def writable(record: ContainerRecord) -> ContainerRecord:
    """Return the record; raise :class:`InvalidArgumentError` for a read-only container."""
    if record.options.read_only:
        raise InvalidArgumentError(
            "container rootfs is marked read-only", hint="copy into one without --read-only"
        )
    return record
