"""A current BuildKit: Docker of Debian trixie, in a separate root file system.

``scripts/setup bench`` makes it in ``.bench/trixie``.  Where that could not be made the figures
compare with the BuildKit of the host's Docker, and say so.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.peer import Docker

ROOT = Path(__file__).parents[2] / ".bench" / "trixie"


@contextmanager
def buildkit(folder: Path, host: Docker) -> Iterator[tuple[str, Docker]]:
    """Yield the newest Docker there is and its name: trixie's, else the one of the host.

    Inside the bench's own mount namespace, which takes the mounts away.
    """
    if not (ROOT / "usr/sbin/dockerd").exists():
        version = host("version", "--format", "{{.Server.Version}}")
        yield f"BuildKit of Docker {version}; trixie's could not be installed", host
        return
    for kind, source, target in (
        (("--bind",), str(ROOT), ""),  # dockerd wants its / to be a mount
        (("-t", "proc"), "proc", "proc"),
        (("--rbind",), "/sys", "sys"),
        (("--rbind",), "/dev", "dev"),
        (("--bind",), "/tmp", "tmp"),  # where the bench's folder is
    ):
        subprocess.run(["mount", *kind, source, str(ROOT / target)], check=True)
    flags = ("--bridge=none", "--iptables=false", "--ip6tables=false")
    with Docker(folder, *flags, chroot=ROOT) as docker:
        version = docker("version", "--format", "{{.Server.Version}}")
        yield f"BuildKit of Docker {version.strip()}", docker
