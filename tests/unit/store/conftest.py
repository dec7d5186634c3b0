from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_containers.store import Store

Member = tuple[str, str, object]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "root") as opened:
        yield opened


@pytest.fixture
def make_tar() -> Callable[..., bytes]:
    """A tar of (kind, name, content or target) members, in exactly this order."""

    def build(*members: Member, **extra: object) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for kind, name, value in members:
                info = tarfile.TarInfo(name)
                info.mode = 0o755 if kind == "dir" else 0o644
                info.mtime = 1_700_000_000
                for key, given in extra.items():
                    setattr(info, key, given)
                data = b""
                if kind == "dir":
                    info.type = tarfile.DIRTYPE
                elif kind == "link":
                    info.type, info.linkname = tarfile.LNKTYPE, str(value)
                elif kind == "symlink":
                    info.type, info.linkname = tarfile.SYMTYPE, str(value)
                elif kind == "fifo":
                    info.type = tarfile.FIFOTYPE
                elif kind == "char":
                    info.type = tarfile.CHRTYPE
                    info.devmajor, info.devminor = value
                elif kind == "xattr":
                    info.pax_headers = {f"SCHILY.xattr.{k}": v for k, v in value.items()}
                else:
                    data = str(value).encode()
                    info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        return buffer.getvalue()

    return build
