"""References to other containers, such as ``--network container:NAME``."""

from __future__ import annotations

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.records import ContainerRecord
from jupyter_containers.errors import ContainerNotFoundError, InvalidStateError
from jupyter_containers.options.network import OF_CONTAINER


def peer(context: EngineContext, value: str) -> ContainerRecord:
    """Return the container that ``container:NAME`` (or a bare name) refers to."""
    name = value.removeprefix(OF_CONTAINER)
    record = context.containers.find(name)
    if record is None:
        raise ContainerNotFoundError(f"no such container: {name}")
    return record


def joined(context: EngineContext, value: str, flag: str) -> ContainerRecord:
    """Return the running container whose namespace is joined.

    Raises :class:`InvalidStateError` if it does not run.
    """
    other = peer(context, value)
    process = other.state.process
    if not other.state.status.alive or process is None or not process.alive:
        raise InvalidStateError(
            f"cannot join the {flag} namespace of container {other.name}: it does not run",
            status=str(other.state.status),
            operation="join",
            hint=f"start it first: start {other.name}",
        )
    return other
