"""Reads the record database where nothing can be written: on a full or read-only file system.

SQLite cannot open a database with a write-ahead log without writing beside it.  If the log has no
pending entries, the file itself is complete and is opened as immutable; otherwise a copy in
memory-backed storage is read.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from jupyter_containers.errors import StorageError
from jupyter_containers.lazy_modules import shutil, tempfile

_IN_MEMORY = ("/dev/shm", "/run")


def open_to_read(path: Path, refused: StorageError) -> sqlite3.Connection:
    """Return a connection that reads the current records; raise ``refused`` if there is none."""
    try:
        return _connect(path)
    except (OSError, sqlite3.Error):
        raise refused from None


def _connect(path: Path) -> sqlite3.Connection:
    log = path.with_name(f"{path.name}-wal")
    if not log.exists() or log.stat().st_size == 0:
        return _open(path, "mode=ro&immutable=1")
    for place in (*_IN_MEMORY, tempfile.gettempdir()):
        try:
            folder = Path(tempfile.mkdtemp(dir=place))
        except OSError:
            continue
        try:
            copy = folder / path.name
            shutil.copyfile(path, copy)
            shutil.copyfile(log, folder / log.name)
            # The connection keeps the files open, so they need no names.
            return _open(copy, "mode=rw")
        except OSError:
            continue
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return _open(path, "mode=ro&immutable=1")


def _open(path: Path, options: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(os.fspath(path))}?{options}",
        isolation_level=None,
        check_same_thread=False,
        uri=True,
    )
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection
