"""Sizes and durations in Docker's words.

The rules are tables, from which the page's ``quantities.ts`` is generated.
"""

from __future__ import annotations

from datetime import datetime

from jupyter_containers.lazy_dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """How to write sizes: ``digits`` significant ones, in the largest fitting unit."""

    base: int
    units: tuple[str, ...]
    digits: int


@dataclass(frozen=True, slots=True)
class Span:
    """How to write durations of less than ``below`` seconds.

    ``{}`` in the text is the number of ``unit`` seconds, rounded down after adding ``more``.
    """

    below: float
    text: str
    unit: int = 1
    more: int = 0


DECIMAL = Scale(1000, ("B", "kB", "MB", "GB", "TB", "PB", "EB"), 3)
BINARY = Scale(1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"), 4)

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_HALF = _HOUR // 2  # hours are rounded to the nearest; days are whole multiples of 24 of those
SPANS = (
    Span(1, "Less than a second"),
    Span(2, "1 second"),
    Span(_MINUTE, "{} seconds"),
    Span(2 * _MINUTE, "About a minute"),
    Span(_HOUR, "{} minutes", _MINUTE),
    Span(_HOUR + _HALF, "About an hour"),
    Span(2 * _DAY - _HALF, "{} hours", _HOUR, _HALF),
    Span(14 * _DAY - _HALF, "{} days", _DAY, _HALF),
    Span(60 * _DAY - _HALF, "{} weeks", 7 * _DAY, _HALF),
    Span(730 * _DAY - _HALF, "{} months", 30 * _DAY, _HALF),
    Span(float("inf"), "{} years", 365 * _DAY, _HALF),
)


def human_size(size: float, digits: int = DECIMAL.digits) -> str:
    """Return a size in decimal units with ``digits`` significant digits: ``187MB``."""
    return _format_size(size, DECIMAL, digits)


def binary_size(size: float) -> str:
    """Return a size in binary units with four significant digits: ``7.773GiB``."""
    return _format_size(size, BINARY, BINARY.digits)


def human_duration(seconds: float) -> str:
    """Return a duration in words: ``5 seconds``, ``About an hour``, ``3 weeks``."""
    span = next(span for span in SPANS if seconds < span.below)
    return span.text.format(int(seconds + span.more) // span.unit)


def _format_size(size: float, scale: Scale, digits: int) -> str:
    value, index = float(size), 0
    while value >= scale.base and index < len(scale.units) - 1:
        value /= scale.base
        index += 1
    text = f"{value:.{digits}g}"
    if "e" in text:
        # Rounding exceeded the digits (999.9): the plain number reads better than 1e+03.
        text = f"{value:.0f}"
    return text + scale.units[index]


def parse_time(text: str) -> datetime | None:
    """Return the time in an RFC 3339 text; nanoseconds are cut to microseconds."""
    import re

    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", text)
    if not match:
        return None
    fraction = (match[2] or "")[:7]
    zone = "+00:00" if match[3] == "Z" else match[3]
    try:
        return datetime.fromisoformat(match[1] + fraction + zone)
    except ValueError:
        return None
