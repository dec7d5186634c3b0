"""Verbs of image stores shared by a machine's users."""

from __future__ import annotations

from typing import Any

from jupyter_containers.commands.render.results import Lines
from jupyter_containers.commands.render.table import Column, Row
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.verbs.listing import each, listing, progress_of
from jupyter_containers.commands.words import Parsed

_COLUMNS = (Column("Root", "STORE"), Column("Images", "IMAGES"), Column("Layers", "LAYERS"))


def share(session: Session, parsed: Parsed) -> Lines[str]:
    """Share images and return their names."""
    with progress_of(session, parsed) as emit:
        store = parsed.flag("store") or ""
        return Lines(session.engine.stores.share(parsed.operands["images"], store=store, emit=emit))


def unshare(session: Session, parsed: Parsed) -> Lines[str]:
    """Remove images from a shared store; return Docker's lines about them."""
    store = parsed.flag("store") or ""
    found = each(
        parsed.operands["images"], lambda name: session.engine.stores.unshare(name, store=store)
    )
    return Lines(line for lines in found for line in lines)


def ls(session: Session, parsed: Parsed) -> Any:
    """Return the shared stores."""
    return listing(
        session.engine.stores.list(),
        _COLUMNS,
        lambda store: [_row(store)],
        parsed,
        quiet="Root",
        empty="no shared stores",
    )


def _row(store: Any) -> Row:
    return {"Root": str(store.root), "Images": str(store.images), "Layers": store.layers}


def map_users(session: Session, parsed: Parsed) -> Lines[str]:
    """Create the users' mounts of shared layers and return them."""
    made = each(parsed.operands["users"], session.engine.stores.map)
    return Lines(str(mount) for mounts in made for mount in mounts)


def unmap_users(session: Session, parsed: Parsed) -> Lines[str]:
    """Remove the users' mounts of shared layers and return them."""
    gone = each(parsed.operands["users"], session.engine.stores.unmap)
    return Lines(str(mount) for mounts in gone for mount in mounts)
