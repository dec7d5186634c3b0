"""Disk usage: ``GET /system/df``."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from jupyter_containers.api.call import Call
from jupyter_containers.api.containers import summaries as container_summaries
from jupyter_containers.api.images import summaries as image_summaries
from jupyter_containers.errors import InvalidArgumentError

if TYPE_CHECKING:
    from jupyter_containers.engine.builds.cache_records import BuildRecord

_TYPES = ("container", "image", "volume", "build-cache")


def df(call: Call) -> dict[str, Any]:
    """Return the disk usage of images, containers, volumes and the build cache."""
    wanted = call.query.texts("type") or list(_TYPES)
    if unknown := [word for word in wanted if word not in _TYPES]:
        raise InvalidArgumentError(f"unknown object type: {unknown[0]}")
    engine = call.engine
    details = engine.system.disk_details()
    answer: dict[str, Any] = {}
    if "image" in wanted:
        spaces = {space.id: space for space in details.images}
        documents = image_summaries(call, {}, everything=False)
        for document in documents:
            space = spaces.get(document["Id"])
            if space is not None:
                document |= {"SharedSize": space.shared, "Containers": space.containers}
        answer["Images"] = documents
        answer["LayersSize"] = sum(line.size for line in engine.system.df()[:1])
    if "container" in wanted:
        answer["Containers"] = container_summaries(call, everything=True, size=True)
    if "volume" in wanted:
        answer["Volumes"] = [
            {
                **engine.volumes.inspect(space.name),
                "UsageData": {"Size": space.size, "RefCount": space.links},
            }
            for space in details.volumes
        ]
    if "build-cache" in wanted:
        answer["BuildCache"] = [_cached(record) for record in engine.builds.records()]
        answer["BuilderSize"] = 0
    return answer


def _cached(record: BuildRecord) -> dict[str, Any]:
    return {
        "ID": record.id,
        "Type": record.type,
        "Description": record.description,
        "InUse": record.in_use,
        "Shared": record.shared,
        "Size": record.size,
        "CreatedAt": _moment(record.created),
        "LastUsedAt": _moment(record.last_used),
        "UsageCount": 1,
        **({"Parents": [record.parent]} if record.parent else {}),
    }


def _moment(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
