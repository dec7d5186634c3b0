"""Functions shared by verbs: lists as IDs, by template or as table; actions on several names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from jupyter_containers.commands.render.results import Lines, Table, Text
from jupyter_containers.commands.render.table import (
    DOCKERS_NARROWEST,
    Column,
    Row,
    aligned,
    cell_text,
)
from jupyter_containers.commands.session import Session, no_progress
from jupyter_containers.commands.words import Parsed
from jupyter_containers.errors import (
    ContainersError,
    FlagError,
    InvalidArgumentError,
    NotFoundError,
)
from jupyter_containers.events import EventSink

T = TypeVar("T")


def listing(
    items: Iterable[T],
    columns: Sequence[Column],
    rows_of: Callable[[T], Iterable[Row]],
    parsed: Parsed,
    *,
    quiet: str = "ID",
    more: Sequence[Column] = (),
    empty: str = "",
    frame: Sequence[str] = (),
) -> Table[T] | Lines[str] | Text:
    """Return the items in the form requested by ``-q`` and ``--format``.

    ``quiet`` is the field that ``-q`` shows, ``more`` has the headings of other fields;
    ``frame`` are the attributes that become columns of a DataFrame.
    """
    table = Table(items, columns, rows_of, empty, frame)
    form = parsed.flag("format")
    if form:
        return formatted_rows(form, table, (*columns, *more))
    if parsed.flag("quiet"):
        return Lines(dict.fromkeys(str(row[quiet]) for row in table.rows()))
    return table


def formatted_rows(
    form: str, table: Table[Any], headings: Sequence[Column]
) -> Lines[str] | Text | Table[Any]:
    """Return one line per row, or a table of chosen fields (``table {{.ID}} …``)."""
    from jupyter_containers.commands.render.template import Heading, Template

    if form == "table":
        return table
    if form == "json":
        form = "{{json .}}"
    if not form.startswith("table "):
        template = Template(form)
        return Lines(template.render(_plain(row)) for row in table.rows())
    template = Template(form.removeprefix("table "))
    names = {column.field: column.heading for column in headings}
    rows = [_plain(row) for row in table.rows()]
    first = dict.fromkeys(rows[0], "") | names if rows else names
    lines = [template.render({key: Heading(first[key] or key.upper()) for key in first})]
    lines += [template.render(row) for row in rows]
    return Text(aligned([line.split("\t") for line in lines], DOCKERS_NARROWEST))


def _plain(row: Row) -> dict[str, str]:
    return {name: cell_text(value) for name, value in row.items()}


def accept_trust(parsed: Parsed) -> None:
    """Accept ``--disable-content-trust``, which is always true; raise if it is false."""
    if not parsed.flag("disable_content_trust", True):
        from jupyter_containers.engine.containers.validation import refuse_content_trust

        refuse_content_trust(False)


def platform_of(parsed: Parsed) -> dict[str, str]:
    """Return ``--platform`` as a keyword argument, if it was given."""
    return {"platform": parsed.flags["platform"]} if "platform" in parsed.flags else {}


def filters_of(parsed: Parsed) -> dict[str, list[str]] | None:
    """Return ``--filter key=value`` flags as lists by key, or None if there are none."""
    given: Sequence[str] = parsed.flag("filters") or ()
    filters: dict[str, list[str]] = {}
    for entry in given:
        key, equals, value = entry.partition("=")
        if not equals or not key:
            raise FlagError(f"invalid filter: {entry!r}", hint="write key=value")
        filters.setdefault(key, []).append(value)
    return filters or None


def each(
    names: Sequence[str],
    action: Callable[[str], T],
    shown: Callable[[list[T]], object] | None = None,
) -> list[T]:
    """Return the action's result for every name, continuing after failures.

    The first error is raised after the last name, with the successful names as its ``done``;
    ``shown`` renders the results for a terminal if it does not print the names.
    """
    results: list[T] = []
    succeeded: list[str] = []
    failures: list[ContainersError] = []
    for name in names:
        try:
            results.append(action(name))
            succeeded.append(name)
        except ContainersError as error:  # the other names are still processed
            failures.append(error)
    if not failures:
        return results
    first = failures[0]
    notes = [first.hint] if first.hint else []
    notes += [f"also: {error.message}" for error in failures[1:]]
    first.hint = "; ".join(notes)
    first.done = tuple(succeeded)
    first.printed = str(shown(results)) if shown and results else ""
    raise first


def done(names: Sequence[str], action: Callable[[str], object]) -> Lines[str]:
    """Apply the action to every name and return the names, which Docker prints."""
    each(names, action)
    return Lines(names)


def unless_missing(action: Callable[[str], object], force: bool) -> Callable[[str], str]:
    """Return an action that returns the name; with ``force`` it ignores a missing object."""

    def attempt(name: str) -> str:
        try:
            action(name)
        except NotFoundError:
            if not force:
                raise
            return ""
        return name

    return attempt


def labels_text(labels: Mapping[str, str] | None) -> str:
    """Return labels in the form of Docker's ``.Labels``."""
    return ",".join(f"{name}={value}" for name, value in sorted((labels or {}).items()))


def progress_of(session: Session, parsed: Parsed) -> AbstractContextManager[EventSink]:
    """Return the display of one operation; none with ``--quiet``."""
    return no_progress() if parsed.flag("quiet") else session.progress()


def read_input(session: Session, what: str) -> bytes:
    """Return the command's input."""
    if session.stdin is None:
        raise InvalidArgumentError(
            f"{what} should come from the input, but there is none",
            hint="write it in the lines below %%container",
        )
    return session.stdin if isinstance(session.stdin, bytes) else session.stdin.read()


def read_text(session: Session, what: str) -> str:
    """Return the command's input as text."""
    return read_input(session, what).decode("utf-8", "replace")
