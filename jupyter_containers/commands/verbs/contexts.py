"""Verbs of contexts: they change files, and open no engine."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

from jupyter_containers.commands.render.results import Lines, Text
from jupyter_containers.commands.render.table import Column, Row
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.verbs.listing import each, listing
from jupyter_containers.commands.verbs.system import described
from jupyter_containers.commands.words import Parsed
from jupyter_containers.contexts import ClusterEndpoint, Context, Contexts
from jupyter_containers.errors import ContainersError, UsageError
from jupyter_containers.lazy_dataclasses import replace
from jupyter_containers.settings import load_settings

_COLUMNS = (
    Column("Name", "NAME"),
    Column("Description", "DESCRIPTION"),
    Column("Endpoint", "ENDPOINT"),
    Column("Error", "ERROR"),
)


def _contexts(session: Session) -> Contexts:
    """Return the contexts of this user; one that is selected by a flag or setting is known."""
    chosen = {"context": session.context} if session.context else {}
    return Contexts(settings=load_settings(overrides=chosen))


def create(session: Session, parsed: Parsed) -> Text:
    """Create a context and return its name."""
    if not parsed.flag("kubernetes"):
        raise UsageError(
            "a context needs an endpoint",
            hint='context create NAME --kubernetes "namespace=NAME,registry=HOST/PREFIX"',
        )
    name = parsed.operands["name"]
    endpoint = ClusterEndpoint.parse(parsed.flag("kubernetes"))
    _contexts(session).create(name, endpoint, parsed.flag("description", ""))
    _say(f'Successfully created context "{name}"')
    return Text(name)


def update(session: Session, parsed: Parsed) -> Text:
    """Change a context and return its name."""
    name = parsed.operands["name"]
    _contexts(session).update(name, parsed.flag("kubernetes"), parsed.flag("description"))
    _say(f'Successfully updated context "{name}"')
    return Text(name)


def use(session: Session, parsed: Parsed) -> Text:
    """Make a context the current one and return its name."""
    name = parsed.operands["name"]
    warning = _contexts(session).use(name)
    if warning:
        _say(f"Warning: {warning}")
    _say(f'Current context is now "{name}"')
    return Text(name)


def show(session: Session, parsed: Parsed) -> Text:  # noqa: ARG001  # the signature of a verb
    """Return the name of the current context."""
    return Text(_contexts(session).current)


def ls(session: Session, parsed: Parsed) -> Any:
    """Return the contexts; a selected one that does not exist is among them."""
    contexts = _contexts(session)
    known, current = contexts.all(), contexts.current
    if current not in {context.name for context in known}:
        known.append(Context(current, origin="?"))
    marked = not parsed.flag("format")
    return listing(
        known,
        _COLUMNS,
        lambda context: [_row(context, current, marked)],
        parsed,
        quiet="Plain",
        frame=("name", "description"),
    )


def _row(context: Context, current: str, marked: bool) -> Row:
    is_current = context.name == current
    missing = context.origin == "?"
    return {
        "Name": f"{context.name} *" if is_current and marked else context.name,
        "Plain": context.name,
        "Current": str(is_current).lower(),
        "Description": context.description,
        "Endpoint": "" if missing else _endpoint(context),
        "Error": f'context "{context.name}": context not found' if missing else "",
    }


def _endpoint(context: Context) -> str:
    cluster = context.cluster
    if cluster is None:
        return "this machine"
    return f"kubernetes: {cluster}" if str(cluster) else "kubernetes"


def inspect(session: Session, parsed: Parsed) -> Any:
    """Return the documents of contexts, by default of the current one."""
    contexts = _contexts(session)
    names = parsed.operands["names"] or [contexts.current]
    return described(
        lambda name: _document(contexts.get(name)), replace(parsed, operands={"names": names})
    )


def _document(context: Context) -> dict[str, Any]:
    endpoints: dict[str, Any] = {}
    if context.cluster is not None:
        endpoints["kubernetes"] = {
            name.capitalize(): value for name, value in asdict(context.cluster).items()
        }
    return {
        "Name": context.name,
        "Metadata": {"Description": context.description} if context.cluster else {},
        "Endpoints": endpoints,
        "TLSMaterial": {},
        "Storage": {"MetadataPath": context.origin or "<IN MEMORY>", "TLSPath": "<IN MEMORY>"},
    }


def remove(session: Session, parsed: Parsed) -> Lines[str]:
    """Remove contexts and return their names; with ``--force`` missing ones are ignored."""
    contexts, force = _contexts(session), bool(parsed.flag("force"))

    def attempt(name: str) -> None:
        try:
            contexts.remove(name, force=force)
        except ContainersError as error:
            if not (force and isinstance(error, LookupError)):
                raise

    each(parsed.operands["names"], attempt)
    return Lines(parsed.operands["names"])


def _say(text: str) -> None:
    """Print a remark for people, as Docker does, beside the result for programs."""
    sys.stderr.write(f"{text}\n")
