"""``POST /build`` with ``version=2``: a solve of the Docker command of 19.03 to 20.10.

The files come through the session named in the query; the progress is sent in the answer, as lines
of JSON with the messages that newer clients receive by gRPC.
"""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Iterator
from typing import BinaryIO, cast

from jupyter_containers.api.buildkit.messages import Exporter, SolveRequest
from jupyter_containers.api.buildkit.registry import Upload
from jupyter_containers.api.buildkit.solve import Solve, rpc_error
from jupyter_containers.api.buildkit.status import Progress
from jupyter_containers.api.call import Call
from jupyter_containers.api.errors import StatusError
from jupyter_containers.api.progress import Lines
from jupyter_containers.api.query import Query
from jupyter_containers.engine.naming import new_id
from jupyter_containers.errors import (
    BuildError,
    InvalidArgumentError,
    OperationCancelledError,
    StepFailedError,
)
from jupyter_containers.events import CancelToken

_TRACE, _IMAGE = "moby.buildkit.trace", "moby.image.id"
_CLIENT, _UPLOAD = "client-session", "upload-request"
_POLL_SECONDS = 0.1


def build(call: Call) -> None:
    """Build the query's solve from the files of its session."""
    query, cancel = call.query, call.cancel
    name = query.text("buildid") or new_id()
    if name.startswith(f"{_UPLOAD}:"):
        _lend_body(call, name.partition(":")[2])
        return
    if not query.text("session"):
        raise InvalidArgumentError("a build with version=2 names a session")
    request = SolveRequest(
        ref=name, session=query.text("session"), frontend="dockerfile.v0", exporters=_outputs(query)
    )
    if query.text("networkmode") == "host":
        request.entitlements = ["network.host"]
    request.frontend_attrs = _attributes(query)
    progress = Progress(name, cancel)
    solves, lines = call.state.buildkit.solves, Lines(call)
    if solves.find(name) is not None:
        raise StatusError(409, "a build of this name is under way")
    solves.add(name, progress)
    try:
        with lines.errors():
            with _docker_errors(), _traced(lines, progress, cancel):
                solve = Solve(call.engine, call.state.buildkit, request, cancel, progress)
                if query.text("remote") == _UPLOAD:
                    solve.upload = call.state.buildkit.uploads.wait(name, cancel)
                facts = solve.run(request.frontend_attrs)
            digest = facts.get("containerimage.config.digest", "")
            if digest:
                lines.send({"id": _IMAGE, "aux": {"ID": digest}})
    finally:
        solves.remove(name, progress)


def _lend_body(call: Call, name: str) -> None:
    """Provide the body of this request to the build ``name`` as its context."""
    uploads, one = call.state.buildkit.uploads, Upload(cast(BinaryIO, call.body))
    uploads.add(name, one)
    try:
        while not one.taken.wait(_POLL_SECONDS):
            call.cancel.check()
    finally:
        uploads.remove(name, one)
    call.begin()


@contextlib.contextmanager
def _docker_errors() -> Iterator[None]:
    """Raise a step's failure with BuildKit's message and the step's exit code."""
    try:
        yield
    except StepFailedError as error:
        raise BuildError(rpc_error(error).message) from error


@contextlib.contextmanager
def _traced(lines: Lines, progress: Progress, cancel: CancelToken) -> Iterator[None]:
    """Send the progress of the block as lines."""

    def send() -> None:
        with contextlib.suppress(OperationCancelledError):
            for data in progress.read(cancel):
                lines.send({"id": _TRACE, "aux": base64.b64encode(data).decode()})

    thread = threading.Thread(target=send, name="build-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        progress.end()
        thread.join()


def _outputs(query: Query) -> list[Exporter]:
    tags = [text for text in query.texts("t") if text]
    wanted = query.document("outputs", list[dict[str, object]]) if query.text("outputs") else None
    if not isinstance(wanted, list) or not wanted:
        return [Exporter(type="moby", attrs={"name": ",".join(tags)} if tags else {})]
    found = []
    for one in wanted:
        attributes = one.get("Attrs") or {}
        if not isinstance(attributes, dict):
            raise InvalidArgumentError("invalid outputs: Attrs is no object")
        texts = {str(key): str(value) for key, value in attributes.items() if key != "dest"}
        found.append(Exporter(type=str(one.get("Type", "")), attrs=texts))
    return found


def _attributes(query: Query) -> dict[str, str]:
    """Return the parameters of the classic builder as attributes of a solve."""
    hosts = [text for given in query.texts("extrahosts") for text in given.split(",") if text]
    shm = query.whole("shmsize") or 0
    found = {
        "filename": query.text("dockerfile"),
        "target": query.text("target"),
        "platform": query.text("platform"),
        "force-network-mode": query.text("networkmode"),
        "add-hosts": ",".join(one.replace(":", "=", 1) for one in hosts),
        "shm-size": str(shm) if shm else "",
        "ulimit": ",".join(_ulimits(query)),
        "cgroup-parent": query.text("cgroupparent"),
        "image-resolve-mode": "pull" if query.flag("pull") else "",
        "cache-from": ",".join(_texts(query, "cachefrom")),
    }
    found = {key: value for key, value in found.items() if value}
    for kind, name in (("build-arg", "buildargs"), ("label", "labels")):
        pairs = query.document(name, dict[str, str | None])
        assert pairs is None or isinstance(pairs, dict)
        found |= {
            f"{kind}:{key}": value for key, value in (pairs or {}).items() if value is not None
        }
    if query.flag("nocache"):
        found["no-cache"] = ""
    if query.text("remote") not in (_CLIENT, _UPLOAD):
        found["context"] = query.text("remote")
    return found


def _texts(query: Query, name: str) -> list[str]:
    values = query.document(name, list[str])
    assert values is None or isinstance(values, list)
    return [value for value in values or () if value]


def _ulimits(query: Query) -> list[str]:
    items = query.document("ulimits", list[dict[str, str | int]])
    assert items is None or isinstance(items, list)
    try:
        return [f"{item['Name']}={item['Soft']}:{item['Hard']}" for item in items or ()]
    except KeyError as error:
        raise InvalidArgumentError(f"invalid ulimits: {error.args[0]} is missing") from error
