"""Volumes: create, list, inspect, remove."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from jupyter_containers.api.bodies import Fields, read
from jupyter_containers.api.call import Answer, Call


class VolumeBody(Fields):
    """The body of ``POST /volumes/create``."""

    __harmless__: ClassVar[frozenset[str]] = frozenset()
    Name: str = ""
    Driver: str = ""
    DriverOpts: dict[str, str] = msgspec.field(default_factory=dict)
    Labels: dict[str, str] = msgspec.field(default_factory=dict)


def create(call: Call) -> Answer:
    """Create a volume, or return the existing one of that name."""
    body = read(call, VolumeBody, VolumeBody())
    made = call.engine.volumes.create(
        body.Name or None, driver=body.Driver or None, label=body.Labels, opt=body.DriverOpts
    )
    return Answer(201, call.engine.volumes.inspect(made.name))


def listed(call: Call) -> dict[str, Any]:
    """Return the volumes that filters select."""
    volumes = call.engine.volumes
    shown = volumes.list(filters=call.query.filters())
    return {"Volumes": [volumes.inspect(item.name) for item in shown], "Warnings": None}


def inspect(call: Call) -> dict[str, Any]:
    """Return everything about a volume."""
    return call.engine.volumes.inspect(call.names["name"])


def remove(call: Call) -> None:
    """Remove a volume; with ``force`` a missing one is ignored."""
    name = call.names["name"]
    if call.query.flag("force") and name not in call.engine.volumes:
        return
    call.engine.volumes.remove(name)


def prune(call: Call) -> dict[str, Any]:
    """Remove anonymous volumes that no container uses, and with ``all=true`` named ones too."""
    filters = call.query.filters()
    everything = call.version < (1, 42)
    if "all" in filters:
        everything = filters.pop("all")[-1].lower() in ("1", "true")
    result = call.engine.volumes.prune(all=everything, filters=filters)
    return {"VolumesDeleted": list(result.removed) or None, "SpaceReclaimed": result.freed}
