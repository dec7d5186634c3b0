"""Verbs that look at applications of Compose files: ps, ls, logs, images, top, port and others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jupyter_containers.commands.render.quantities import ago, human_size
from jupyter_containers.commands.render.results import Lines, Text
from jupyter_containers.commands.render.table import Column, Row
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.verbs.listing import filters_of, formatted_rows, listing
from jupyter_containers.commands.verbs.looking import container_row, moment, stats_table, tail_of
from jupyter_containers.commands.words import Parsed
from jupyter_containers.errors import FlagError, InvalidArgumentError
from jupyter_containers.lazy_modules import json

if TYPE_CHECKING:
    from jupyter_containers.engine.applications.status import ProjectSummary
    from jupyter_containers.engine.containers.container import Container

_STATES = ("paused", "restarting", "removing", "running", "dead", "created", "exited")
_PS = (
    Column("Name", "NAME"),
    Column("Image", "IMAGE"),
    Column("Command", "COMMAND"),
    Column("Service", "SERVICE"),
    Column("RunningFor", "CREATED"),
    Column("Status", "STATUS"),
    Column("Ports", "PORTS"),
)


def _app(session: Session, parsed: Parsed) -> Any:
    from jupyter_containers.commands.verbs.applications import application

    return application(session, parsed)


def _services(parsed: Parsed) -> tuple[str, ...]:
    return tuple(parsed.operands.get("services", ()))


def ps(session: Session, parsed: Parsed) -> Any:
    """Return the containers of a project."""
    wanted = [*parsed.flag("status", ()), *(filters_of(parsed) or {}).get("status", ())]
    for word in wanted:
        if word not in _STATES:
            raise FlagError(f"unknown status {word!r}", hint=", ".join(_STATES))
    orphans = parsed.flag("orphans", True)
    app = _app(session, parsed)
    everything = bool(parsed.flag("all") or wanted)
    found = app.ps(*_services(parsed), all=everything, orphans=orphans)
    if wanted:
        found = [one for one in found if str(one.status) in wanted]
    if parsed.flag("quiet"):
        return Lines(one.id for one in found)
    if parsed.flag("show_services"):
        return Lines(dict.fromkeys(_label(one, "service") for one in found))
    full = bool(parsed.flag("no_trunc"))
    form = parsed.flag("format")
    if form == "json":
        return Lines(json.dumps(document(one, full), separators=(",", ":")) for one in found)
    return listing(
        found,
        _PS,
        lambda one: [_ps_row(one, full)],
        Parsed(parsed.verb, {"format": form} if form and form != "table" else {}),
        empty="no running containers (compose ps -a shows all)",
        frame=("name", "image", "command", "created", "status", "health", "exit_code", "ports"),
    )


def _label(container: Container, word: str) -> str:
    return container.labels.get(f"com.docker.compose.{word}", "")


def _ps_row(container: Container, full: bool) -> Row:
    row = dict(container_row(container, full))
    return {
        **row,
        "Name": container.name,
        "Service": _label(container, "service"),
        "Project": _label(container, "project"),
        "Health": container.health,
        "ExitCode": str(container.record.state.exit_code),
        "Publishers": "",
    }


def document(container: Container, full: bool) -> dict[str, Any]:
    """Return what ``ps --format json`` shows of a container."""
    row = container_row(container, full)
    publishers = [
        {
            "URL": port.host_ip,
            "TargetPort": port.container_port,
            "PublishedPort": port.host_port,
            "Protocol": port.protocol,
        }
        for port in (container.record.ports if container.status.alive else ())
    ]
    ports = row["Ports"]
    return {
        "Command": row["Command"],
        "CreatedAt": f"{container.created.astimezone(UTC):%Y-%m-%d %H:%M:%S} +0000 UTC",
        "ExitCode": container.record.state.exit_code,
        "Health": container.health,
        "ID": container.id if full else container.short_id,
        "Image": row["Image"],
        "Labels": ",".join(f"{name}={value}" for name, value in container.labels.items()),
        "LocalVolumes": str(container.local_volumes),
        "Mounts": ",".join(container.mounts),
        "Name": container.name,
        "Names": container.name,
        "Networks": ",".join(container.networks),
        "Ports": ", ".join(map(str, ports)) if isinstance(ports, (list, tuple)) else str(ports),
        "Project": _label(container, "project"),
        "Publishers": publishers,
        "RunningFor": str(row["RunningFor"]),
        "Service": _label(container, "service"),
        "Size": "0B",
        "State": str(container.status),
        "Status": container.status_text,
    }


_LS = (
    Column("Name", "NAME"),
    Column("Status", "STATUS"),
    Column("ConfigFiles", "CONFIG FILES"),
)


def projects(session: Session, parsed: Parsed) -> Any:
    """Return the projects that have running containers."""
    from jupyter_containers.commands.render.project import WideTable

    found = session.engine.applications.list(bool(parsed.flag("all")))
    for name in (filters_of(parsed) or {}).get("name", ()):
        found = [one for one in found if name in one.name]
    if parsed.flag("quiet"):
        return Lines(one.name for one in found)
    table = WideTable(found, _LS, lambda one: [_project_row(one)], "no projects")
    form = parsed.flag("format")
    if form == "json":
        rows = [dict(_project_row(one)) for one in found]
        return Text(json.dumps(rows, separators=(",", ":")))
    return formatted_rows(form, table, _LS) if form else table


def _project_row(summary: ProjectSummary) -> dict[str, str]:
    return {
        "Name": summary.name,
        "Status": summary.status_text,
        "ConfigFiles": ",".join(summary.files),
    }


def logs(session: Session, parsed: Parsed) -> Any:
    """Pass on what services wrote, or return it as text."""
    from jupyter_containers.commands.render.project import LinePrinter
    from jupyter_containers.commands.render.results import Log
    from jupyter_containers.commands.verbs.applications import _is_terminal

    now = datetime.now(UTC)
    follow = bool(parsed.flag("follow"))
    app = _app(session, parsed)
    lines = app.logs(
        *_services(parsed),
        follow=follow,
        since=moment(parsed.flag("since"), "since", now),
        until=moment(parsed.flag("until"), "until", now),
        tail=tail_of(parsed.flag("tail")),
        index=parsed.flag("index", 0),
    )
    names = [one.name.removeprefix(f"{app.name}-") for one in app.ps(*_services(parsed), all=True)]
    colours = not parsed.flag("no_color") and (not session.whole or _is_terminal(1))
    printer = LinePrinter(
        session.on_output or (lambda stream, data: None),  # noqa: ARG005  # the signature
        names,
        colours=colours,
        prefix=not parsed.flag("no_log_prefix"),
        timestamps=bool(parsed.flag("timestamps")),
    )
    if session.on_output is not None and (follow or session.whole):
        for line in lines:
            printer(line)
        return None
    from jupyter_containers.lazy_dataclasses import replace

    return Log(replace(line, data=printer.data(line)) for line in lines)


_IMAGES = (
    Column("ContainerName", "CONTAINER"),
    Column("Repository", "REPOSITORY"),
    Column("Tag", "TAG"),
    Column("Platform", "PLATFORM"),
    Column("ID", "IMAGE ID"),
    Column("Size", "SIZE"),
    Column("Created", "CREATED"),
)


def images(session: Session, parsed: Parsed) -> Any:
    """Return the images of a project's containers."""
    from jupyter_containers.commands.render.project import WideTable

    found = _app(session, parsed).images(*_services(parsed))
    if parsed.flag("quiet"):
        return Lines(dict.fromkeys(one.image.id.removeprefix("sha256:") for one in found))
    if parsed.flag("format") == "json":
        rows = [
            {
                **_image_row(one),
                "ID": one.image.id,
                "Size": one.image.size,
                "Created": None if one.image.created is None else one.image.created.isoformat(),
            }
            for one in found
        ]
        return Text(json.dumps(rows, separators=(",", ":")))
    return WideTable(found, _IMAGES, lambda one: [_image_row(one)], "no containers")


