"""The parts that an engine is made of, and what its methods share."""

from __future__ import annotations

from typing import Any

from jupyter_containers.engine.containers.catalog import Containers
from jupyter_containers.engine.containers.foreground import Attaching
from jupyter_containers.engine.containers.processes import Processes
from jupyter_containers.engine.containers.sweep import SweptLifecycle
from jupyter_containers.engine.context import Rooms
from jupyter_containers.engine.images.catalog import Images
from jupyter_containers.engine.networks.catalog import Networks
from jupyter_containers.engine.networks.connections import Connections
from jupyter_containers.engine.system.disk_usage import Upkeep
from jupyter_containers.engine.volumes.catalog import Volumes
from jupyter_containers.settings import Settings, load_settings


class Parts:
    """Store, images, containers, networks and volumes for one set of settings."""

    def __init__(self, settings: Settings | None = None, **overrides: Any) -> None:
        self.settings = settings or load_settings(overrides=overrides)
        self._rooms = Rooms(self.settings)
        self._images = Images(self._rooms)
        self._volumes = Volumes(self._rooms)
        self._networks = Networks(self._rooms)
        self._connections = Connections(self._rooms, self._networks)
        self._lifecycle = SweptLifecycle(self._rooms, self._connections)
        self._containers = Containers(self._rooms, self._images, self._volumes, self._lifecycle)
        self._attaching = Attaching(self._rooms, self._lifecycle)
        self._processes = Processes(self._rooms, self._lifecycle)
        self._upkeep = Upkeep(self._rooms, self._images, self._lifecycle)
        self._upkeep.sweep()

    def close(self) -> None:
        """Close the store; running containers go on."""
        self._rooms.close()
