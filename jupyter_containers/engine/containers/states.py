"""Changes of containers' records, each in one transaction with its event."""

from __future__ import annotations

import msgspec

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.records import ContainerRecord
from jupyter_containers.network.model import Endpoint, PublishedPort
from jupyter_containers.runtime.monitor import MonitorState
from jupyter_containers.runtime.process import ProcessIdentity

_NO_RUN = MonitorState(None, None, 0)


class States:
    """Writes the states of one store's containers; the caller holds the container's lock."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context

    def note(self, record: ContainerRecord, action: str, **more: str) -> None:
        """Record an event of a container, with Docker's attributes."""
        labels = {**record.config.labels, **(record.options.labels or {})}
        attributes = {**labels, "image": record.options.image, "name": record.name, **more}
        self._context.journal.record("container", action, record.id, attributes)

    def update(self, container_id: str, **changes: object) -> ContainerRecord:
        """Change the state in a record; return the record."""
        return self._context.containers.update(
            container_id,
            lambda record: msgspec.structs.replace(
                record, state=msgspec.structs.replace(record.state, **changes)
            ),
        )

    def change(self, container_id: str, **fields: object) -> ContainerRecord:
        """Change fields of a record; return the record."""
        return self._context.containers.update(
            container_id, lambda record: msgspec.structs.replace(record, **fields)
        )

    def set_run(
        self,
        container_id: str,
        run: MonitorState,
        endpoints: tuple[Endpoint, ...],
        ports: tuple[PublishedPort, ...],
        **fields: object,
    ) -> ContainerRecord:
        """Record the processes, endpoints and ports of a run; return the record.

        ``fields`` are further fields of the record.
        """

        def change(record: ContainerRecord) -> ContainerRecord:
            state = msgspec.structs.replace(record.state, process=run.container, monitor=run.conmon)
            return msgspec.structs.replace(
                record, state=state, endpoints=endpoints, ports=ports, **fields
            )

        return self._context.containers.update(container_id, change)

    def clear_run(self, container_id: str, owner: ProcessIdentity | None) -> ContainerRecord:
        """Remove processes and addresses from a record and set its owner; return the record."""
        return self.set_run(container_id, _NO_RUN, (), (), owner=owner)
