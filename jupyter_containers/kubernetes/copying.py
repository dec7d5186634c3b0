"""``cp`` in a cluster: the container's own ``tar`` packs and unpacks.

A tar from a container has whatever names and links the container chose.  It is extracted into an
empty folder of this machine, like any archive of a stranger, and copied from there by the rules of
Docker, so that no name and no link in it leads elsewhere.
"""

from __future__ import annotations

import io
import os
import posixpath
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from jupyter_containers.engine.containers.copying import container_path, local_path
from jupyter_containers.engine.containers.filesystems import FileSystems
from jupyter_containers.errors import InvalidArgumentError, NotFoundError, StorageError
from jupyter_containers.events import EventSink, warn
from jupyter_containers.kubernetes.client import Cluster
from jupyter_containers.kubernetes.foreground import Foreground
from jupyter_containers.kubernetes.pods import Found
from jupyter_containers.kubernetes.streams import ERROR, STDERR, STDIN, Channel, exit_status
from jupyter_containers.kubernetes.translation import MAIN
from jupyter_containers.kubernetes.unsupported import missing
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.store.extract import extract_archive
from jupyter_containers.trees.handover import Handover
from jupyter_containers.trees.rooted import Root

_CHUNK = 32768
_KIND = 'if [ -d "$1" ]; then echo folder; elif [ -e "$1" ]; then echo file; fi'
# The length is known here, because the end of an input cannot be sent (see :mod:`.streams`).
_UNPACK = 'n=$1; shift; mkdir -p "$1" && head -c "$n" | tar -x -f - -C "$@"'


