"""Attendance: a long-lived process starts containers for its clients and records their ends.

A service starts containers in the background for its clients.  Recording an end costs it a
millisecond, and costs conmon's exit command the start of a Python; so the exit command leaves the
recording to the service while that lives and has not *left* the container (see
:mod:`.exit_command`).
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress

from jupyter_containers.engine.containers.exit_command import leave
from jupyter_containers.engine.containers.lifecycle import Lifecycle
from jupyter_containers.engine.records import ContainerRecord
from jupyter_containers.errors import ContainersError


class Attendance:
    """The containers that this process started for its clients; usable from any thread."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._lock = threading.Lock()
        self._watched: dict[int, str] = {}  # container IDs by pidfd
        self._poller = select.poll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poller.register(self._wake, select.POLLIN)
        self._thread: threading.Thread | None = None
        self._ended = False

    def start(
        self, record: ContainerRecord, before_start: Callable[[], None] | None = None
    ) -> ContainerRecord:
        """Start a container in the background; this process records its end.

        ``before_start`` is called once its streams can be attached to, before the first
        instruction.
        """
        options = record.options
        started, _ = self._lifecycle.start(
            record,
            attach=False,
            attended=True,
            hold_stdin=options.interactive and not options.detach,
            before_start=before_start,
        )
        self._watch(started)
        return started

    def _watch(self, record: ContainerRecord) -> None:
        process = record.state.process
        descriptor = process.open() if process is not None else None
        if descriptor is None:
            self._settle(record.id)
            return
        with self._lock:
            self._watched[descriptor] = record.id
            self._poller.register(descriptor, select.POLLIN)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="attendance", daemon=True)
                self._thread.start()
        os.eventfd_write(self._wake, 1)

    def _run(self) -> None:
        while not self._ended:
            for descriptor, _ in self._poller.poll():
                if descriptor == self._wake:
                    with suppress(BlockingIOError):
                        os.eventfd_read(self._wake)
                    continue
                with self._lock:
                    container_id = self._watched.pop(descriptor, "")
                    self._poller.unregister(descriptor)
                os.close(descriptor)
                # Settling may wait for the monitor; other ends must not wait for it.
                threading.Thread(
                    target=self._settle, args=(container_id,), name="settle", daemon=True
                ).start()

    def _settle(self, container_id: str) -> None:
        # On failure, the next access to the container records the end.
        with suppress(ContainersError):
            self._lifecycle.settle(container_id)

    def close(self) -> None:
        """Leave all containers to their exit commands."""
        self._ended = True
        os.eventfd_write(self._wake, 1)
        with self._lock:
            left = list(self._watched.values())
            self._watched.clear()
        for container_id in left:
            leave(self._lifecycle.bundle(container_id).folder)
            # Its exit command may have run before the container was left.
            self._settle(container_id)
