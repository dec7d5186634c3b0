"""A JSON file of credentials that other programs read and write too.

It is replaced as a whole (mode 0600), never rewritten in place, and unknown entries are kept.
Writers of this package take turns through a lock on its folder.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_containers.errors import RegistryError
from jupyter_containers.filesystems import check_place
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import json

_MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class CredentialFile:
    """A file, which need not exist."""

    path: Path

    def read(self) -> dict[str, Any]:
        """Return the document, empty if there is no file.

        Raises :class:`RegistryError` if it cannot be read or is not a JSON object, and
        :class:`UntrustedPlaceError` if other users can change it.
        """
        if self.path.exists():  # it may name a program that is started
            self._check()
        try:
            data = self.path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise RegistryError(f"cannot read {self.path}: {error.strerror}") from error
        if len(data) > _MAX_BYTES:
            raise RegistryError(f"{self.path} is over 1 MiB: not a credentials file")
        if not data.strip():
            return {}
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            # The parser's error quotes the text, which holds secrets.
            raise RegistryError(
                f"{self.path} is not valid JSON", hint="correct the file or move it away"
            ) from None
        if not isinstance(document, dict):
            raise RegistryError(f"{self.path} does not hold a JSON object")
        return document

    def update(self, change: Callable[[dict[str, Any]], bool]) -> bool:
        """Apply ``change`` to the document; write it if ``change`` returns True.

        Returns the result of ``change``; raises :class:`RegistryError` if writing fails.
        """
        # A link stays a link: dotfiles are often kept elsewhere.
        target = Path(os.path.realpath(self.path))
        self._check()
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _lock(target.parent):
                document = self.read()
                changed = change(document)
                if changed:
                    _replace(target, json.dumps(document, indent="\t").encode() + b"\n")
                return changed
        except OSError as error:
            raise RegistryError(f"cannot write {self.path}: {error.strerror}") from error

    def _check(self) -> None:
        hint = f"chmod 600 {self.path}, and go-w for the folders above"
        check_place(self.path, "a credentials file", hint)


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(target: Path, data: bytes) -> None:
    # One fixed name, safe under the lock: the remains of a killed process are overwritten.
    staged = target.with_name(f".{target.name}.jupyter-containers")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(staged, flags, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(staged, target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
