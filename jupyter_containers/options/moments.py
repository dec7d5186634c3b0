"""Points in time in flags and filters (``--since``, ``--filter until=``)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.options.values import parse_duration


def parse_moment(text: str, flag: str, now: datetime | None = None) -> datetime:
    """Return a time given as a date, as seconds since the epoch, or as a duration before now."""
    try:
        if re.fullmatch(r"[0-9]*\.?[0-9]+|[0-9]+\.", text):
            return datetime.fromtimestamp(float(text), UTC)
        return _date(text) or (now or datetime.now(UTC)) - timedelta(
            seconds=parse_duration(text, flag)
        )
    except (InvalidArgumentError, ValueError, OverflowError, OSError) as error:
        # OverflowError and OSError: years before 1 and after 9999.
        raise InvalidArgumentError(
            f"invalid {flag}: {text!r}", hint="write 10m, 1h30m or 2026-01-31T12:00:00Z"
        ) from error


def _date(text: str) -> datetime | None:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.astimezone()
