"""The files of a container for the file browser: folders, uploads and downloads."""

from __future__ import annotations

import io
import posixpath
import tarfile
import tempfile
import time
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.panel.messages import (
    Download,
    Downloaded,
    FileEntry,
    Files,
    Listing,
    Upload,
)

if TYPE_CHECKING:
    from jupyter_containers.engine import Engine
    from jupyter_containers.panel.uploads import Uploads

MOST_ENTRIES = 5000
# A download is a single message in the memory of the kernel, the server and the browser.
MOST_BYTES = 256 * 1024 * 1024


class _Bounded(io.BytesIO):
    def write(self, data: Any) -> int:
        if self.tell() + len(data) > MOST_BYTES:
            raise InvalidArgumentError(
                f"more than {MOST_BYTES >> 20} MiB cannot be sent to a browser",
                hint="use %container cp, which writes to a file on this machine",
            )
        return super().write(data)


class ContainerFiles:
    """The files of an engine's containers."""

    def __init__(self, engine: Engine, uploads: Uploads) -> None:
        self._engine, self._uploads = engine, uploads

    def perform(
        self, call: Files | Download | Upload, buffers: Sequence[bytes]
    ) -> tuple[Any, Sequence[bytes]]:
        """Perform a call."""
        match call:
            case Files(container, path):
                return self._list(container, path), ()
            case Download(container, path):
                name, data = self._get(container, path)
                return Downloaded(name), (data,)
            case Upload():
                self._take(call, buffers)
        return None, ()

    def _list(self, container: str, path: str) -> Listing:
        resolved, found = self._engine.containers.folder(container, path)
        shown = [
            FileEntry(one.name, one.kind, one.size, one.mode, one.modified, one.target)
            for one in found[:MOST_ENTRIES]
        ]
        return Listing(resolved, shown, len(found) - len(shown))

    def _get(self, container: str, path: str) -> tuple[str, bytes]:
        name = posixpath.basename(path.rstrip("/")) or "root"
        packed = _Bounded()
        self._engine.containers.copy(f"{container}:{path}", "-", follow_link=True, stdout=packed)
        packed.seek(0)
        with tarfile.open(fileobj=packed) as archive:
            first = archive.next()
            if first is None or not first.isreg():
                return f"{name}.tar", packed.getvalue()
            content = archive.extractfile(first)
            assert content is not None  # only a regular file has content
            return name, content.read()

    def _take(self, call: Upload, buffers: Sequence[bytes]) -> None:
        name, more = call.name, False
        try:
            if len(buffers) != 1:
                raise InvalidArgumentError("an upload has one buffer")
            if not name or "/" in name or name in (".", ".."):
                raise InvalidArgumentError(f"not a valid file name: {name!r}")
            file = self._uploads.add(call.token, call.offset, buffers[0])
            more = not call.last
            if call.last:
                self._put(call, file)
        finally:
            if not more:
                self._uploads.forget(call.token)

    def _put(self, call: Upload, file: IO[bytes]) -> None:
        member = tarfile.TarInfo(call.name)
        member.size, member.mode, member.mtime = file.tell(), 0o644, int(time.time())
        file.seek(0)
        with tempfile.TemporaryFile() as packed:
            with tarfile.open(fileobj=packed, mode="w") as archive:
                archive.addfile(member, file)
            packed.seek(0)
            self._engine.containers.copy("-", f"{call.container}:{call.folder}", stdin=packed)
