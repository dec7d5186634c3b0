"""``events``: the events of the store, live."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jupyter_containers.commands.render.results import Lines
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.verbs.listing import filters_of
from jupyter_containers.commands.verbs.looking import moment
from jupyter_containers.commands.words import Parsed
from jupyter_containers.printable import printable

if TYPE_CHECKING:
    from jupyter_containers.engine.journal import JournalEvent


def events(session: Session, parsed: Parsed) -> Lines[str] | None:
    """Write events line by line until the time of ``--until`` or an interrupt."""
    line_of = _form(parsed.flag("format"))
    feed = session.engine.system.events(
        since=moment(parsed.flag("since"), "since"),
        until=moment(parsed.flag("until"), "until"),
        filters=filters_of(parsed),
    )
    if session.on_output is None:
        return Lines(line_of(event) for event in feed)
    for event in feed:
        session.on_output("stdout", f"{printable(line_of(event))}\n".encode())
    return None


def _form(template: str | None) -> Callable[[JournalEvent], str]:
    if not template:
        return event_line
    from jupyter_containers.commands.render.template import Template

    form = Template("{{json .}}" if template == "json" else template)
    as_json = template in ("json", "{{json .}}")
    return lambda event: form.render(event.document() if as_json else _fields(event))


def _fields(event: JournalEvent) -> dict[str, Any]:
    """Return an event's document with the names used in templates."""
    document = event.document()
    return {
        **document,
        "Status": event.action,
        "ID": event.id,
        "From": event.attributes.get("image", "") if event.type == "container" else "",
        "Scope": "local",
        "Time": document["time"],
        "TimeNano": event.time_ns,
    }


def event_line(event: JournalEvent) -> str:
    """Return an event in Docker's format: time, type, action, id and attributes."""
    local = datetime.fromtimestamp(event.time_ns // 10**9).astimezone()
    zone = local.strftime("%z")
    zone = f"{zone[:3]}:{zone[3:]}" if zone != "+0000" else "Z"
    stamp = f"{local:%Y-%m-%dT%H:%M:%S}.{event.time_ns % 10**9:09d}{zone}"
    pairs = ", ".join(f"{name}={value}" for name, value in sorted(event.attributes.items()))
    return f"{stamp} {event.type} {event.action} {event.id}" + (f" ({pairs})" if pairs else "")
