"""What an engine does with the files of containers: copy, compare, write out, keep as an image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from jupyter_containers.engine.api.containers import ContainersAPI
from jupyter_containers.engine.images.image import Image
from jupyter_containers.errors import InvalidArgumentError, StorageError
from jupyter_containers.events import CancelToken, EventSink, discard, warn

if TYPE_CHECKING:
    from jupyter_containers.engine.containers.filesystems import FileChange, FileSystems
    from jupyter_containers.engine.containers.folders import FolderEntry
    from jupyter_containers.engine.records import ContainerRecord
    from jupyter_containers.trees.handover import Handover
    from jupyter_containers.trees.rooted import Root


class FilesAPI(ContainersAPI):
    """What an engine does with the files of containers."""

    @cached_property
    def _files(self) -> FileSystems:
        from jupyter_containers.engine.containers.filesystems import FileSystems

        return FileSystems(self._rooms, self._lifecycle, self._images)

    def copy(
        self,
        source: str,
        target: str,
        *,
        archive: bool = False,
        follow_link: bool = False,
        stdin: BinaryIO | bytes | None = None,
        stdout: BinaryIO | None = None,
        emit: EventSink = discard,
    ) -> None:
        """Copy files between a container (``NAME:PATH``), running or not, and this machine.

        Docker's rules say where they go.  ``archive`` keeps owners; without it, files that come
        out of a container are the caller's.  ``follow_link`` copies what a link points at.  With
        ``-`` for a path the files are a tar on ``stdin`` or ``stdout``.

        Set-user-ID and set-group-ID bits, device nodes and all extended attributes but ``user.*``
        do not leave a container as files, with ``archive`` neither; a warning to ``emit`` counts
        them.  A tar has them all.
        """
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
                    record = self._containers.find(taken[0])
                    root = stack.enter_context(self._files.view(record))
                    left_out = self._copy_out(root, taken[1], target, archive, follow_link, stdout)
                    warn(emit, str(left_out), of="cp")
                    self._lifecycle.note(record, "archive-path")
                elif given is not None:
                    record = self._containers.find(given[0])
                    root = stack.enter_context(self._files.view(_writable(record)))
                    self._copy_in(source, root, given[1], follow_link, stdin)
                    self._lifecycle.note(record, "extract-to-dir")
            except OSError as error:
                # A container that runs may change its files while they are copied.
                raise StorageError(f"cannot copy {source}: {error.strerror}") from error

    def _copy_out(
        self,
        root: Root,
        path: str,
        target: str,
        archive: bool,
        follow: bool,
        stdout: BinaryIO | None,
    ) -> Handover:
        from jupyter_containers.trees.handover import Handover
        from jupyter_containers.trees.rooted import Root

        handover = Handover()
        if target == "-":
            if stdout is None:
                raise InvalidArgumentError(
                    "cp to - needs an output to write to",
                    hint="name a file or folder; in a terminal, - is the standard output",
                )
            self._files.pack(root, path, stdout.write, follow=follow)
            return handover
        owner = None if archive else (os.geteuid(), os.getegid())
        with Root("/") as here:
            self._files.copy(
                root, path, here, _local(target), follow=follow, owner=owner, handover=handover
            )
        return handover

    def _copy_in(
        self, source: str, root: Root, path: str, follow: bool, stdin: BinaryIO | bytes | None
    ) -> None:
        from io import BytesIO

        from jupyter_containers.trees.rooted import Root

        if source == "-":
            if stdin is None:
                raise InvalidArgumentError("cp from - needs an input to read")
            stream = BytesIO(stdin) if isinstance(stdin, bytes) else stdin
            self._files.unpack(stream, root, path, owner=None)
            return
        with Root("/") as here:
            self._files.copy(here, _local(source), root, path, follow=follow, owner=None)

    def diff(self, name: str) -> list[FileChange]:
        """Return the files that a container added, changed and deleted, sorted by path."""
        return self._files.diff(self._containers.find(name))

    def folder(self, name: str, path: str) -> tuple[str, list[FolderEntry]]:
        """Return a container's folder: its path with links followed, and its entries.

        Raises :class:`NotFoundError`, :class:`InvalidArgumentError` for what is no folder.
        """
        from jupyter_containers.engine.containers.folders import list_folder

        with self._files.view(self._containers.find(name)) as root:
            try:
                return list_folder(root, path)
            except OSError as error:
                raise StorageError(f"cannot read {path}: {error.strerror}") from error

    def export(
        self, name: str, output: str | Path | BinaryIO, *, compression: str | None = None
    ) -> None:
        """Write a container's files, without its volumes, as a tar."""
        from jupyter_containers.engine.images.saving import archive_output

        record = self._containers.find(name)
        with archive_output(output, compression) as write:
            self._files.export(record, write)
        self._lifecycle.note(record, "export")

    def commit(
        self,
        name: str,
        repository: str | None = None,
        *,
        change: Sequence[str] = (),
        message: str = "",
        author: str = "",
        pause: bool = True,
        cancel: CancelToken | None = None,
    ) -> Image:
        """Make an image of a container's files and configuration; it is frozen meanwhile.

        ``change`` are Dockerfile instructions for the configuration (CMD, ENV …).
        """
        from functools import partial

        from jupyter_containers.oci.reference import Reference

        changes = [change] if isinstance(change, str) else list(change)
        image = self._files.commit(
            self._containers.find(name),
            Reference.parse(repository) if repository else None,
            partial(self._builds.changed_config, changes),
            message=message,
            author=author,
            pause=pause,
            cancel=cancel or CancelToken(),
        )
        return self._image(image)


def container_path(text: str) -> tuple[str, str] | None:
    """Return container and path of ``NAME:PATH``; None for a path of this machine or ``-``."""
    name, colon, path = text.partition(":")
    if not colon or text.startswith((".", "/")):
        return None
    if not name or not path:
        raise InvalidArgumentError(f"invalid path {text!r}", hint="write CONTAINER:PATH")
    return name, path


def _local(path: str) -> str:
    # Made absolute by hand: a trailing slash and a "/." mean something here.
    return path if path.startswith("/") else f"{os.getcwd()}/{path}"


def _writable(record: ContainerRecord) -> ContainerRecord:
    if record.options.read_only:
        raise InvalidArgumentError(
            "container rootfs is marked read-only", hint="copy into one without --read-only"
        )
    return record
