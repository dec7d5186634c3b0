"""Sizes and spans of time in Docker's words."""

from __future__ import annotations

from datetime import datetime

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def human_size(size: float, digits: int = 3) -> str:
    """Return a size in decimal units with ``digits`` significant digits: ``187MB``."""
    return _scaled(size, 1000.0, _DECIMAL, digits)


def binary_size(size: float) -> str:
    """Return a size in binary units with four significant digits: ``7.773GiB``."""
    return _scaled(size, 1024.0, _BINARY, 4)


def _scaled(size: float, base: float, units: tuple[str, ...], digits: int) -> str:
    value, index = float(size), 0
    while value >= base and index < len(units) - 1:
        value /= base
        index += 1
    text = f"{value:.{digits}g}"
    if "e" in text:
        # Rounding went past the digits (999.9): the plain number reads better than 1e+03.
        text = f"{value:.0f}"
    return text + units[index]


def human_duration(seconds: float) -> str:
    """Return a span of time: ``5 seconds``, ``About an hour``, ``3 weeks``."""
    whole = int(seconds)
    minutes, hours = whole // 60, int(seconds / 3600 + 0.5)
    if whole < 1:
        return "Less than a second"
    if whole < 60:
        return "1 second" if whole == 1 else f"{whole} seconds"
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    days = hours // 24
    for below, unit, name in ((14, 1, "days"), (60, 7, "weeks"), (730, 30, "months")):
        if days < below:
            return f"{days // unit} {name}"
    return f"{days // 365} years"


def parse_time(text: str) -> datetime | None:
    """Return the time that an RFC 3339 text means, nanoseconds cut to microseconds."""
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
