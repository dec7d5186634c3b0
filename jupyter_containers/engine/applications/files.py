"""Secrets and configs: files of the host, or values from the project, mounted read-only.

A value is written to a folder of the store that only its owner may enter, one for each service, and
mounted from there; it is in no record and no layer.  The folder is removed with the project.
"""

from __future__ import annotations

import os
import time
from collections.abc import Container, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from jupyter_containers.compose.project import Project
from jupyter_containers.engine.applications.builds import variable
from jupyter_containers.errors import InvalidArgumentError, StorageError
from jupyter_containers.lazy_modules import hashlib, shutil
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.options.mounts import MountRequest

_SECTIONS = {"secrets": "secret", "configs": "config"}
_MODE = 0o444
_NAME = pattern(r"[a-z0-9][a-z0-9_-]*")
_KEPT_SECONDS = 24 * 3600


class ProjectFiles:
    """The files of a project's secrets and configs below ``parent``."""

    def __init__(self, parent: Path, project: str) -> None:
        if not _NAME.fullmatch(project):
            raise InvalidArgumentError(f"invalid project name {project!r}")
        self._folder = parent / project

    def mounts(self, project: Project, service: str) -> tuple[MountRequest, ...]:
        """Write the values of a service and return its mounts; raise for a missing source."""
        model = project.services[service]
        return tuple(
            self._mount(project, service, section, item)
            for section in _SECTIONS
            for item in model.get(section, ())
        )

    def _mount(
        self, project: Project, service: str, section: str, item: Mapping[str, Any]
    ) -> MountRequest:
        source, word = item["source"], _SECTIONS[section]
        declared = (project.model.get(section) or {}).get(source) or {}
        target = target_of(section, item)
        if declared.get("external"):
            raise InvalidArgumentError(f"unsupported external {word} {source}")
        if declared.get("file"):
            if not os.path.exists(declared["file"]):
                raise InvalidArgumentError(
                    f"invalid mount config for the {word} {source}: "
                    f"{declared['file']} does not exist"
                )
            path = declared["file"]
        else:
            path = self._write_value(service, item, value_of(project, section, source, declared))
        return MountRequest("bind", target, path, read_only=True, flag="mount")

    def _write_value(self, service: str, item: Mapping[str, Any], value: str) -> str:
        """Write a value to a file named by its digest; return the path."""
        data = value.encode()
        mode = int(str(item.get("mode") or oct(_MODE)[2:]), 8) & 0o777
        owner = f"{item.get('uid', '')}:{item.get('gid', '')}"
        digest = hashlib.sha256(f"{mode:o} {owner}\0".encode() + data).hexdigest()[:16]
        folder = self._folder / f"of-{service}"  # a service may be named ".."
        path = folder / f"{hashlib.sha256(item['source'].encode()).hexdigest()[:8]}-{digest}"
        try:
            folder.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.parent.mkdir(mode=0o700, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            if not path.exists():
                _write(path, data, mode, item)
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
        return str(path)

    def sweep(self, known: Container[str]) -> None:
        """Remove values older than a day whose project no longer has containers.

        ``known`` are the projects that have containers.
        """
        with suppress(OSError):
            for folder in self._folder.parent.iterdir():
                old = time.time() - folder.lstat().st_mtime > _KEPT_SECONDS
                if old and folder.name not in known and folder != self._folder:
                    shutil.rmtree(folder, ignore_errors=True)

    def remove(self) -> None:
        """Remove all values."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _write(path: Path, data: bytes, mode: int, item: Mapping[str, Any]) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        unfinished.unlink()
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        os.fchmod(file.fileno(), mode)
        uid, gid = _number(item.get("uid")), _number(item.get("gid"))
        if os.geteuid() == 0 and (uid, gid) != (-1, -1):
            os.fchown(file.fileno(), uid, gid)
    os.rename(unfinished, path)


def _number(text: Any) -> int:
    if text in (None, ""):
        return -1
    if not str(text).isdecimal() or int(text) > 2**31:
        raise InvalidArgumentError(f"{text!r} is no user or group number")
    return int(text)


def target_of(section: str, item: Mapping[str, Any]) -> str:
    """Return the path of a secret or config in the container."""
    target = item.get("target") or (
        f"/run/secrets/{item['source']}" if section == "secrets" else f"/{item['source']}"
    )
    if not str(target).startswith("/"):
        target = f"/run/secrets/{target}" if section == "secrets" else f"/{target}"
    return str(target)


def value_of(project: Project, section: str, source: str, declared: Mapping[str, Any]) -> str:
    """Return the value of a secret or config that is not a file."""
    if declared.get("environment"):
        return variable(project, declared["environment"], f"{_SECTIONS[section]} {source}")
    return str(declared.get("content", ""))
