"""Pausing a running container: all its processes are frozen, and its sidecars stopped.

The record names its *pauser* while a pause or its end is in progress, and during a temporary pause
(``commit``).  If the pauser dies, the next access resumes the container.
"""

from __future__ import annotations

from contextlib import suppress

from jupyter_containers.engine.containers.sidecars import Sidecars
from jupyter_containers.engine.containers.states import States
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.records import ContainerRecord
from jupyter_containers.errors import ContainersError, UnsupportedError
from jupyter_containers.oci.state import Status
from jupyter_containers.runtime import cgroups


class Pauses:
    """Pauses the containers of one store; the caller holds the container's lock."""

    def __init__(self, context: EngineContext, states: States, sidecars: Sidecars) -> None:
        self._context, self._states, self._sidecars = context, states, sidecars

    @property
    def possible(self) -> bool:
        """Whether containers have a control group whose processes can be frozen."""
        return "freezer" in self._context.host.cgroups.controllers

    def begin(self, record: ContainerRecord, *, passing: bool) -> None:
        """Freeze all processes; a ``passing`` pause ends with this process at the latest."""
        if not self.possible:
            raise UnsupportedError(
                "pause needs a control group with a freezer, which this user does not have",
                capability="cgroup controller freezer",
                provided_by="root, or a cgroup v2 that is delegated to this user",
            )
        me = self._context.process
        self._states.update(record.id, pauser=me)
        try:
            self._context.runtime.pause(record.id)
        except BaseException:
            with suppress(ContainersError):
                self._states.update(record.id, pauser=None)
            raise
        self._sidecars.hold(record, still=True)
        with self._context.journal.together():
            pauser = me if passing else None
            self._states.note(
                self._states.update(record.id, status=Status.PAUSED, pauser=pauser), "pause"
            )

    def end(self, record: ContainerRecord) -> ContainerRecord:
        """Resume a container; return its record."""
        context, pauser = self._context, record.state.pauser
        if pauser is not None and not pauser.alive:
            # A runtime process that the dead pauser started may still run, and freeze the container
            # later.
            context.runtime.abandon(record.id, "pause", "resume")
        self._states.update(record.id, pauser=context.process)
        if cgroups.is_frozen(context.runtime.layout, context.runtime.cgroup_path(record.id)):
            context.runtime.resume(record.id)
        self._sidecars.hold(record, still=False)
        with context.journal.together():
            running = self._states.update(record.id, status=Status.RUNNING, pauser=None)
            if record.state.status is Status.PAUSED:
                self._states.note(running, "unpause")
        return running
