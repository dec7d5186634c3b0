"""The value that the store hands to the runtime: how to assemble a root file system."""

from __future__ import annotations

from pathlib import Path

from jupyter_containers.lazy_dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mount:
    """An overlay of read-only ``lowers`` (topmost first) under a writable ``upper``.

    Without ``upper`` the result is read-only.  ``base`` is a folder that contains the lowers; the
    mount uses names relative to it, so that hundreds of layers fit the kernel's one-page limit on
    mount options.  With ``fuse``, the program fuse-overlayfs mounts it.
    """

    base: Path
    lowers: tuple[str, ...]
    upper: Path | None = None
    work: Path | None = None
    fuse: bool = False
