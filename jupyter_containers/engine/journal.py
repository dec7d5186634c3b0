"""The journal: an ordered, durable log of what happened in a store, as Docker's events.

Each change of an object is recorded after it took place, by the process that made it: a kernel, a
command, or the process that settles a container when no kernel is running.  A reader resumes from
the number (``sequence``) of the last event that it read.  The newest 20,000 events are kept.
Types, actions and attributes are Docker's (``docker events``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from jupyter_containers.errors import (
    DiskFullError,
    InvalidArgumentError,
    ReadOnlyStoreError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.store.journal import JournalEntry, JournalTable

EventType = Literal["container", "image", "network", "volume", "builder"]
Filters = Mapping[str, Iterable[str]]

_CANCEL_SECONDS = 0.1
_BATCH = 1000
_LATEST = 10**20  # in nanoseconds: about three thousand years
_ATTRIBUTES = msgspec.json.Decoder(dict[str, str])


@dataclass(frozen=True, slots=True)
class JournalEvent:
    """One event: ``action`` happened to the object of this ``type`` and ``id`` (images: name)."""

    sequence: int
    time_ns: int
    type: str
    action: str
    id: str
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def time(self) -> datetime:
        """The time at which the event was recorded."""
        return datetime.fromtimestamp(self.time_ns / 1e9, UTC)

    def document(self) -> dict[str, Any]:
        """Return the object of Docker's events API."""
        old: dict[str, Any] = {}
        if self.type in ("container", "image"):
            old = {"status": self.action, "id": self.id}
            if self.type == "container":
                old["from"] = self.attributes.get("image", "")
        return {
            **old,
            "Type": self.type,
            "Action": self.action,
            "Actor": {"ID": self.id, "Attributes": dict(sorted(self.attributes.items()))},
            "scope": "local",
            "time": self.time_ns // 10**9,
            "timeNano": self.time_ns,
        }


class Journal:
    """The events of one store."""

    def __init__(self, table: JournalTable) -> None:
        self._table = table

    def record(
        self, type: EventType, action: str, id: str, attributes: Mapping[str, str] | None = None
    ) -> int:
        """Append an event and return its number; 0 if the disk is full.

        The action has already taken place: ``kill`` on a full disk must not fail for want of its
        event.
        """
        data = msgspec.json.encode(dict(attributes or {}))
        try:
            return self._table.append(time.time_ns(), type, action, id, data)
        except (DiskFullError, ReadOnlyStoreError):
            return 0

    def together(self) -> AbstractContextManager[None]:
        """Make the block's changes of records and its events one transaction.

        If the process is killed, either all of them are stored or none.
        """
        return self._table.together()

    def last(self) -> int:
        """Return the number of the newest event; 0 before the first."""
        return self._table.last()

    def events(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        after: int | None = None,
        filters: Filters | None = None,
        follow: bool = True,
        cancel: CancelToken | None = None,
    ) -> Iterator[JournalEvent]:
        """Return new events, preceded by those after a given time or number.

        With ``follow`` the iterator ends at ``until`` (never, if None); otherwise it ends after the
        stored events, and returns all of them without ``since`` and ``after``.  Filters are
        Docker's.  Raises ``OperationCancelledError`` within 0.1 s of a cancellation.
        """
        matches = event_filter(filters or {})
        if after is None:
            after = self.last() if follow and since is None else 0
        return self._read(after, since, until, matches, follow, cancel)

    def _read(
        self,
        after: int,
        since: datetime | None,
        until: datetime | None,
        matches: Callable[[JournalEvent], bool],
        follow: bool,
        cancel: CancelToken | None,
    ) -> Iterator[JournalEvent]:
        first = -1 if since is None else nanoseconds(since)
        last = None if until is None else nanoseconds(until)
        with self._table.watch() as watch:
            while True:
                # Take the time before reading, so that every event recorded before ``until`` is
                # read.
                now = time.time_ns()
                entries = self._table.after(after, _BATCH)
                for entry in entries:
                    after = entry.sequence
                    try:
                        event = event_of(entry)
                    except (msgspec.MsgspecError, TypeError, ValueError) as error:
                        self._table.left_out(entry, error)
                        continue
                    if entry.time < first or (last is not None and entry.time > last):
                        continue
                    if matches(event):
                        yield event
                if cancel is not None:
                    cancel.check()
                if len(entries) == _BATCH:
                    continue
                if not follow or (last is not None and now > last):
                    return
                self._wait(watch.wait, last, cancel)

    def _wait(
        self, wait: Callable[[float], bool], last: int | None, cancel: CancelToken | None
    ) -> None:
        while True:
            left = 3600.0 if last is None else max(0.0, (last - time.time_ns()) / 1e9 + 0.001)
            if wait(min(left, _CANCEL_SECONDS) if cancel is not None else left):
                return
            if cancel is not None:
                cancel.check()
            if last is not None and time.time_ns() > last:
                return


