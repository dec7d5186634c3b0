"""Sizes and times in Docker's formats."""

from __future__ import annotations

from datetime import UTC, datetime

from jupyter_containers.engine.units import binary_size, human_duration, human_size

__all__ = ["ago", "binary_size", "human_duration", "human_size", "timestamp"]


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """Return the time since a moment: ``2 minutes ago``; ``N/A`` for none."""
    if moment is None or moment.year <= 1:
        return "N/A"
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    now = now or datetime.now(UTC)
    return f"{human_duration(max((now - moment).total_seconds(), 0))} ago"


def timestamp(moment: datetime | None) -> str:
    """Return a moment in the format of Docker's ``CreatedAt``, in the local time zone."""
    if moment is None:
        return "N/A"
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %z %Z")
