"""The comm target that ``%load_ext`` registers for pages, and the open connections.

A page that is open when the extension is loaded is notified by a *beacon*, a comm that the kernel
opens; a later page finds the beacon among the kernel's open comms.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_containers.engine import Engine
    from jupyter_containers.panel.calls import Foretell
    from jupyter_containers.panel.connection import Connection

TARGET = "jupyter_containers.panel"
BEACON = "jupyter_containers.beacon"


class Connections:
    """The connections of one kernel; ``provide_engine`` is called when a page connects.

    ``forecast`` maps the text and ID of a cell to the steps of its build, as the magics read it.
    """

    def __init__(
        self,
        comms: Any,
        provide_engine: Callable[[], Engine],
        forecast: Foretell | None = None,
    ) -> None:
        self._comms, self._provide_engine, self._forecast = comms, provide_engine, forecast
        self._lock = threading.Lock()
        self._open: set[Connection] = set()
        self._beacon: Any = None

    def open(self) -> None:
        """Accept connections of pages."""
        self._comms.register_target(TARGET, self._connect)
        import comm

        self._beacon = comm.create_comm(target_name=BEACON)

    def hang_up(self) -> None:
        """Close all connections; pages then reconnect to the current engine."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            connection.close()

    def close(self) -> None:
        """Accept no more pages, and close all connections."""
        if self._comms.targets.get(TARGET) == self._connect:
            self._comms.unregister_target(TARGET, self._connect)
        if self._beacon is not None:
            self._beacon.close()
            self._beacon = None
        self.hang_up()

    def __len__(self) -> int:
        return len(self._open)

    def _connect(self, comm: Any, message: Any) -> None:
        from jupyter_containers.panel.connection import Connection

        connection = Connection(
            comm, self._provide_engine, self._forget, self._forecast, self._close_left
        )
        with self._lock:
            self._open.add(connection)
        connection.begin(message["content"].get("data"))

    def _close_left(self, ids: Sequence[str]) -> None:
        with self._lock:
            left = [connection for connection in self._open if connection.id in ids]
        for connection in left:
            connection.close()

    def _forget(self, connection: Connection) -> None:
        with self._lock:
            self._open.discard(connection)
