"""Devices by name, described by their vendors in CDI files.

Vocabulary: a *CDI name* is ``vendor.com/class=device``; a *specification* is a JSON or YAML file of
one kind (``vendor.com/class``) in ``/etc/cdi`` or ``/var/run/cdi`` (the later folder wins); *edits*
are the changes to a container that a device needs: variables, nodes, mounts, hooks, groups.

Container Device Interface specification, versions 0.3 to 1.0.  The files are the administrator's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.lazy_modules import json
from jupyter_containers.runtime.spec import Device, Spec

FOLDERS = (Path("/etc/cdi"), Path("/var/run/cdi"))
_HOOKS = {
    "prestart": "prestart",
    "createRuntime": "createRuntime",
    "createContainer": "createContainer",
    "startContainer": "startContainer",
    "poststart": "poststart",
    "poststop": "poststop",
}


def edits_of(names: Sequence[str], folders: Sequence[Path] = FOLDERS) -> list[dict[str, Any]]:
    """Return the edits for CDI names: those of each device, and those of each file once.

    Raises :class:`UnsupportedError` if no file describes a device.
    """
    found: list[dict[str, Any]] = []
    general: list[str] = []
    kinds = dict(_specifications(folders)) if names else {}
    for name in names:
        kind, _, wanted = name.rpartition("=")
        for path, document in kinds.get(kind, ()):
            device = _device(document, wanted, path)
            if device is None:
                continue
            if path not in general:
                general.append(path)
                found.append(document.get("containerEdits") or {})
            found.append(device.get("containerEdits") or {})
            break
        else:
            raise UnsupportedError(
                f"no CDI file on this host describes the device {name}",
                capability=f"CDI device {name}",
                provided_by="nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"
                if kind == "nvidia.com/gpu"
                else f"a specification of {kind} in {' or '.join(map(str, folders))}",
            )
    return found


def apply_edits(spec: Spec, edits: Sequence[dict[str, Any]]) -> None:
    """Apply edits to a runtime spec, in order."""
    for edit in edits:
        environment = spec["process"]["env"]
        for entry in edit.get("env") or ():
            name = entry.partition("=")[0]
            environment[:] = [item for item in environment if item.partition("=")[0] != name]
            environment.append(entry)
        for node in edit.get("deviceNodes") or ():
            device, access = _node(node)
            add_device(spec, device, access)
        for mount in edit.get("mounts") or ():
            options = list(mount.get("options") or ["ro", "nosuid", "nodev", "rbind"])
            spec["mounts"].append(
                {
                    "destination": mount["containerPath"],
                    "source": mount["hostPath"],
                    "type": mount.get("type") or "bind",
                    "options": options if {"bind", "rbind"} & set(options) else [*options, "rbind"],
                }
            )
        for hook in edit.get("hooks") or ():
            stage = _HOOKS.get(hook.get("hookName", ""))
            if stage is None:
                raise InvalidArgumentError(f"a CDI file has a hook {hook.get('hookName')!r}")
            keys = ("path", "args", "env", "timeout")
            entry = {key: hook[key] for key in keys if hook.get(key)}
            spec.setdefault("hooks", {}).setdefault(stage, []).append(entry)
        groups = spec["process"]["user"].setdefault("additionalGids", [])
        groups += [gid for gid in edit.get("additionalGids") or () if gid and gid not in groups]


def add_device(spec: Spec, device: Device, access: str) -> None:
    """Add a device node, and permission to use it, to a spec."""
    devices = spec["linux"]["devices"]
    devices[:] = [item for item in devices if item["path"] != device.path]
    devices.append(
        {
            "path": device.path,
            "type": device.kind,
            "major": device.major,
            "minor": device.minor,
            "fileMode": device.mode,
            "uid": device.uid,
            "gid": device.gid,
        }
    )
    spec["linux"]["resources"]["devices"].append(
        {
            "allow": True,
            "type": device.kind,
            "major": device.major,
            "minor": device.minor,
            "access": access,
        }
    )


def _node(node: dict[str, Any]) -> tuple[Device, str]:
    path = node["path"]
    kind, major, minor = node.get("type", ""), node.get("major"), node.get("minor")
    mode, uid, gid = node.get("fileMode"), node.get("uid"), node.get("gid")
    if kind in ("", "c", "u", "b") and (major is None or minor is None or not kind):
        source = node.get("hostPath") or path
        try:
            status = os.stat(source)
        except OSError as error:
            raise InvalidArgumentError(f"a CDI file names {source}: {error.strerror}") from error
        kind = "b" if stat.S_ISBLK(status.st_mode) else "c"
        major, minor = os.major(status.st_rdev), os.minor(status.st_rdev)
        mode = stat.S_IMODE(status.st_mode) if mode is None else mode
        uid, gid = status.st_uid if uid is None else uid, status.st_gid if gid is None else gid
    device = Device(
        path,
        "b" if kind == "b" else "c",
        int(major or 0),
        int(minor or 0),
        0o666 if mode is None else mode,
        uid or 0,
        gid or 0,
    )
    return device, node.get("permissions") or "rwm"


def _device(document: dict[str, Any], wanted: str, path: str) -> dict[str, Any] | None:
    devices = document.get("devices") or []
    if not isinstance(devices, list) or not all(isinstance(item, dict) for item in devices):
        raise InvalidArgumentError(f"the CDI file {path}: devices is not a list of objects")
    return next((item for item in devices if item.get("name") == wanted), None)


def _specifications(
    folders: Sequence[Path],
) -> Iterator[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """Yield each kind with its files; those of later folders come first."""
    kinds: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for folder in reversed(folders):
        for path in sorted(folder.glob("*")) if folder.is_dir() else ():
            if path.suffix in (".json", ".yaml", ".yml"):
                document = _document(path)
                kinds.setdefault(str(document.get("kind", "")), []).append((str(path), document))
    yield from kinds.items()


def _document(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text()
        value = json.loads(text) if path.suffix == ".json" else _yaml(text, path)
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"cannot read the CDI file {path}: {error}") from error
    if not isinstance(value, dict):
        raise InvalidArgumentError(f"the CDI file {path} is not an object")
    return value


def _yaml(text: str, path: Path) -> Any:
    import importlib

    try:
        yaml = importlib.import_module(
            "yaml"
        )  # installed with Jupyter; without it JSON still works
    except ImportError as error:
        raise UnsupportedError(
            f"the CDI file {path} is YAML, which this Python cannot read",
            capability="YAML",
            provided_by="pip install pyyaml, or write the file as JSON",
        ) from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error).splitlines()[0]) from error
