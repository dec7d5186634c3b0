"""Digests of a folder's files, cached by file status: unchanged files are not read again.

A digest is stored with size, times, inode and device of its file.  A file that changed just before
it was read is *racy*: it may change again within the same clock tick and look the same.  Its digest
is not stored; the next build reads it again.

With a ``path`` the digests are stored in a file, for other kernels and later builds. It may be lost
or damaged at any time: then files are read again.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from jupyter_containers.lazy_modules import tempfile
from jupyter_containers.oci.decoding import DECODE_ERRORS

# Coarser than the time stamps of every file system in use (FAT counts in steps of two seconds).
_RACY_NS = 2_500_000_000
_VERSION = 1
_SPARE = 10_000

_Stamp = tuple[int, int, int, int, int]


class _Saved(msgspec.Struct, frozen=True, array_like=True):
    version: int
    files: dict[str, tuple[_Stamp, bytes]]


class FileDigests:
    """The digests of one folder; thread-safe as far as single dictionary operations are."""

    def __init__(self, path: Path | None = None, clock: Callable[[], int] = time.time_ns) -> None:
        self._path, self._clock = path, clock
        self._files = _read(path) if path else {}
        self._used: set[str] = set()
        self._fresh = 0

    def known(self, path: str, status: os.stat_result) -> str | None:
        """Return the digest of the file at ``path`` if it is unchanged."""
        found = self._files.get(path)
        if found is None or found[0] != _stamp(status):
            return None
        self._used.add(path)
        return found[1].hex()

    def now(self) -> int:
        """Return the time to pass to :meth:`remember`, taken before the file is read."""
        return self._clock()

    def remember(self, path: str, status: os.stat_result, digest: str, began: int) -> None:
        """Store a digest, unless the file changed so shortly before ``began`` that it is racy."""
        newest = max(status.st_mtime_ns, status.st_ctime_ns)
        if newest > began - _RACY_NS:
            return
        self._files[path] = (_stamp(status), bytes.fromhex(digest))
        self._used.add(path)
        self._fresh += 1

    def save(self) -> None:
        """Write new digests to their file; a failure only costs time."""
        if self._path is None or not self._fresh:
            return
        if len(self._files) > 2 * len(self._used) + _SPARE:
            # Most of the stored digests were not used: their files are gone.
            self._files = {path: self._files[path] for path in list(self._used)}
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self._path.parent)
            try:
                with os.fdopen(descriptor, "wb") as stream:
                    stream.write(_encoded(dict(self._files)))
                os.replace(name, self._path)
            except BaseException:
                os.unlink(name)
                raise
            self._fresh = 0


def _stamp(status: os.stat_result) -> _Stamp:
    return (
        status.st_size if stat.S_ISREG(status.st_mode) else 0,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
        status.st_dev,
    )


def _encoded(files: dict[str, tuple[_Stamp, bytes]]) -> bytes:
    try:
        return msgspec.msgpack.encode(_Saved(_VERSION, files))
    except UnicodeEncodeError:
        # Names that are not text are not stored.
        plain = {path: value for path, value in files.items() if path.isprintable()}
        return msgspec.msgpack.encode(_Saved(_VERSION, plain))


def _read(path: Path) -> dict[str, tuple[_Stamp, bytes]]:
    try:
        saved = msgspec.msgpack.decode(path.read_bytes(), type=_Saved)
    except (OSError, *DECODE_ERRORS):
        return {}
    return saved.files if saved.version == _VERSION else {}
