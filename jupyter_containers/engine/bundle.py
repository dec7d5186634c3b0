"""The bundle of one container: the folder that the runtime and the monitor read and write."""

from __future__ import annotations

import os
from pathlib import Path

from jupyter_containers.errors import StorageError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import json
from jupyter_containers.runtime.spec import Spec


@dataclass(frozen=True, slots=True)
class Bundle:
    """The folder of one container: its spec, small files, log and the mount point ``rootfs``."""

    folder: Path

    @property
    def rootfs(self) -> Path:
        """The mount point of the root file system in the private mount namespace."""
        return self.folder / "rootfs"

    @property
    def log(self) -> Path:
        """The log of the container's output, written by the monitor."""
        return self.folder / "container.log"

    @property
    def names(self) -> Path:
        """The mount point of hosts, hostname and resolv.conf in the private mount namespace."""
        return self.folder / "names"

    def create(self) -> None:
        """Create the folder and the mount point."""
        try:
            self.rootfs.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o700)
        except OSError as error:
            raise StorageError(f"cannot make {self.folder}: {error.strerror}") from error

    def write(self, name: str, text: str) -> str:
        """Write a small file, readable by the container's own user."""
        return _write(self.folder / name, text)

    def write_name_file(self, name: str, text: str) -> str:
        """Write hosts, hostname or resolv.conf; :attr:`names` must be mounted."""
        return _write(self.names / name, text)

    def read(self, name: str) -> str:
        """Return the text of a small file; empty if the file does not exist."""
        try:
            return (self.folder / name).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def spec(self) -> Spec:
        """Return the runtime spec of the container's latest start."""
        value: Spec = json.loads((self.folder / "config.json").read_bytes())
        return value

    def write_spec(self, spec: Spec) -> None:
        """Write the runtime spec."""
        (self.folder / "config.json").write_text(json.dumps(spec))


def _write(path: Path, text: str) -> str:
    data = text.encode()
    # Write in place, because a running container may have this very file mounted, and never shorten
    # the file below the length of either text, so that a reader never sees an empty one.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, data)
        os.ftruncate(descriptor, len(data))
        os.fchmod(descriptor, 0o644)
    finally:
        os.close(descriptor)
    return str(path)
