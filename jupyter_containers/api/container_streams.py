"""The streams of a running container: attach, logs, wait, statistics."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jupyter_containers.api.call import JSON, Call, VanishedError
from jupyter_containers.api.containers import found
from jupyter_containers.api.errors import StatusError
from jupyter_containers.api.streams import Client, Hijacked, content_type, frame
from jupyter_containers.api.websocket import WebSocketClient
from jupyter_containers.errors import (
    ContainersError,
    InvalidArgumentError,
    NotFoundError,
    OperationCancelledError,
)
from jupyter_containers.options.values import natural
from jupyter_containers.runtime.keys import USUAL_KEYS, DetachedError, DetachKeys

if TYPE_CHECKING:
    from jupyter_containers.api.state import Expectation
    from jupyter_containers.engine.containers.container import Container
    from jupyter_containers.runtime.attach import Attachment

_LOOK_SECONDS = 0.05
_HEAD_SECONDS = 0.05
_STATS_SECONDS = 1.0
_STREAMS = ("stdin", "stdout", "stderr")
_CONDITIONS = ("not-running", "next-exit", "removed")
_BLOCK = 64 << 10


def attach(call: Call) -> None:
    """Connect a client with a container's streams, also before its start."""
    container, keys = _attachable(call)
    wanted = {name for name in _STREAMS if call.query.flag(name)}
    # A client starts the container as soon as it has the head: it is expected before that.
    with (
        call.state.expected.expecting(container.id) as expectation,
        Hijacked(call, terminal=container.record.options.tty) as client,
    ):
        _attend(call, container, client, wanted, keys, expectation)


def attach_ws(call: Call) -> None:
    """Connect a client with a container's streams over a websocket."""
    container, keys = _attachable(call)
    chosen = {name for name in _STREAMS if call.query.flag(name)}
    wanted = chosen if call.version >= (1, 42) else set(_STREAMS)
    with (
        call.state.expected.expecting(container.id) as expectation,
        WebSocketClient(call) as client,
    ):
        _attend(call, container, client, wanted, keys, expectation)


def _attachable(call: Call) -> tuple[Container, DetachKeys]:
    container = found(call)
    if str(container.status) == "paused":
        raise StatusError(
            409, f"container {container.name} is paused, unpause the container before attach"
        )
    return container, DetachKeys(call.query.text("detachKeys") or USUAL_KEYS)


def _attend(
    call: Call,
    container: Container,
    client: Client,
    wanted: set[str],
    keys: DetachKeys,
    expectation: Expectation,
) -> None:
    """Forward the requested streams until the container exits or the client disconnects."""
    if call.query.flag("logs"):
        # docker-py loses output that arrives together with the head of the answer.
        time.sleep(_HEAD_SECONDS)
        for line in call.engine.containers.logs(container.id):
            if line.stream in wanted:
                client.send(line.stream, line.data)
    if not call.query.flag("stream"):
        return
    attachment = _wait_for_start(call, container, client, expectation)
    if attachment is None:
        return
    with attachment, suppress(VanishedError, DetachedError, OperationCancelledError):
        if "stdin" in wanted and client.early:
            attachment.send(client.early)
        attachment.pump(
            lambda stream, data: client.send(stream, data) if stream in wanted else None,
            stdin=client.descriptor if "stdin" in wanted else None,
            keys=keys if container.record.options.tty else None,
            cancel=call.cancel,
            on_tick=client.check,
        )


def _wait_for_start(
    call: Call, container: Container, client: Client, expectation: Expectation
) -> Attachment | None:
    """Return the container's streams as soon as it has started; None if it never will."""
    containers, expected = call.engine.containers, call.state.expected
    try:
        # It runs already, or was started by another process.
        alive = container.status.alive
        while not (alive and expected.drop(container.id, expectation)):
            if expectation.wait(_LOOK_SECONDS):
                return expectation.taken()
            if client.gone or call.cancel.cancelled:
                return None
            alive = containers.get(container.id).status.alive
        return containers.served.attachment(container.id)
    except ContainersError:
        return None  # it is removed, or has just ended


