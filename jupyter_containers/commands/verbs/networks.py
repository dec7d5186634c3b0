"""Verbs of networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jupyter_containers.commands.render.results import Document, Lines
from jupyter_containers.commands.render.table import Column, Row
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.verbs.listing import (
    each,
    filters_of,
    labels_text,
    listing,
    unless_missing,
)
from jupyter_containers.commands.verbs.system import inspect_network
from jupyter_containers.commands.words import Parsed
from jupyter_containers.errors import InvalidArgumentError

_BUILTIN = ("bridge", "host", "none")
_COLUMNS = (
    Column("ID", "NETWORK ID"),
    Column("Name", "NAME"),
    Column("Driver", "DRIVER"),
    Column("Scope", "SCOPE"),
)


def ls(session: Session, parsed: Parsed) -> Any:
    """Return the networks by name."""
    full = parsed.flag("no_trunc", False)
    filters = dict(filters_of(parsed) or {})
    dangling = filters.pop("dangling", [])
    found = [item for item in session.engine.networks() if matches(item, filters)]
    if dangling:
        found = _by_use(session, found, dangling)
    found.sort(key=lambda network: network.name)
    return listing(
        found,
        _COLUMNS,
        lambda network: [_row(network, full)],
        parsed,
        more=(Column("Subnet", "SUBNET"), Column("Labels", "LABELS")),
        empty="no networks",
        frame=("id", "name", "driver", "subnet", "gateway", "internal", "created", "labels"),
    )


def _by_use(session: Session, networks: list[Any], wanted: Sequence[str]) -> list[Any]:
    """Return the networks that match ``--filter dangling``: user-defined and unused."""
    known = {"true": True, "1": True, "false": False, "0": False}
    for word in wanted:
        if word.lower() not in known:
            raise InvalidArgumentError(f"invalid filter: 'dangling={word}'", hint="true or false")
    answers = {known[word.lower()] for word in wanted}
    used = {name for item in session.engine.containers(all=True) for name in item.networks}
    kept = {*_BUILTIN, *used}
    return [item for item in networks if kept.isdisjoint((item.name, item.id)) in answers]


def _row(network: Any, full: bool) -> Row:
    return {
        "ID": network.id if full else network.id[:12],
        "Name": network.name,
        "Driver": network.driver,
        "Scope": "local",
        "Subnet": network.subnet,
        "Internal": str(network.internal).lower(),
        "IPv6": str(bool(network.subnet6)).lower(),
        "Labels": labels_text(network.labels),
        "CreatedAt": network.created,
    }


def matches(item: Any, filters: dict[str, list[str]] | None) -> bool:
    """Return whether a network or volume matches ``--filter`` (name, driver, label)."""
    for key, wanted in (filters or {}).items():
        if key == "label":
            pairs = {f"{name}={value}" for name, value in item.labels.items()} | set(item.labels)
            kept = all(label in pairs for label in wanted)
        elif key == "name":
            kept = any(text in item.name for text in wanted)
        elif key == "driver":
            kept = item.driver in wanted
        elif key in ("id", "scope", "type") and hasattr(item, "subnet"):
            own = {"id": item.id, "scope": "local"}
            own["type"] = "builtin" if item.name in _BUILTIN else "custom"
            kept = any(own[key].startswith(text) for text in wanted)
        else:
            raise InvalidArgumentError(
                f"invalid filter: {key!r}",
                hint="known filters: name, driver, label; of networks dangling, id, scope, type",
            )
        if not kept:
            return False
    return True


def inspect(session: Session, parsed: Parsed) -> Document | Lines[str]:
    """Return descriptions of networks, which a page shows as drawings."""
    found = inspect_network(session, parsed)
    if not isinstance(found, Document) or parsed.flag("format"):
        return found
    from jupyter_containers.commands.render.network import NetworkDocument, Picture

    ports = {item.id: published_ports(item) for item in session.engine.containers()}
    pictures = [Picture.of(document, ports) for document in found]
    return NetworkDocument(list(found), pictures)


def published_ports(container: Any) -> list[str]:
    """Return the published ports of a container."""
    return [text for text in container.ports if "->" in text]


def remove(session: Session, parsed: Parsed) -> Lines[str]:
    """Remove networks and return their names; with ``--force`` missing ones are ignored."""

    def shown(removed: Sequence[str]) -> Lines[str]:
        return Lines(name for name in removed if name)

    attempt = unless_missing(session.engine.networks.remove, bool(parsed.flag("force")))
    return shown(each(parsed.operands["names"], attempt, shown))
