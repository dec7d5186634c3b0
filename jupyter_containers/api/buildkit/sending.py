"""Sends results to a client: a tree (the protocol of :mod:`.receiving`, reversed) or an archive."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_containers.api.buildkit.connection import Stream
from jupyter_containers.api.buildkit.messages import (
    DATA,
    ERROR,
    FINISH,
    REQUEST,
    STAT,
    Bytes,
    Packet,
    Stat,
)
from jupyter_containers.api.buildkit.rpc import RpcError
from jupyter_containers.api.buildkit.sessions import Session
from jupyter_containers.api.buildkit.wire import MessageError
from jupyter_containers.errors import BuildError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.trees import at
from jupyter_containers.trees.rooted import Root
from jupyter_containers.trees.walk import walk

DIFF_COPY = "/moby.filesync.v1.FileSend/DiffCopy"
_PIECE = 32 << 10
_SET = ((stat.S_ISUID, 1 << 23), (stat.S_ISGID, 1 << 22), (stat.S_ISVTX, 1 << 20))
Report = Callable[[int], None]


def send_tree(
    session: Session, exporter: str, folder: Path, cancel: CancelToken, report: Report
) -> None:
    """Send the files of a folder to the client's destination for an exporter."""
    with (
        session.open(DIFF_COPY, _named(exporter), cancel) as stream,
        session.linked(cancel),
        Root(folder) as root,
    ):
        _Sender(stream, root, cancel, report).run()


def _named(exporter: str) -> dict[str, list[str]]:
    return {"buildkit-attachable-exporter-id": [exporter]}


@dataclass(slots=True)
class _Sender:
    stream: Stream
    root: Root
    cancel: CancelToken
    report: Report
    files: dict[int, str] = field(default_factory=dict)
    count: int = 0

    def run(self) -> None:
        self._list()
        for packet in self.stream.each(Packet):
            self.cancel.check()
            if packet.type == REQUEST:
                self._send(packet.id)
            elif packet.type == ERROR:
                text = packet.data.decode("utf-8", "replace")[:500]
                raise BuildError(f"the client cannot write the result: {text}")
            elif packet.type == FINISH:
                self.stream.send(Packet(type=FINISH))
                self.stream.half_close()
                return
            elif packet.type != STAT:
                raise MessageError("an unknown step in the transfer of files")

    def _list(self) -> None:
        top = at.reopen(self.root.descriptor)
        first: dict[tuple[int, int], str] = {}
        number = 0
        try:
            for found in walk(top):
                one = _stat_of(found.directory, found.name, os.fsdecode(found.path), found.status)
                if one is None:
                    continue
                status = found.status
                if stat.S_ISREG(status.st_mode):
                    identity = status.st_dev, status.st_ino
                    if status.st_nlink > 1 and identity in first:
                        one.linkname = first[identity]
                    else:
                        first[identity] = one.path
                        self.files[number] = one.path
                self.stream.send(Packet(stat=one))
                number += 1
                self.cancel.check()
        finally:
            os.close(top)
        self.stream.send(Packet())

    def _send(self, number: int) -> None:
        path = self.files.get(number)
        if path is None:
            raise MessageError("the client asks for a file that is not in the list")
        with (
            self.root.place(path) as (folder, name),
            open(at.open_regular(folder, name), "rb") as file,
        ):
            while piece := file.read(_PIECE):
                self.cancel.check()
                self.stream.send(Packet(type=DATA, id=number, data=piece))
                self.count += len(piece)
                self.report(self.count)
        self.stream.send(Packet(type=DATA, id=number))


def _stat_of(folder: int, name: bytes, path: str, status: os.stat_result) -> Stat | None:
    mode = status.st_mode & 0o777 | sum(go for bit, go in _SET if status.st_mode & bit)
    one = Stat(
        path=path, mode=mode, uid=status.st_uid, gid=status.st_gid, modified=status.st_mtime_ns
    )
    if stat.S_ISDIR(status.st_mode):
        one.mode |= 1 << 31
    elif stat.S_ISLNK(status.st_mode):
        one.mode |= 1 << 27
        one.linkname = os.fsdecode(at.readlink(folder, name))
        one.size = len(one.linkname)
    elif stat.S_ISREG(status.st_mode):
        one.size = status.st_size
    else:
        return None
    return one


class ArchiveWriter(io.RawIOBase):
    """A writer of an archive to the client's destination for an exporter."""

    def __init__(
        self, session: Session, exporter: str, cancel: CancelToken, report: Report
    ) -> None:
        super().__init__()
        self._session, self._exporter = session, exporter
        self._cancel, self._report = cancel, report
        self._stream: Stream | None = None
        self._count = 0

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any) -> int:
        """Send a piece, waiting while the client does not read."""
        self._cancel.check()
        view = memoryview(data).cast("B")
        stream = self._open()
        for start in range(0, len(view), _PIECE):
            stream.send(Bytes(data=bytes(view[start : start + _PIECE])))
        self._count += len(view)
        self._report(self._count)
        return len(view)

    def _open(self) -> Stream:
        if self._stream is None:
            self._stream = self._session.open(DIFF_COPY, _named(self._exporter), self._cancel)
        return self._stream

    def finish(self) -> None:
        """Wait until the client has written the archive."""
        with self._open() as stream:
            stream.half_close()
            if stream.receive(Bytes) is not None:
                raise RpcError(2, "the client answers an archive")

    def abandon(self) -> None:
        """Abandon an incomplete archive."""
        if self._stream is not None:
            self._stream.reset()
