"""Docker's ``image inspect`` document (Docker Engine API v1.43 field names)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from jupyter_containers.oci.image import NEVER, ExecutionConfig, Healthcheck, ImageConfig
from jupyter_containers.store import ImageRecord


def image_document(
    record: ImageRecord,
    config: ImageConfig,
    names: tuple[str, ...],
    digests: tuple[str, ...],
    folders: tuple[Path, ...] = (),
) -> dict[str, Any]:
    """Return the object of ``docker image inspect``; ``folders`` are the layers, topmost first."""
    return {
        "Id": record.config_digest,
        "RepoTags": list(names),
        "RepoDigests": list(digests),
        "Parent": "",
        "Comment": config.history[-1].comment if config.history else "",
        "Created": config.created,
        "DockerVersion": "",
        "Author": config.author,
        "Config": execution_document(config.config),
        "Architecture": config.architecture,
        "Variant": config.variant,
        "Os": config.os,
        "Size": record.size,
        "GraphDriver": {"Name": "overlay2", "Data": _overlay(folders)},
        "RootFS": {"Type": "layers", "Layers": list(config.rootfs.diff_ids)},
        "Metadata": {"LastTagTime": NEVER},
        "Descriptor": {
            "mediaType": record.manifest.media_type,
            "digest": record.manifest.digest,
            "size": record.manifest.size,
        },
    }


def _overlay(folders: tuple[Path, ...]) -> dict[str, str] | None:
    """Return the layer folders in Docker's form: the topmost apart from the lower ones."""
    if not folders:
        return None
    below = ":".join(str(folder) for folder in folders[1:])
    return {**({"LowerDir": below} if below else {}), "UpperDir": str(folders[0])}


def execution_document(config: ExecutionConfig) -> dict[str, Any]:
    """Return the ``Config`` object of image and container documents."""
    return {
        "User": config.user,
        "ExposedPorts": {name: {} for name in config.exposed_ports} or None,
        "Env": list(config.env) or None,
        "Cmd": list_or_none(config.cmd),
        "Volumes": {name: {} for name in config.volumes} or None,
        "WorkingDir": config.working_dir,
        "Entrypoint": list_or_none(config.entrypoint),
        "OnBuild": list(config.on_build) or None,
        "Labels": dict(config.labels),
        "StopSignal": config.stop_signal,
        "Shell": list(config.shell) or None,
        "Healthcheck": healthcheck_document(config.healthcheck),
    }


def healthcheck_document(check: Healthcheck | None) -> Any:
    """Return the ``Healthcheck`` object; None without one."""
    return msgspec.json.decode(msgspec.json.encode(check))


def list_or_none(values: tuple[str, ...] | None) -> list[str] | None:
    """Return the values as Docker writes a list: null if empty."""
    return list(values) if values else None
