"""``system df -v``: a table for each kind of object, with Docker's headings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_containers.commands.render.quantities import ago, human_size
from jupyter_containers.commands.render.results import Table
from jupyter_containers.commands.render.table import Column, Row

if TYPE_CHECKING:
    from jupyter_containers.engine.system.disk_details import DiskDetails, ImageSpace, ItemSpace

_IMAGES = (
    Column("Repository", "REPOSITORY"),
    Column("Tag", "TAG"),
    Column("ID", "IMAGE ID"),
    Column("CreatedSince", "CREATED"),
    Column("Size", "SIZE"),
    Column("SharedSize", "SHARED SIZE"),
    Column("UniqueSize", "UNIQUE SIZE"),
    Column("Containers", "CONTAINERS"),
)
_SIZE = Column("Size", "SIZE")
_CONTAINERS = (
    Column("ID", "CONTAINER ID"),
    Column("Name", "NAMES"),
    Column("Links", "LOCAL VOLUMES"),
    _SIZE,
)
_VOLUMES = (Column("Name", "VOLUME NAME"), Column("Links", "LINKS"), _SIZE)
_CACHE = (Column("ID", "CACHE ID"), Column("Name", "CACHE TYPE"), _SIZE, Column("Links", "IN USE"))


class Details:
    """Tables of images, containers, volumes and the build cache, each a separate list."""

    def __init__(self, found: DiskDetails) -> None:
        self.images = Table(found.images, _IMAGES, _image_rows)
        self.containers = Table(found.containers, _CONTAINERS, lambda item: [_row(item)])
        self.volumes = Table(found.volumes, _VOLUMES, lambda item: [_row(item)])
        self.cache = Table(found.cache, _CACHE, lambda item: [_row(item)])

    def _sections(self) -> list[tuple[str, Table[Any]]]:
        return [
            ("Images space usage:", self.images),
            ("Containers space usage:", self.containers),
            ("Local Volumes space usage:", self.volumes),
            ("Build cache usage:", self.cache),
        ]

    def __str__(self) -> str:
        return "\n\n".join(f"{title}\n\n{table}" for title, table in self._sections())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return "".join(
            f"<div><b>{title}</b></div>{table._repr_html_()}" for title, table in self._sections()
        )


def _image_rows(image: ImageSpace) -> list[Row]:
    rows: list[Row] = []
    for name in image.names or ("<none>:<none>",):
        repository, _, tag = name.rpartition(":")
        rows.append(
            {
                "Repository": repository,
                "Tag": tag,
                "ID": image.id.removeprefix("sha256:")[:12],
                "CreatedSince": ago(image.created),
                "Size": human_size(image.size),
                "SharedSize": human_size(image.shared),
                "UniqueSize": human_size(image.unique),
                "Containers": str(image.containers),
            }
        )
    return rows


def _row(item: ItemSpace) -> Row:
    return {
        "ID": item.id[:12],
        "Name": item.name,
        "Links": str(item.links),
        "Size": human_size(item.size),
    }
