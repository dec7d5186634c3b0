"""Damaged records: each is set aside with one warning; the others can be used.

A record is *damaged* if its row does not decode into its type: a disk or another program changed
it.  Readers skip it; ``system check`` reports it and its repair mends or removes it.
"""

from __future__ import annotations

import warnings


class DamagedRecordWarning(UserWarning):
    """A damaged record was left out."""


class SetAside:
    """The damaged records that this process has found."""

    def __init__(self) -> None:
        self._known: set[tuple[str, str]] = set()

    def note(self, kind: str, label: object, reason: object) -> None:
        """Warn about a damaged record, once."""
        name = column_text(label)
        if (kind, name) in self._known:
            return
        self._known.add((kind, name))
        warnings.warn(
            f"the record {name} of {kind} is damaged and was set aside ({column_text(reason)});"
            " to repair it: system check --repair",
            DamagedRecordWarning,
            stacklevel=2,
        )


def column_text(value: object, limit: int = 80) -> str:
    """Return the value of a database column as a short printable text."""
    if isinstance(value, bytes):
        value = value.decode("ascii", "backslashreplace")
    text = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in str(value).encode("utf-8", "backslashreplace").decode()
    )
    return text if len(text) <= limit else f"{text[:limit]}…"