def logs(call: Call) -> None:
    """Send a container's output, and with ``follow`` also what it writes from now on."""
    query, container = call.query, found(call)
    wanted = {name for name in ("stdout", "stderr") if query.flag(name)}
    if not wanted:
        raise InvalidArgumentError("Bad parameters: you must choose at least one stream")
    tail = natural(query.text("tail")) if query.text("tail", "all") != "all" else None
    lines = call.engine.containers.logs(
        container.id,
        follow=query.flag("follow"),
        since=query.moment("since"),
        until=query.moment("until"),
        tail=tail,
        cancel=call.cancel,
    )
    details = call.engine.containers.log_details(container.id) if query.flag("details") else {}
    prefix = (",".join(f"{key}={value}" for key, value in details.items()) + " ").encode()
    terminal = container.record.options.tty
    writer = call.begin(content_type(call, terminal=terminal))
    pending: list[bytes] = []
    follow, size = query.flag("follow"), 0
    begins = True
    with suppress(OperationCancelledError):
        for line in lines:
            if line.stream not in wanted:
                continue
            data = line.data
            if details and begins:
                data = prefix + data
            if query.flag("timestamps") and begins:
                data = f"{line.timestamp} ".encode() + data
            begins = not line.partial
            piece = data if terminal else frame(line.stream, data)
            if follow:
                writer.write(piece)
                continue
            pending.append(piece)
            size += len(piece)
            if size > _BLOCK:
                writer.write(b"".join(pending))
                pending, size = [], 0
        writer.write(b"".join(pending))


def wait(call: Call) -> None:
    """Answer with a container's exit code once the container meets a condition.

    The condition is ``not-running`` (the default), ``next-exit`` or ``removed``.  The head of the
    answer is sent immediately: a client starts the container only after it has received that head,
    and so misses no exit.  The container itself is not changed, nor when the client disconnects.
    """
    condition = call.query.text("condition") or "not-running"
    if condition not in _CONDITIONS:
        raise InvalidArgumentError(
            f"invalid condition: {condition!r}", hint=f"one of {', '.join(_CONDITIONS)}"
        )
    container = found(call)
    action = "destroy" if condition == "removed" else "die"
    events = call.engine.system.events(
        filters={"container": (container.id,), "event": ("die", "destroy")}, cancel=call.cancel
    )
    container.reload()
    writer = call.begin(JSON)
    try:
        code = _exit_code_after(call, container, condition, events, action)
    except OperationCancelledError:
        raise VanishedError from None
    writer.line({"StatusCode": code})


def _exit_code_after(
    call: Call, container: Container, condition: str, events: Iterator[Any], action: str
) -> int:
    """Return the exit code when the condition is met."""
    code = container.record.state.exit_code
    if condition == "not-running" and not container.status.up:
        return code
    if container.status.alive and condition != "removed":
        try:
            return call.engine.containers.wait(container.id, cancel=call.cancel)
        except NotFoundError:
            return code
    for event in events:
        if event.action == "die":
            code = natural(event.attributes.get("exitCode", "")) or 0
        if event.action == action or event.action == "destroy":
            break
    return code


def stats(call: Call) -> dict[str, Any] | None:
    """Return counters of a container's resource usage, or send them every second."""
    from jupyter_containers.api.stats import sample

    query, container = call.query, found(call)
    if not query.flag("stream", default=True):
        before = None
        if not query.flag("one-shot") and container.status.alive:
            before = call.engine.containers.served.readings(container.id)
            time.sleep(_STATS_SECONDS)
        return sample(container, before, call.engine.containers.served.readings(container.id))
    writer, before = call.begin(JSON), None
    while not call.cancel.cancelled:
        try:
            container.reload()
        except NotFoundError:
            return None
        now = call.engine.containers.served.readings(container.id)
        writer.line(sample(container, before, now))
        before = now
        call.cancel.wait(_STATS_SECONDS)
    return None
