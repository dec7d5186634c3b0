"""Commands in running containers: create, start, attach, inspect."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from jupyter_containers.api.bodies import Fields, read
from jupyter_containers.api.call import Answer, Call, VanishedError
from jupyter_containers.api.containers import found, terminal_size
from jupyter_containers.api.errors import StatusError, message_of
from jupyter_containers.api.state import Exec
from jupyter_containers.api.streams import Hijacked
from jupyter_containers.errors import (
    ContainersError,
    InvalidArgumentError,
    OCIRuntimeError,
)
from jupyter_containers.runtime.keys import USUAL_KEYS, parse_keys


class ExecBody(Fields):
    """The body of ``POST /containers/{name}/exec``."""

    __harmless__: ClassVar[frozenset[str]] = frozenset({"Detach", "Container"})
    AttachStdin: bool = False
    AttachStdout: bool = False
    AttachStderr: bool = False
    ConsoleSize: tuple[int, int] | None = None
    DetachKeys: str = ""
    Tty: bool = False
    Env: tuple[str, ...] = ()
    Cmd: str | tuple[str, ...] = ()
    Privileged: bool = False
    User: str = ""
    WorkingDir: str = ""


class StartBody(Fields):
    """The body of ``POST /exec/{id}/start``; ``Tty`` is the form of the streams: raw, or frames."""

    Detach: bool = False
    Tty: bool = False
    ConsoleSize: tuple[int, int] | None = None


def create(call: Call) -> Answer:
    """Record a command for a running container."""
    container, body = found(call), read(call, ExecBody)
    words = (body.Cmd,) if isinstance(body.Cmd, str) else body.Cmd
    if not words or not words[0]:
        raise InvalidArgumentError("No exec command specified")
    parse_keys(body.DetachKeys)
    if str(container.status) == "paused":
        raise StatusError(
            409, f"container {container.id} is paused, unpause the container before exec"
        )
    if not container.status.alive:
        raise StatusError(409, f"container {container.id} is not running")
    flags: dict[str, Any] = {
        "tty": body.Tty,
        "interactive": body.AttachStdin,
        "user": body.User,
        "workdir": body.WorkingDir,
        "privileged": body.Privileged,
        # A bare name means nothing here: variables are never taken from the service's environment.
        "env": [entry for entry in body.Env if "=" in entry],
        "detach_keys": body.DetachKeys or USUAL_KEYS,
    }
    document = {
        "ProcessConfig": {
            "tty": body.Tty,
            "entrypoint": words[0],
            "arguments": list(words[1:]),
            "privileged": body.Privileged,
            **({"user": body.User} if body.User else {}),
        },
        "OpenStdin": body.AttachStdin,
        "OpenStdout": body.AttachStdout,
        "OpenStderr": body.AttachStderr,
        "DetachKeys": body.DetachKeys,
    }
    one = call.state.execs.add(container.id, words, flags, document)
    if body.ConsoleSize:
        one.size = body.ConsoleSize
    return Answer(201, {"Id": one.id})


def start(call: Call) -> Answer | None:
    """Start a command: in the background, or with the connection as its streams."""
    one = call.state.execs.get(call.names["id"])
    body = read(call, StartBody, StartBody())
    call.state.execs.check_startable(one, call.engine.containers.get(one.container_id).status.alive)
    if body.ConsoleSize:
        one.size = body.ConsoleSize
    call.state.execs.begin(one)
    if body.Detach:
        one.detached = True
        return _start_detached(call, one)
    try:
        _attend(call, one, raw=body.Tty)
    except BaseException:
        if one.running:
            call.state.execs.end(one, 126)
        raise
    return None


def _start_detached(call: Call, one: Exec) -> Answer:
    flags = {key: value for key, value in one.flags.items() if key != "detach_keys"}
    try:
        call.engine.containers.served.exec(
            one.container_id,
            one.words,
            detach=True,
            exec_id=one.id,
            on_process=one.begun,
            **flags,
        )
    except BaseException as error:
        code = error.exit_code if isinstance(error, OCIRuntimeError) else 126
        call.state.execs.end(one, code)
        raise
    return Answer(200, b"")


def _attend(call: Call, one: Exec, *, raw: bool) -> None:
    terminal = one.flags["tty"]
    wanted = {
        name
        for name, key in (("stdout", "OpenStdout"), ("stderr", "OpenStderr"))
        if one.document[key]
    }
    with Hijacked(call, terminal=raw) as client:
        stdin: int | None = None
        pipe: int | None = None
        if one.document["OpenStdin"]:
            stdin = pipe = client.input_pipe()

        def send(stream: Any, data: bytes) -> None:
            client.check()
            if stream in wanted:
                client.send(stream, data)

        try:
            result = call.engine.containers.served.exec(
                one.container_id,
                one.words,
                on_output=send,
                stdin=stdin,
                exec_id=one.id,
                on_process=one.begun,
                terminal_size=(lambda: one.size) if terminal else None,
                **one.flags,
            )
        except OCIRuntimeError as error:
            code = error.exit_code if error.exit_code in (126, 127) else 126
            call.state.execs.end(one, code)
            # As in Docker, a command that cannot be run is reported on the stream.
            client.send("stdout", f"{message_of(error)}\r\n".encode())
        except VanishedError:
            call.state.execs.end(one, 137)
        except ContainersError as error:
            call.state.execs.end(one, 126)
            client.send("stderr", f"{message_of(error)}\r\n".encode())
        else:
            one.detached = result.detached
            if not result.detached:
                call.state.execs.end(one, result.exit_code)
        finally:
            if pipe is not None:
                os.close(pipe)


def resize(call: Call) -> Answer:
    """Set the size of a command's terminal."""
    one = call.state.execs.get(call.names["id"])
    size = terminal_size(call)
    if not one.running:
        raise StatusError(409, f"exec process {one.id} is not running")
    one.size = size
    return Answer(200, b"")


def inspect(call: Call) -> dict[str, Any]:
    """Return everything about a command; one in the background may have ended by now."""
    one = call.state.execs.get(call.names["id"])
    if one.running and one.detached:
        code = call.engine.containers.served.exec_code(one.container_id, one.id)
        if code is not None:
            call.state.execs.end(one, code)
    return one.inspected()
