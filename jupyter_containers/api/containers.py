"""Containers: create, list, inspect, start, stop, change, remove."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from jupyter_containers.api.bodies import read
from jupyter_containers.api.call import Answer, Call
from jupyter_containers.api.container_body import (
    ContainerBody,
    Update,
    command_of,
    container_flags,
)
from jupyter_containers.api.errors import StatusError
from jupyter_containers.errors import InvalidArgumentError, InvalidStateError
from jupyter_containers.events import WARNING, Event, TaskStarted
from jupyter_containers.options.values import natural

if TYPE_CHECKING:
    from jupyter_containers.engine.containers.container import Container

_LARGEST_TERMINAL = 10_000


def name_of(call: Call) -> str:
    """Return the name of the requested container, without Docker's slash."""
    return call.names["name"].removeprefix("/")


def found(call: Call) -> Container:
    """Return the requested container; raise :class:`NotFoundError`."""
    return call.engine.containers.get(name_of(call))


def create(call: Call) -> Answer:
    """Create a container from a local image."""
    body = read(call, ContainerBody)
    flags = container_flags(body)
    name = call.query.text("name").removeprefix("/")
    if name:
        flags["name"] = name
    warnings: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, TaskStarted) and event.task.startswith(WARNING):
            warnings.append(event.title.removeprefix("WARNING: "))

    made = call.engine.containers.create(
        body.Image,
        command_of(body),
        platform=call.query.text("platform") or None,
        pull="never",
        emit=note,
        **flags,
    )
    return Answer(201, {"Id": made.id, "Warnings": warnings})


def listed(call: Call) -> list[dict[str, Any]]:
    """Return the containers that filters select, newest first."""
    query = call.query
    limit = query.whole("limit")
    return summaries(
        call,
        everything=query.flag("all"),
        size=query.flag("size"),
        last=limit if limit and limit > 0 else None,
    )


def summaries(
    call: Call, *, everything: bool, size: bool, last: int | None = None
) -> list[dict[str, Any]]:
    """Return containers as Docker lists them."""
    containers = call.engine.containers
    shown = containers.list(everything, call.query.filters(), last, size)
    documents = containers.served.summaries(shown)
    for container, document in zip(shown, documents, strict=True):
        if size:
            document |= {"SizeRw": container.size, "SizeRootFs": container.size_root}
    return documents


def inspect(call: Call) -> dict[str, Any]:
    """Return everything about a container."""
    document = call.engine.containers.inspect(name_of(call), size=call.query.flag("size"))
    document["ExecIDs"] = call.state.execs.of(document["Id"]) or None
    return document


def start(call: Call) -> Answer | None:
    """Start a container after connecting the clients that wait for it; 304 if it runs."""
    record = found(call).record
    if record.state.status.alive:
        if str(record.state.status) == "paused":
            raise StatusError(409, "cannot start a paused container, try unpause instead")
        return Answer(304)
    containers = call.engine.containers
    attach = partial(containers.served.attachment, record.id)
    try:
        containers.served.attendance.start(
            record, lambda: call.state.expected.decide(record.id, attach)
        )
    except BaseException:
        call.state.expected.decide(record.id, lambda: None)
        raise
    return None


def stop(call: Call) -> Answer | None:
    """Stop a container; 304 if it does not run."""
    container = found(call)
    if not container.status.up:
        return Answer(304)
    call.engine.containers.stop(container.id, _grace(call), signal=_signal(call))
    return None


def restart(call: Call) -> None:
    """Stop a container if it runs, then start it."""
    container = found(call)
    call.engine.containers.restart(container.id, _grace(call), signal=_signal(call))


def _grace(call: Call) -> float | None:
    seconds = call.query.whole("t")
    return None if seconds is None else float(seconds)


def _signal(call: Call) -> str | None:
    return call.query.text("signal") or None


def kill(call: Call) -> None:
    """Send a signal to a container's first process."""
    container = found(call)
    if not container.status.alive:
        raise InvalidStateError(
            f"cannot kill container: {container.name}: container {container.id} is not running",
            status=str(container.status),
            operation="kill",
        )
    call.engine.containers.kill(container.id, _signal(call) or "KILL")


def pause(call: Call) -> None:
    """Freeze a container."""
    call.engine.containers.pause(name_of(call))


def unpause(call: Call) -> None:
    """Resume a paused container."""
    call.engine.containers.unpause(name_of(call))


def rename(call: Call) -> None:
    """Give a container another name."""
    name = call.query.text("name").removeprefix("/")
    if not name:
        raise InvalidArgumentError("neither old nor new names may be empty")
    call.engine.containers.rename(name_of(call), name)


def update(call: Call) -> dict[str, Any]:
    """Change limits or the restart policy."""
    call.engine.containers.update(name_of(call), **read(call, Update).flags())
    return {"Warnings": []}


def remove(call: Call) -> None:
    """Remove a container."""
    query = call.query
    if query.flag("link"):
        raise InvalidArgumentError("a link cannot be removed without its container")
    container = found(call)
    call.engine.containers.remove(container.id, force=query.flag("force"), volumes=query.flag("v"))
    call.state.expected.decide(container.id, lambda: None)


def prune(call: Call) -> dict[str, Any]:
    """Remove all containers that do not run."""
    result = call.engine.containers.prune(filters=call.query.filters())
    return {"ContainersDeleted": list(result.removed) or None, "SpaceReclaimed": result.freed}


def resize(call: Call) -> Answer:
    """Set the size of a container's terminal."""
    container = found(call)
    if not container.status.alive:
        raise StatusError(409, f"container {container.id} is not running")
    call.engine.containers.served.resize(container.id, *terminal_size(call))
    return Answer(200, b"")


def terminal_size(call: Call) -> tuple[int, int]:
    """Return the rows and columns of a request."""
    sizes = [natural(call.query.text(name)) for name in ("h", "w")]
    if any(size is None or size > _LARGEST_TERMINAL for size in sizes):
        raise InvalidArgumentError("invalid size of a terminal: h and w must be whole numbers")
    return sizes[0] or 0, sizes[1] or 0


def top(call: Call) -> dict[str, Any]:
    """Return a container's processes as ``ps`` shows them."""
    container = found(call)
    if not container.status.alive:
        raise StatusError(409, f"container {container.id} is not running")
    words = call.query.text("ps_args").split()
    rows = call.engine.containers.top(container.id, words)
    titles = list(rows[0]) if rows else ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    return {
        "Titles": titles,
        "Processes": [[row.get(title, "") for title in titles] for row in rows],
    }


def changes(call: Call) -> list[dict[str, Any]]:
    """Return the changes of a container to its image's files."""
    kinds = {"C": 0, "A": 1, "D": 2}
    return [
        {"Path": change.path, "Kind": kinds[change.kind]}
        for change in call.engine.containers.diff(name_of(call))
    ]
