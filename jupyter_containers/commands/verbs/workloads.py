"""Verbs for many containers: map."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jupyter_containers.commands.render.results import Table
from jupyter_containers.commands.render.table import Column, Row
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.verbs.listing import read_text
from jupyter_containers.commands.words import Parsed
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass

_COLUMNS = (Column("Item", "ITEM"), Column("ExitCode", "EXIT CODE"), Column("Output", "OUTPUT"))
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """The result of one item."""

    item: Any
    exit_code: int
    stdout: bytes
    stderr: bytes

    @property
    def output(self) -> str:
        """Standard output as text, undecodable bytes replaced."""
        return self.stdout.decode("utf-8", "replace")


def map_items(session: Session, parsed: Parsed) -> Table[ItemOutcome]:
    """Return the results of all items in order; the first failure stops the others."""
    flags = dict(parsed.flags)
    items = _items(session, flags.pop("over", None))
    image, command = parsed.operands["image"], parsed.operands["command"] or None
    with session.progress() as emit:
        found = session.engine.workloads.map(image, command, items, emit=emit, **flags)
    outcomes = [
        ItemOutcome(item, each.exit_code, each.stdout, each.stderr)
        for item, each in zip(items, found, strict=True)
    ]
    return Table(outcomes, _COLUMNS, lambda outcome: [_row(outcome)], "no items")


def _items(session: Session, variable: str | None) -> list[Any]:
    if variable is None:
        return [line for line in read_text(session, "a list of items").splitlines() if line.strip()]
    if session.stdin is not None and isinstance(session.stdin, bytes):
        raise InvalidArgumentError(
            "items are given twice: as the lines below and by --over", hint="omit one of them"
        )
    value = (session.variables or {}).get(variable)
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes)):
        raise InvalidArgumentError(
            f"--over {variable}: there is no variable of that name with several items",
            hint="a list, a range, a column of a DataFrame",
        )
    return list(value)


def _row(outcome: ItemOutcome) -> Row:
    first = next(iter(outcome.output.splitlines()), "")
    more = len(outcome.output.rstrip("\n")) > len(first)
    shown = first[:_SHOWN_CHARACTERS]
    return {
        "Item": str(outcome.item),
        "ExitCode": outcome.exit_code,
        "Output": f"{shown}…" if more or len(first) > len(shown) else shown,
    }
