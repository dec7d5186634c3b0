"""Verbs that only read containers: ps, logs, stats, top, port."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jupyter_containers.commands.render.quantities import ago, binary_size, human_size, timestamp
from jupyter_containers.commands.render.results import Lines, Log, Table, Text, log_bytes
from jupyter_containers.commands.render.table import Column, LazyRow, Row
from jupyter_containers.commands.session import LogSource, Session
from jupyter_containers.commands.verbs.listing import filters_of, labels_text, listing
from jupyter_containers.commands.words import Parsed
from jupyter_containers.engine.frames import CONTAINER_FIELDS, STATS_FIELDS
from jupyter_containers.errors import InvalidArgumentError, NotFoundError
from jupyter_containers.events import CancelToken
from jupyter_containers.oci.descriptor import short_id
from jupyter_containers.options.values import natural

if TYPE_CHECKING:
    from jupyter_containers.engine import Engine

_PS = (
    Column("ID", "CONTAINER ID"),
    Column("Image", "IMAGE"),
    Column("Command", "COMMAND"),
    Column("RunningFor", "CREATED"),
    Column("Status", "STATUS"),
    Column("Ports", "PORTS"),
    Column("Names", "NAMES"),
)
_PS_SIZE = Column("Size", "SIZE")
_PS_MORE = (
    Column("CreatedAt", "CREATED AT"),
    Column("State", "STATE"),
    Column("Labels", "LABELS"),
    Column("Mounts", "MOUNTS"),
    Column("Networks", "NETWORKS"),
    _PS_SIZE,
)
_COMMAND_WIDTH = 20


def ps(session: Session, parsed: Parsed) -> Any:
    """Return the containers."""
    last = 1 if parsed.flag("latest") else parsed.flag("last")
    size = parsed.flag("size", False)
    containers = session.engine.containers(
        all=bool(parsed.flag("all")) or last is not None,
        filters=filters_of(parsed),
        last=last,
        size=size,
    )
    full = parsed.flag("no_trunc", False)
    return listing(
        containers,
        (*_PS, _PS_SIZE) if size else _PS,
        lambda container: [container_row(container, full)],
        parsed,
        more=_PS_MORE,
        empty="no containers" if parsed.flag("all") else "no running containers (ps -a shows all)",
        frame=(*CONTAINER_FIELDS, "size", "size_root") if size else CONTAINER_FIELDS,
    )


def container_row(container: Any, full: bool) -> Row:
    """Return Docker's fields of one container."""
    return LazyRow(_FULL_FIELDS if full else _FIELDS, container)


def _ports(container: Any) -> list[str]:
    if not container.ports:
        return []
    from jupyter_containers.commands.render.links import linked, proxy_base, together

    base = proxy_base()
    return [linked(port, base) for port in together(container.ports)]


def _image(container: Any, *, full: bool) -> str:
    shown = str(getattr(container, "image_shown", container.image))
    is_id = shown.startswith("sha256:") and not full
    return short_id(shown) if is_id else shown


def _command(container: Any, *, full: bool) -> str:
    words: Sequence[str] = getattr(container, "argv", None) or shlex.split(container.command)
    # Docker quotes a text with spaces, without escaping anything in it.
    text = " ".join(f"'{word}'" if " " in word else word for word in words)
    if not full and len(text) > _COMMAND_WIDTH:
        text = text[: _COMMAND_WIDTH - 1] + "…"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _mount_text(mount: Any) -> str:
    if isinstance(mount, Mapping):
        return str(mount.get("Name") or mount.get("Source") or mount.get("Destination") or "")
    return str(getattr(mount, "source", "") or getattr(mount, "target", mount))


def _container_size(container: Any) -> str:
    size, whole = getattr(container, "size", None), getattr(container, "size_root", 0)
    if not isinstance(size, (int, float)):
        return ""
    return human_size(size) + (f" (virtual {human_size(whole)})" if whole else "")


_FIELDS: dict[str, Callable[[Any], object]] = {
    "ID": lambda container: container.short_id,
    "Image": lambda container: _image(container, full=False),
    "Command": lambda container: _command(container, full=False),
    "CreatedAt": lambda container: timestamp(container.created),
    "RunningFor": lambda container: ago(container.created),
    "State": lambda container: str(container.status),
    "Status": lambda container: container.status_text,
    "Ports": _ports,
    "Names": lambda container: container.name,
    "Labels": lambda container: labels_text(container.labels),
    "Networks": lambda container: ",".join(str(name) for name in container.networks),
    "Mounts": lambda container: ",".join(_mount_text(mount) for mount in container.mounts),
    "LocalVolumes": lambda container: str(container.local_volumes),
    "Size": _container_size,
}
_FULL_FIELDS: dict[str, Callable[[Any], object]] = {
    **_FIELDS,
    "ID": lambda container: container.id,
    "Image": lambda container: _image(container, full=True),
    "Command": lambda container: _command(container, full=True),
}