@dataclass(frozen=True, slots=True)
class Copying:
    """Copies files between running containers and this machine."""

    foreground: Foreground
    find: Callable[[str], Found]
    cluster: Cluster

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
        try:
            if taken is not None:
                self._copy_out(
                    self.find(taken[0]), taken[1], target, archive, follow_link, stdout, emit
                )
            elif given is not None:
                self._copy_in(source, self.find(given[0]), given[1], archive, follow_link, stdin)
        except OSError as error:
            raise StorageError(f"cannot copy {source}: {error.strerror}") from error

    # -- out -------------------------------------------------------------------------------------

    def _copy_out(
        self,
        found: Found,
        path: str,
        target: str,
        archive: bool,
        follow: bool,
        stdout: BinaryIO | None,
        emit: EventSink,
    ) -> None:
        folder, name = _parts(path)
        command = ["tar", "-c", *(["-h"] if follow else []), "-f", "-", "-C", folder, name]
        if target == "-":
            if stdout is None:
                raise InvalidArgumentError(
                    "cp to - needs an output to write to",
                    hint="name a file or folder; in a terminal, - is the standard output",
                )
            self._receive(found, path, command, stdout.write)
            return
        handover = Handover()
        owner = None if archive else (os.geteuid(), os.getegid())
        with _scratch() as place:
            packed = place / "packed"
            with packed.open("wb+") as file:
                self._receive(found, path, command, file.write)
                file.seek(0)
                files = place / "files"
                files.mkdir()
                extract_archive(file, files, owner=owner, handover=handover, label="copy")
            inside = "/." if name == "." else f"/{name}" + ("/." if path.endswith("/.") else "")
            with Root(files) as root, Root("/") as here:
                _FILES.copy(
                    root, inside, here, local_path(target), follow=follow, owner=owner,
                    handover=handover,
                )  # fmt: skip
        warn(emit, str(handover), of="cp")

    def _receive(
        self, found: Found, path: str, command: list[str], write: Callable[[bytes], object]
    ) -> None:
        """Write the output of a command of the container."""
        problem = b""
        with Channel(
            self.cluster, found.object_name, "exec",
            container=MAIN, command=command, stdout=True, stderr=True,
        ) as channel:  # fmt: skip
            while (message := channel.receive()) is not None:
                stream, data = message
                if stream == ERROR:
                    _check(exit_status(data), problem, found, path)
                    return
                if stream == STDERR:
                    problem += data[: _CHUNK - len(problem)]
                else:
                    write(data)
        raise self.cluster.unreachable(ConnectionError("the connection was cut"))

    # -- in --------------------------------------------------------------------------------------

    def _copy_in(
        self,
        source: str,
        found: Found,
        path: str,
        archive: bool,
        follow: bool,
        stdin: BinaryIO | bytes | None,
    ) -> None:
        with _scratch() as place, (place / "packed").open("wb+") as file:
            if source == "-":
                if stdin is None:
                    raise InvalidArgumentError("cp from - needs an input to read")
                stream = io.BytesIO(stdin) if isinstance(stdin, bytes) else stdin
                shutil.copyfileobj(stream, file)
                if self._kind(found, path) != "folder":
                    raise InvalidArgumentError(f"destination {path!r} must be a directory")
                folder = path
            else:
                folder = self._pack(source, found, path, follow, place, file)
            size = file.tell()
            file.seek(0)
            options = [] if archive else ["-o"]
            command = ["sh", "-c", _UNPACK, "sh", str(size), folder, *options]
            self._send(found, path, command, file)

    def _pack(
        self, source: str, found: Found, path: str, follow: bool, place: Path, file: BinaryIO
    ) -> str:
        """Pack a local path for a path of the container; return the folder to unpack in."""
        kind = self._kind(found, path)
        local = local_path(source)
        contents = local.endswith("/.")
        is_folder = os.path.isdir(local)
        if not os.path.lexists(local.rstrip("/.") or "/"):
            raise NotFoundError(f"no such file or directory: {source}")
        if is_folder and kind == "file":
            raise InvalidArgumentError(f"cannot copy a directory to a file: {path}")
        if not is_folder and not kind and path.endswith("/"):
            raise NotFoundError(f"no such directory: {path}")
        if kind == "folder":
            folder, name = path, "" if contents else os.path.basename(os.path.normpath(local))
        elif contents or (is_folder and not kind):
            # As with Docker, a folder that does not exist gets the contents.
            folder, name, local = path, "", local if contents else f"{local.rstrip('/')}/."
        else:
            folder, name = posixpath.split(path.rstrip("/"))
            folder = folder or "/"
            if self._kind(found, folder) != "folder":
                raise NotFoundError(f"no such directory: {folder}")
        files = place / "files"
        files.mkdir()
        with Root("/") as here, Root(files) as root:
            _FILES.copy(here, local, root, f"/{name}" if name else "/", follow=follow, owner=None)
            _FILES.pack(root, f"/{name}" if name else "/.", file.write, follow=False)
        return folder

    def _kind(self, found: Found, path: str) -> str:
        """Return ``folder``, ``file`` or nothing for a path of the container."""
        code, text = self.foreground.call(found, ["sh", "-c", _KIND, "sh", path])
        if code:
            raise _without_tar(found)
        return text.strip()

    def _send(self, found: Found, path: str, command: list[str], file: BinaryIO) -> None:
        """Run a command of the container with a file as its input."""
        problem = b""
        with Channel(
            self.cluster, found.object_name, "exec",
            container=MAIN, command=command, stdin=True, stdout=True, stderr=True,
        ) as channel:  # fmt: skip

            def feed() -> None:
                while data := file.read(_CHUNK):
                    if not channel.send(STDIN, data):
                        return

            feeder = threading.Thread(target=feed, name="cluster-copy", daemon=True)
            feeder.start()
            try:
                while (message := channel.receive()) is not None:
                    if message[0] == ERROR:
                        _check(exit_status(message[1]), problem, found, path)
                        return
                    problem += message[1][: _CHUNK - len(problem)]
            finally:
                channel.end()
                feeder.join()
        raise self.cluster.unreachable(ConnectionError("the connection was cut"))


# Copies between folders of this machine; it needs no store for that.
_FILES = FileSystems(cast(Any, None), cast(Any, None), cast(Any, None))


def _parts(path: str) -> tuple[str, str]:
    """Return a path of the container as a folder and a name in it, ``.`` for the root."""
    whole = posixpath.normpath(posixpath.join("/", path))
    folder, name = posixpath.split(whole)
    return folder, name or "."


def _check(status: tuple[int, str], output: bytes, found: Found, path: str) -> None:
    code, problem = status
    if problem:
        raise _without_tar(found)
    text = " ".join(output.decode("utf-8", "replace").split())
    if code and ("No such file" in text or "can't open" in text):
        raise NotFoundError(f"could not find the file {path} in container {found.record.name}")
    if code:
        raise StorageError(
            f"cannot copy {path} of {found.record.name}: {text or f'exit code {code}'}"
        )


def _without_tar(found: Found) -> Exception:
    return missing(f"cp with {found.record.name}", "it needs sh and tar in the container")


@contextmanager
def _scratch() -> Iterator[Path]:
    """Yield an empty folder that only this user can read, and remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix="jupyter-containers-") as name:
        yield Path(name)
