"""Verbs of volumes."""

from __future__ import annotations

from typing import Any

from jupyter_containers.commands.render.results import Lines, Text
from jupyter_containers.commands.render.table import Column, Row
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.verbs.listing import (
    done,
    filters_of,
    labels_text,
    listing,
    unless_missing,
)
from jupyter_containers.commands.words import Parsed
from jupyter_containers.errors import InvalidArgumentError

_COLUMNS = (Column("Driver", "DRIVER"), Column("Name", "VOLUME NAME"))


def ls(session: Session, parsed: Parsed) -> Any:
    """Return the volumes."""
    return listing(
        session.engine.volumes(filters=filters_of(parsed)),
        _COLUMNS,
        lambda volume: [_row(volume)],
        parsed,
        quiet="Name",
        more=(Column("Mountpoint", "MOUNTPOINT"), Column("Labels", "LABELS")),
        empty="no volumes",
        frame=("name", "driver", "mountpoint", "created", "labels"),
    )


def _row(volume: Any) -> Row:
    return {
        "Driver": volume.driver,
        "Name": volume.name,
        "Mountpoint": volume.mountpoint,
        "Scope": "local",
        "Labels": labels_text(volume.labels),
        # Counted by "system df -v" only, as with Docker.
        **dict.fromkeys(("Links", "Size"), "N/A"),
    }


def create(session: Session, parsed: Parsed) -> Text:
    """Create a volume and return its name."""
    flags = dict(parsed.flags)
    names = [name for name in (parsed.operands["name"], flags.pop("name", None)) if name]
    if len(names) > 1:
        raise InvalidArgumentError("the volume's name is given twice")
    volume = session.engine.volumes.create(names[0] if names else None, **flags)
    return Text(getattr(volume, "name", volume))


def remove(session: Session, parsed: Parsed) -> Lines[str]:
    """Remove volumes and return their names; with ``--force`` missing ones are ignored."""
    attempt = unless_missing(session.engine.volumes.remove, bool(parsed.flag("force")))
    return done(parsed.operands["names"], attempt)