def logs(session: Session, parsed: Parsed) -> Log[Any] | None:
    """Return the log; with ``--follow`` write it line by line and return None."""
    stamps = parsed.flag("timestamps", False)
    follow = bool(parsed.flag("follow")) and session.on_output is not None
    name = parsed.operands["name"]
    details = _details(session, name) if parsed.flag("details") else None
    wanted: dict[str, Any] = {
        "follow": follow,
        "since": moment(parsed.flag("since"), "since"),
        "until": moment(parsed.flag("until"), "until"),
        "tail": tail_of(parsed.flag("tail")),
    }
    if follow and session.open_log is not None:
        source = log_source(session.engine, name, wanted, stamps, details)
        if session.open_log(f"Log of {name}", source, bool(parsed.flag("wait"))):
            return None
    lines = session.engine.containers.logs(name, **wanted)
    if session.on_output is None or not (follow or session.whole):
        return Log(lines, stamps, details)
    for line in lines:
        session.on_output(line.stream, log_bytes(line, stamps, details))
    return None


def log_source(
    engine: Engine,
    name: str,
    wanted: Mapping[str, Any],
    timestamps: bool = False,
    details: str | None = None,
) -> LogSource:
    """Return a container's log as an iterator of lines, read only when it is shown."""
    container = engine.containers.get(name)

    def lines(cancel: CancelToken) -> Iterator[bytes]:
        for line in engine.containers.logs(container.id, cancel=cancel, **wanted):
            yield log_bytes(line, timestamps, details)

    return lines


def _details(session: Session, name: str) -> str:
    from urllib.parse import quote

    details = session.engine.containers.log_details(name)
    return ",".join(f"{quote(key)}={quote(value)}" for key, value in sorted(details.items()))


def tail_of(text: str | None) -> int | None:
    """Return how many lines ``--tail`` asks for, None for all."""
    if text is None or text == "all":
        return None
    number = natural(text.removeprefix("-"))
    if number is None:
        raise InvalidArgumentError(f"invalid tail: {text!r}", hint="write a number of lines or all")
    return None if text.startswith("-") else number  # as in Docker


def moment(text: str | None, flag: str, now: datetime | None = None) -> datetime | None:
    """Return the time of ``--since`` or ``--until``: a date, seconds, or a duration before now."""
    if not text:
        return None
    from jupyter_containers.options.moments import parse_moment

    return parse_moment(text, flag, now)


_STATS = (
    Column("ID", "CONTAINER ID"),
    Column("Name", "NAME"),
    Column("CPUPerc", "CPU %"),
    Column("MemUsage", "MEM USAGE / LIMIT"),
    Column("MemPerc", "MEM %"),
    Column("NetIO", "NET I/O"),
    Column("BlockIO", "BLOCK I/O"),
    Column("PIDs", "PIDS"),
)


def stats(session: Session, parsed: Parsed) -> Any:
    """Return the current resource usage of containers."""
    names = parsed.operands["names"] or None
    return stats_table(session.engine.containers.stats(names), parsed)


def stats_table(samples: Sequence[Any], parsed: Parsed) -> Any:
    """Return samples as the table of ``stats``, or as ``--format`` says."""
    full = parsed.flag("no_trunc", False)
    return listing(
        samples,
        _STATS,
        lambda sample: [_stats_row(sample, full)],
        parsed,
        more=(Column("Container", "CONTAINER"),),
        empty="no running containers",
        frame=STATS_FIELDS,
    )


def _stats_row(sample: Any, full: bool) -> Row:
    # As in Docker, a container without a limit is limited by the machine.
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = min(sample.memory_limit or machine, machine)
    return {
        "ID": sample.container_id if full else sample.container_id[:12],
        "Container": sample.name,
        "Name": sample.name,
        "CPUPerc": f"{sample.cpu_percent:.2f}%",
        "MemUsage": f"{binary_size(sample.memory_usage)} / {binary_size(limit)}",
        "MemPerc": f"{100 * sample.memory_usage / limit:.2f}%",
        "NetIO": f"{human_size(sample.network_rx)} / {human_size(sample.network_tx)}",
        "BlockIO": f"{human_size(sample.block_read)} / {human_size(sample.block_write)}",
        "PIDs": str(sample.pids),
    }


def top(session: Session, parsed: Parsed) -> Table[Any]:
    """Return the container's processes."""
    processes = list(
        session.engine.containers.top(parsed.operands["name"], parsed.operands["options"])
    )
    first = _as_row(processes[0]) if processes else {}
    columns = [Column(name, name.upper()) for name in first]
    return Table(processes, columns, lambda process: [_as_row(process)], "no processes")


def _as_row(value: Any) -> dict[str, object]:
    if isinstance(value, Mapping):
        return dict(value)
    from dataclasses import fields

    return {field.name: getattr(value, field.name) for field in fields(value)}


def port(session: Session, parsed: Parsed) -> Lines[str] | Text:
    """Return the published ports, or the addresses of one of them."""
    name, wanted = parsed.operands["name"], parsed.operands["private_port"]
    published: list[str] = [str(entry) for entry in session.engine.containers.port(name)]
    if not wanted:
        return Lines(published)
    inner = wanted if "/" in wanted else f"{wanted}/tcp"
    found = [
        outer.strip()
        for left, _, outer in (p.partition("->") for p in published)
        if left.strip() == inner
    ]
    if not found:
        raise NotFoundError(f"no public port {inner} published for {name}")
    return Lines(found)
