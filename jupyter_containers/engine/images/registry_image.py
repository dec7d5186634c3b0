"""The root file system of the registry image: Debian's docker-registry and its C library."""

from __future__ import annotations

from pathlib import Path

from jupyter_containers.errors import ContainersError
from jupyter_containers.lazy_modules import shutil

PROGRAM = "usr/bin/docker-registry"
DATA = "/var/lib/registry"
PORT = "5000/tcp"
CONFIGURATION = "/etc/docker/registry/config.yml"
COMMAND = ("/usr/bin/docker-registry", "serve", CONFIGURATION)
_LIBRARIES = ("libc.so.6", "libpthread.so.0", "libresolv.so.2", "libnss_dns.so.2")
_TEXT = f"""\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {DATA}}}
  delete: {{enabled: true}}
http: {{addr: ":5000"}}
"""


def registry_root(root: Path, source: Path) -> int:
    """Create the image's files in ``root`` from a Debian system; return the program's mtime.

    Raises :class:`ContainersError` if a part is missing from ``source``.
    """
    root.chmod(0o755)
    for folder in ("dev", "etc/docker/registry", "proc", "sys", "tmp", "usr/bin", DATA[1:]):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    _copy(source / PROGRAM, root / PROGRAM)
    for name in _LIBRARIES:
        found = sorted(source.glob(f"usr/lib/*-linux-gnu*/{name}")) or sorted(
            source.glob(f"lib/*-linux-gnu*/{name}")
        )
        if not found:
            raise ContainersError(f"{name} is not in Debian's packages here")
        _copy(found[0], root / "lib" / found[0].parent.name / name)
    loader = _loader(source)
    # The path where the program looks for it: /lib64 on amd64, /lib elsewhere.
    _copy(loader, root / ("lib64" if "x86-64" in loader.name else "lib") / loader.name)
    files = {
        CONFIGURATION[1:]: _TEXT,
        "etc/passwd": "root:x:0:0:root:/root:/bin/false\n",
        "etc/group": "root:x:0:\n",
        "etc/nsswitch.conf": "hosts: files dns\n",
    }
    for name, text in files.items():
        (root / name).write_text(text)
        (root / name).chmod(0o644)
    return int((source / PROGRAM).stat().st_mtime)


def _loader(source: Path) -> Path:
    for pattern in ("usr/lib/*-linux-gnu*/ld-linux*.so*", "lib/*-linux-gnu*/ld-linux*.so*"):
        for path in sorted(source.glob(pattern)):
            return path
    raise ContainersError("the dynamic loader is not in Debian's packages here")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755)