def event_of(entry: JournalEntry) -> JournalEvent:
    """Return the event of an entry.

    Raises :class:`ValueError`, :class:`TypeError` or :class:`msgspec.MsgspecError` for a damaged
    one.
    """
    if not all(isinstance(text, str) for text in (entry.type, entry.action, entry.id)):
        raise ValueError("not a text")
    if not isinstance(entry.time, int) or not 0 <= entry.time < _LATEST:
        raise ValueError(f"{entry.time!r} is not a time")
    return JournalEvent(
        entry.sequence,
        entry.time,
        entry.type,
        entry.action,
        entry.id,
        _ATTRIBUTES.decode(entry.attributes),
    )


def nanoseconds(moment: datetime) -> int:
    """Return a time as nanoseconds since the epoch."""
    whole = moment if moment.tzinfo else moment.astimezone()
    return int(whole.timestamp() * 1_000_000) * 1000


def event_filter(filters: Filters) -> Callable[[JournalEvent], bool]:
    """Return the predicate of ``events --filter``: values of a key are alternatives.

    Keys: container, event, image, label, network, type, volume; also config, daemon, node,
    plugin, scope, secret and service, of which nothing exists here but ``scope=local``.
    """
    unknown = [key for key in filters if key not in _TESTS]
    if unknown:
        raise InvalidArgumentError(
            f"invalid filter {unknown[0]!r}", hint=f"one of {', '.join(_TESTS)}"
        )
    wanted = {key: tuple(values) for key, values in filters.items()}

    def matches(event: JournalEvent) -> bool:
        return all(
            _TESTS[key](event, values) if key == "label" else _any(key, event, values)
            for key, values in wanted.items()
        )

    return matches


def _any(key: str, event: JournalEvent, values: tuple[str, ...]) -> bool:
    return any(_TESTS[key](event, (value,)) for value in values)


def _is_action(event: JournalEvent, values: tuple[str, ...]) -> bool:
    # exec_start and health_status have details after a colon.
    return values[0] in (event.action, event.action.partition(":")[0])


def _has_labels(event: JournalEvent, values: tuple[str, ...]) -> bool:
    for value in values:
        name, equals, wanted = value.partition("=")
        if name not in event.attributes or (equals and event.attributes[name] != wanted):
            return False
    return True


def _actor(type: str) -> Callable[[JournalEvent, tuple[str, ...]], bool]:
    def test(event: JournalEvent, values: tuple[str, ...]) -> bool:
        name = event.attributes.get("name", "")
        return event.type == type and (
            event.id.startswith(values[0]) or name == values[0].removeprefix("/")
        )

    return test


def _is_image(event: JournalEvent, values: tuple[str, ...]) -> bool:
    key = "name" if event.type == "image" else "image"
    names = (event.id, event.attributes.get(key, ""))
    return any(values[0] in (name, name.partition(":")[0]) for name in names if name)


_TESTS: dict[str, Callable[[JournalEvent, tuple[str, ...]], bool]] = {
    "config": _actor("config"),
    "container": _actor("container"),
    "daemon": lambda event, _: event.type == "daemon",
    "event": _is_action,
    "image": _is_image,
    "label": _has_labels,
    "network": _actor("network"),
    "node": lambda event, _: event.type == "node",
    "plugin": lambda event, _: event.type == "plugin",
    "secret": _actor("secret"),
    "service": _actor("service"),
    "scope": lambda _, values: values[0] == "local",
    "type": lambda event, values: event.type == values[0],
    "volume": _actor("volume"),
}
