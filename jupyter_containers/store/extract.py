"""Extracts an archive into a directory that may contain files (``ADD archive.tar``, ``cp``)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from jupyter_containers.errors import ArchiveError
from jupyter_containers.events import CancelToken
from jupyter_containers.store.archive import Applied, Applier, WhiteoutMode
from jupyter_containers.store.compression import Limits
from jupyter_containers.store.pipeline import TarSource
from jupyter_containers.store.tarread import HARD_LINK, ByteStream, Entry, TarReader, show
from jupyter_containers.trees.handover import Handover


def extract_archive(
    stream: BinaryIO,
    folder: Path,
    *,
    whiteouts: WhiteoutMode = "literal",
    owner: tuple[int, int] | None = None,
    limits: Limits | None = None,
    cancel: CancelToken | None = None,
    label: str = "archive",
    handover: Handover | None = None,
    keep_kinds: bool = False,
    writeback: bool = True,
) -> Applied:
    """Extract a tar, compressed or not, below ``folder`` and nowhere else.

    Directories are merged, everything else is replaced (with ``keep_kinds`` only files by files).
    ``owner`` (uid, gid) replaces the archive's owners, ``handover`` removes what must not reach the
    host, ``writeback`` starts writing to the disk early.  Raises
    :class:`~jupyter_containers.errors.ArchiveError`, also for a name that leads out of the folder,
    and :class:`~jupyter_containers.errors.StorageError`.
    """
    bounds = limits or Limits()
    with (
        TarSource(stream, bounds, cancel or CancelToken(), label=label, hashed=False) as source,
        Applier(
            folder,
            whiteouts=whiteouts,
            owner=owner,
            limits=bounds,
            label=label,
            handover=handover,
            keep_kinds=keep_kinds,
            writeback=writeback,
        ) as applier,
    ):
        return applier.apply(_Contained(ByteStream(source.next_chunk), bounds))


class _Contained(TarReader):
    """Reads an archive and refuses names outside its folder, as BuildKit and Docker do.

    In a layer, ``../`` is clamped to the root on unpacking; in an archive that a user adds it is an
    error, or an attack.
    """

    def __iter__(self) -> Iterator[Entry]:
        for entry in super().__iter__():
            if _climbs(entry.name) or (entry.kind == HARD_LINK and _climbs(entry.target)):
                raise ArchiveError(f"entry {show(entry.name)}: leads out of the archive's folder")
            yield entry


def _climbs(name: bytes) -> bool:
    if b".." not in name:
        return False
    depth = 0
    for part in name.split(b"/"):
        if part == b"..":
            depth -= 1
        elif part not in (b"", b"."):
            depth += 1
        if depth < 0:
            return not name.startswith(b"/")  # the root has no parent
    return False
