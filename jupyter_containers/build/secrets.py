"""Secrets of RUN steps: read when the step is executed, visible to it alone.

A secret's value is in no layer, no history and no cache key: a step is cached even if its secret
has changed.  The instruction's own words (ID, target) are part of the key like all of its text.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from jupyter_containers.build.filestep import StepContext
from jupyter_containers.build.mounts import MountSpec
from jupyter_containers.build.seams import StepMount
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.options.build import SecretSource

_MAX_BYTES = 500 * 1024  # as in BuildKit


@dataclass(frozen=True, slots=True)
class Given:
    """The files and variables that give a step its secrets."""

    files: tuple[StepMount, ...]
    env: tuple[str, ...]


def given(specs: Iterable[MountSpec], around: StepContext) -> Given:
    """Return the files and variables of the secrets that a step mounts.

    A secret that was not provided is left out, or an error if the mount has ``required``.
    """
    files: list[StepMount] = []
    env: list[str] = []
    for spec in specs:
        if spec.type != "secret":
            continue
        data = _value(spec, around)
        if data is None:
            continue
        if spec.env:
            env.append(f"{spec.env}={os.fsdecode(data)}")
        if spec.target:
            mode = 0o400 if spec.mode is None else spec.mode
            uid, gid = spec.uid or 0, spec.gid or 0
            files.append(StepMount("file", spec.target, mode=mode, uid=uid, gid=gid, data=data))
    return Given(tuple(files), tuple(env))


def _value(spec: MountSpec, around: StepContext) -> bytes | None:
    source = around.secrets.get(spec.id)
    data = None if source is None else _read(spec.id, source, around)
    if data is None and spec.required:
        raise around.fail(
            f"secret {spec.id} is required and was not provided",
            hint=f"give it: --secret id={spec.id},src=FILE",
        )
    return data


def _read(name: str, source: SecretSource, around: StepContext) -> bytes | None:
    if source.value is not None:
        return _bounded(name, source.value, around)
    if source.file is None:
        value = os.environ.get(source.env)
        return None if value is None else os.fsencode(value)
    try:
        with source.file.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise around.fail(f"cannot read secret {name}: {error.strerror}") from error
    return _bounded(name, data, around)


def _bounded(name: str, data: bytes, around: StepContext) -> bytes:
    if len(data) > _MAX_BYTES:
        raise around.fail(f"secret {name} is over {_MAX_BYTES // 1024} KiB")
    return data
