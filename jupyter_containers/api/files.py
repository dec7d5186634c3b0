"""A container's files: export, archives of paths, commit."""

from __future__ import annotations

import base64
import io
import stat
from datetime import UTC, datetime
from typing import Any, BinaryIO, cast

import msgspec

from jupyter_containers.api.bodies import read
from jupyter_containers.api.call import TAR, Answer, Call
from jupyter_containers.api.container_body import ContainerBody
from jupyter_containers.api.containers import container_of, found
from jupyter_containers.errors import InvalidArgumentError

_BLOCK, _OUTPUT = 1 << 20, 256 << 10


class _Late(io.RawIOBase):
    """An output that begins the answer with its first byte, so earlier errors keep their status."""

    def __init__(self, call: Call, headers: dict[str, str]) -> None:
        super().__init__()
        self._call, self._headers = call, headers
        self._buffer: io.BufferedWriter | None = None

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any) -> int:
        """Send a piece."""
        if self._buffer is None:
            self._buffer = io.BufferedWriter(self._begun(), _OUTPUT)
        return self._buffer.write(data)

    def finish(self) -> None:
        """Send the rest."""
        if self._buffer is None:
            self._buffer = io.BufferedWriter(self._begun(), _OUTPUT)
        self._buffer.flush()

    def _begun(self) -> io.RawIOBase:
        return self._call.begin(TAR, self._headers)


def tar_output(call: Call, headers: dict[str, str] | None = None, content_type: str = TAR) -> _Late:
    """Return an output for an archive; ``finish`` it when the archive is complete."""
    return _Late(call, {**(headers or {}), "Content-Type": content_type})


def export(call: Call) -> None:
    """Send a container's files as a tar."""
    output = tar_output(call, content_type="application/octet-stream")
    call.engine.containers.export(found(call).id, cast("BinaryIO", output))
    output.finish()


def _path(call: Call) -> str:
    path = call.query.text("path")
    if not path:
        raise InvalidArgumentError("bad parameter: missing path")
    return path if path.startswith("/") else f"/{path}"


def _stat(call: Call, container_id: str) -> str:
    """Return the description of a path in the header that Docker has for it."""
    found_there = call.engine.containers.served.stat(container_id, _path(call))
    document = {
        "name": found_there.name,
        "size": found_there.size,
        "mode": go_mode(found_there.mode),
        "mtime": datetime.fromtimestamp(found_there.mtime, UTC).isoformat(),
        "linkTarget": found_there.target,
    }
    return base64.b64encode(msgspec.json.encode(document)).decode()


# Go's io/fs.FileMode: a bit for each type of file except regular files.
_KINDS = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
}
_BITS = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}


def go_mode(mode: int) -> int:
    """Return a mode of stat(2) as Go's ``FileMode``."""
    bits = sum(there for here, there in _BITS.items() if mode & here)
    return (mode & 0o777) | _KINDS.get(stat.S_IFMT(mode), 0) | bits


def head(call: Call) -> Answer:
    """Describe a path of a container."""
    return Answer(200, b"", {"X-Docker-Container-Path-Stat": _stat(call, found(call).id)})


def get(call: Call) -> None:
    """Send a path of a container as a tar."""
    container = found(call)
    output = tar_output(call, {"X-Docker-Container-Path-Stat": _stat(call, container.id)})
    call.engine.containers.copy(
        f"{container.id}:{_path(call)}", "-", stdout=cast("BinaryIO", output)
    )
    output.finish()


def put(call: Call) -> Answer:
    """Unpack a tar into a folder of a container."""
    container, path = found(call), _path(call)
    source = io.BufferedReader(call.body, _BLOCK)
    call.engine.containers.served.unpack(
        container.id,
        path,
        cast("BinaryIO", source),
        keep_kinds=call.query.flag("noOverwriteDirNonDir"),
        as_user=call.query.flag("copyUIDGID"),
    )
    return Answer(200, b"")


def commit(call: Call) -> Answer:
    """Create an image from a container."""
    query = call.query
    name = query.text("container").removeprefix("/")
    container = container_of(call, name)
    repository, tag = query.text("repo"), query.text("tag")
    body = read(call, ContainerBody, ContainerBody())
    made = call.engine.containers.commit(
        container.id,
        f"{repository}:{tag}" if repository and tag else repository or None,
        change=[*_changes(body), *change_lines(call)],
        message=query.text("comment"),
        author=query.text("author"),
        pause=query.flag("pause", default=True),
        cancel=call.cancel,
    )
    return Answer(201, {"Id": made.id})


def change_lines(call: Call) -> list[str]:
    """Return the Dockerfile instructions of the parameter ``changes``."""
    lines = (line for text in call.query.texts("changes") for line in text.split("\n"))
    return [line for line in lines if line.strip()]


def _changes(body: ContainerBody) -> list[str]:
    """Return the Dockerfile instructions that produce a configuration."""
    words = {
        "CMD": body.Cmd if isinstance(body.Cmd, list) else None,
        "ENTRYPOINT": body.Entrypoint if isinstance(body.Entrypoint, list) else None,
        "VOLUME": list(body.Volumes) or None,
    }
    lines = [
        f"{name} {msgspec.json.encode(value).decode()}"
        for name, value in words.items()
        if value is not None
    ]
    lines += [f"USER {body.User}"] if body.User else []
    lines += [f"WORKDIR {body.WorkingDir}"] if body.WorkingDir else []
    lines += [f"STOPSIGNAL {body.StopSignal}"] if body.StopSignal else []
    lines += [f"EXPOSE {port}" for port in body.ExposedPorts]
    for word, pairs in (
        ("LABEL", list(body.Labels.items())),
        ("ENV", [entry.partition("=")[::2] for entry in body.Env]),
    ):
        lines += [f"{word} {_quoted(name)}={_quoted(value)}" for name, value in pairs]
    return lines


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    if "\n" in escaped:
        raise InvalidArgumentError("a variable or label of a commit must be a single line")
    return f'"{escaped}"'