def _image_row(used: Any) -> dict[str, Any]:
    image = used.image
    repository, _, tag = image.name.rpartition(":") if image.names else ("<none>", "", "<none>")
    platform = image.platform
    return {
        "ContainerName": used.container,
        "Repository": repository,
        "Tag": tag,
        "Platform": f"{platform.os}/{platform.architecture}",
        "ID": image.short_id,
        "Size": human_size(image.size),
        "Created": "N/A" if image.created is None else ago(image.created),
    }


def top(session: Session, parsed: Parsed) -> Text:
    """Return the processes of services in one table."""
    from jupyter_containers.commands.render.table import aligned

    app = _app(session, parsed)
    services = {one.name: one for one in app.ps(*_services(parsed))}
    found = app.top(*_services(parsed))
    columns = list(dict.fromkeys(key for rows in found.values() for row in rows for key in row))
    cells = [["SERVICE", "#", *columns]] if columns else []
    for name, rows in sorted(found.items()):
        one = services.get(name)
        service = _label(one, "service") if one is not None else name
        number = _label(one, "container-number") if one is not None else ""
        cells += [[service, number, *(row.get(key, "-") for key in columns)] for row in rows]
    return Text(_narrow(cells) if cells else aligned(()))


def _narrow(cells: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[i]) for line in cells) + 2 for i in range(len(cells[0]))]
    return "\n".join(
        "".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def stats(session: Session, parsed: Parsed) -> Any:
    """Return what the services use now."""
    return stats_table(_app(session, parsed).stats(*_services(parsed)), parsed)


def port(session: Session, parsed: Parsed) -> Text:
    """Return where a port of a service is published."""
    number, _, protocol = parsed.operands["private_port"].partition("/")
    if not number.isdecimal() or len(number) > 5:
        raise InvalidArgumentError(f"invalid port: {number!r}")
    found = _app(session, parsed).port(
        parsed.operands["service"],
        int(number),
        protocol=parsed.flag("protocol", protocol or "tcp"),
        index=parsed.flag("index", 0),
    )
    host = f"[{found.host_ip}]" if ":" in found.host_ip else found.host_ip
    return Text(f"{host}:{found.host_port}")


_VOLUMES = (Column("Driver", "DRIVER"), Column("Name", "VOLUME NAME"))


def volumes(session: Session, parsed: Parsed) -> Any:
    """Return the volumes of a project."""
    found = _app(session, parsed).volumes(*_services(parsed))
    return listing(
        found,
        _VOLUMES,
        lambda one: [{"Driver": one.driver, "Name": one.name}],
        Parsed(
            parsed.verb, {k: v for k, v in parsed.flags.items() if (k, v) != ("format", "table")}
        ),
        quiet="Name",
        empty="no volumes",
    )


def events(session: Session, parsed: Parsed) -> Lines[str] | None:
    """Pass on what happens to the containers of a project."""
    now = datetime.now(UTC)
    feed = _app(session, parsed).events(
        *_services(parsed),
        since=moment(parsed.flag("since"), "since", now),
        until=moment(parsed.flag("until"), "until", now),
    )
    form = _event_json if parsed.flag("json") else _event_line
    if session.on_output is None:
        return Lines(form(event) for event in feed)
    for event in feed:
        session.on_output("stdout", f"{form(event)}\n".encode())
    return None


def _own_attributes(event: Any) -> dict[str, str]:
    return {
        name: value
        for name, value in event.attributes.items()
        if not name.startswith("com.docker.compose.")
    }


def _event_json(event: Any) -> str:
    stamp = datetime.fromtimestamp(event.time_ns // 10**9, UTC)
    found = {
        "action": event.action,
        "attributes": dict(sorted(_own_attributes(event).items())),
        "id": event.id,
        "service": event.attributes.get("com.docker.compose.service", ""),
        "time": f"{stamp:%Y-%m-%dT%H:%M:%S}.{event.time_ns % 10**9:09d}Z",
        "type": event.type,
    }
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False)


def _event_line(event: Any) -> str:
    stamp = datetime.fromtimestamp(event.time_ns // 10**9).astimezone()
    pairs = ", ".join(f"{name}={value}" for name, value in _own_attributes(event).items())
    micro = event.time_ns % 10**9 // 1000
    return f"{stamp:%Y-%m-%d %H:%M:%S}.{micro:06d} {event.type} {event.action} {event.id} ({pairs})"
