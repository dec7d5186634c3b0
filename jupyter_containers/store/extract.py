"""Extracts an archive into a directory that may hold files (``ADD archive.tar``, ``cp``)."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from jupyter_containers.events import CancelToken
from jupyter_containers.store.archive import Applied, Applier, WhiteoutMode
from jupyter_containers.store.compression import Limits
from jupyter_containers.store.pipeline import TarSource
from jupyter_containers.store.tarread import ByteStream, TarReader
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
) -> Applied:
    """Extract a tar, compressed or not, below ``folder``; nothing gets out of it.

    Directories are merged, everything else is replaced (with ``keep_kinds`` only files by files).
    ``owner`` (uid, gid) takes the place of the archive's owners, ``handover`` takes away what must
    not reach the host.  Raises
    :class:`~jupyter_containers.errors.ArchiveError`,
    :class:`~jupyter_containers.errors.StorageError`.
    """
    bounds = limits or Limits()
    with (
        TarSource(stream, bounds, cancel or CancelToken(), label=label) as source,
        Applier(
            folder,
            whiteouts=whiteouts,
            owner=owner,
            limits=bounds,
            label=label,
            handover=handover,
            keep_kinds=keep_kinds,
        ) as applier,
    ):
        return applier.apply(TarReader(ByteStream(source.next_chunk), bounds))
