"""Docker's ``volume inspect`` document (Docker Engine API v1.43 field names)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_containers.engine.records import VolumeRecord
from jupyter_containers.oci.image import timestamp

ANONYMOUS = "com.docker.volume.anonymous"  # Docker's label of a volume without a given name


def volume_document(volume: VolumeRecord, mountpoint: Path) -> dict[str, Any]:
    """Return the object of ``docker volume inspect``."""
    return {
        "CreatedAt": timestamp(volume.created),
        "Driver": "local",
        "Labels": {**({ANONYMOUS: ""} if volume.anonymous else {}), **volume.labels},
        "Mountpoint": str(mountpoint),
        "Name": volume.name,
        "Options": dict(volume.driver_opts),
        "Scope": "local",
    }
