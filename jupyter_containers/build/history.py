"""Formats steps for an image's history, in BuildKit's form, which tools recognise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jupyter_containers.oci.image import Healthcheck, History

COMMENT = "buildkit.dockerfile.v0"
_ESCAPES = {
    '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r",
    "\t": "\\t", "\v": "\\v",
}  # fmt: skip


def entry(text: str, *, created: str = "", layer: bool = False) -> History:
    """Return a history entry; an empty ``created`` is filled in when the image is finished."""
    return History(created=created, created_by=text, comment=COMMENT, empty_layer=not layer)


def vector(keyword: str, arguments: Iterable[str]) -> str:
    """Return ``CMD ["a" "b"]``: Go's quoted list."""
    return f"{keyword} [{' '.join(_quoted(item) for item in arguments)}]"


def pairs(keyword: str, values: Iterable[tuple[str, str | None]]) -> str:
    """Return ``ENV a=1 b=2``."""
    texts = (name if value is None else f"{name}={value}" for name, value in values)
    return " ".join([keyword, *texts])


def exposed(ports: Iterable[str]) -> str:
    """Return ``EXPOSE [80/tcp]``."""
    return f"EXPOSE [{' '.join(ports)}]"


def healthcheck(check: Healthcheck) -> str:
    """Return ``HEALTHCHECK &{["CMD-SHELL" …] "30s" "3s" "0s" "0s" '…'}`` (Go's quoted struct)."""
    durations = (check.interval, check.timeout, check.start_period, check.start_interval)
    times = " ".join(f'"{duration(value)}"' for value in durations)
    return f"HEALTHCHECK &{{{vector('', check.test)[1:]} {times} {_rune(check.retries)}}}"


def run(argv: Iterable[str], arguments: Mapping[str, str]) -> str:
    """Return ``RUN |1 A=x /bin/sh -c … # buildkit``: build arguments precede the command."""
    given = [f"{name}={value}" for name, value in arguments.items()]
    head = [f"|{len(given)}", *given] if given else []
    return " ".join(["RUN", *head, *argv, "# buildkit"])


def copy(
    keyword: str, flags: Iterable[str], sources: Iterable[str], inline: Iterable[str], target: str
) -> str:
    """Return ``COPY --chown=… a b /target # buildkit``."""
    documents = (f"<<{name}" for name in inline)
    return " ".join([keyword, *flags, *sources, *documents, target, "# buildkit"])


def duration(nanoseconds: int) -> str:
    """Return a duration in Go's format: ``1m30s``, ``500ms``, ``0s``."""
    if nanoseconds == 0:
        return "0s"
    if nanoseconds < 1_000_000_000:
        return f"{_decimal(nanoseconds / 1e6)}ms"
    minutes, rest = divmod(nanoseconds, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}h" if hours else ""
    text += f"{minutes}m" if hours or minutes else ""
    return f"{text}{_decimal(rest / 1e9)}s"


def _decimal(value: float) -> str:
    return f"{value:.9f}".rstrip("0").rstrip(".")


def _rune(number: int) -> str:
    # Go's %q of an integer is the character of that number; small ones are escapes.
    names = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r"}
    if number in names:
        return f"'{names[number]}'"
    if 32 <= number < 127:
        escaped = "\\" if chr(number) in "'\\" else ""
        return f"'{escaped}{chr(number)}'"
    return f"'\\x{number:02x}'" if number < 256 else f"'\\u{number:04x}'"


def _quoted(text: str) -> str:
    parts = [
        _ESCAPES.get(one) or (one if one.isprintable() else f"\\x{ord(one):02x}") for one in text
    ]
    return f'"{"".join(parts)}"'
