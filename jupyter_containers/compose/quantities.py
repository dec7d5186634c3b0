"""The scalar values of Compose files: sizes, durations, commands, booleans.

Values are formatted as in Docker Compose: a size as bytes, a duration as ``1m30s``.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from jupyter_containers.lazy_patterns import pattern

_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_SIZE = pattern(r"(\d+(?:\.\d+)?)\s?([kKmMgGtTpP]?)(i?[bB])?\Z")
_DURATION_UNITS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9,
    "h": 3600 * 10**9, "d": 86400 * 10**9, "w": 7 * 86400 * 10**9,
}  # fmt: skip
_DURATION = pattern(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d|w)")
_TRUE = frozenset(("true", "y", "yes", "on", "1", "t"))
_FALSE = frozenset(("false", "n", "no", "off", "0", "f"))


def size(text: str) -> int | None:
    """Return the bytes of ``50M`` or ``1.5g``, None if the text is not a size."""
    found = _SIZE.match(text.strip())
    if found is None:
        return -1 if text.strip() == "-1" else None
    return int(Decimal(found[1]) * _UNITS[found[2].lower()])


def nanoseconds(text: str) -> int | None:
    """Return a duration like ``1m30s`` in nanoseconds, None if the text is not a duration."""
    body = text.removeprefix("-").removeprefix("+")
    if body == "0":
        return 0
    position, total = 0, Decimal(0)
    while position < len(body):
        found = _DURATION.match(body, position)
        if found is None:
            return None
        total += Decimal(found[1]) * _DURATION_UNITS[found[2]]
        position = found.end()
    if not body or total >= 2**63:
        return None
    return -int(total) if text.startswith("-") else int(total)


def duration_text(nanoseconds: int) -> str:
    """Return a duration as Go writes it: ``1h0m0s``, ``1.5s``, ``300ms``."""
    if nanoseconds < 0:
        return f"-{duration_text(-nanoseconds)}"
    if nanoseconds == 0:
        return "0s"
    for limit, unit in ((10**3, "ns"), (10**6, "µs"), (10**9, "ms")):
        if nanoseconds < limit:
            return f"{_plain(Decimal(nanoseconds) / (limit // 1000))}{unit}"
    seconds = Decimal(nanoseconds) / 10**9
    minutes, seconds = divmod(seconds, 60)
    hours, rest = divmod(int(minutes), 60)
    text = f"{_plain(seconds)}s"
    if hours:
        return f"{hours}h{rest}m{text}"
    return f"{rest}m{text}" if rest else text


def _plain(number: Decimal) -> str:
    return format(number.normalize(), "f")


def number_text(number: float) -> str:
    """Return a number as Go's ``%v`` writes it: 1.0 is ``1``, 1e21 ``1e+21``."""
    if number != number:
        return "NaN"
    if number in (float("inf"), float("-inf")):
        return "+Inf" if number > 0 else "-Inf"
    digits = Decimal(repr(float(number)))
    exponent = digits.adjusted()
    if number and not -5 < exponent < 21:
        mantissa = _plain(digits.scaleb(-exponent))
        return f"{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    return _plain(digits)


def text_of(value: object) -> str:
    """Return a scalar as text: true is ``true``, 1.0 is ``1``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number_text(value)
    return str(value)


def boolean(text: str) -> bool | None:
    """Return the boolean of a word of YAML 1.1, None for any other word."""
    word = text.lower()
    return True if word in _TRUE else False if word in _FALSE else None


def decimal(text: str) -> float | None:
    """Return a decimal number, None if the text is not a number."""
    try:
        return float(Decimal(text))
    except (InvalidOperation, ValueError, OverflowError):
        return None


def words(line: str) -> list[str] | None:
    """Return the words of a command line as a POSIX shell splits them, None if a quote is open."""
    import shlex

    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        return list(lexer)
    except ValueError:
        return None
