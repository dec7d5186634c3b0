"""Points in time as flags and filters name them (``--since``, ``--filter until=``)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.options.values import parse_duration


def parse_moment(text: str, flag: str, now: datetime | None = None) -> datetime:
    """Return the time that ``text`` means: a date, seconds since the epoch, or a duration ago."""
    if text.replace(".", "", 1).isdigit():
        return datetime.fromtimestamp(float(text), UTC)
    try:
        parsed = datetime.fromisoformat(text)
        return parsed if parsed.tzinfo else parsed.astimezone()
    except ValueError:
        pass
    try:
        seconds = parse_duration(text, flag)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(
            f"invalid {flag}: {text!r}", hint="write 10m, 1h30m or 2026-01-31T12:00:00Z"
        ) from error
    return (now or datetime.now(UTC)) - timedelta(seconds=seconds)
