"""Parsers of the values in Docker's flags.

Sizes are bytes (``512m`` = 512 MiB), durations are seconds, CPU counts are decimals.  Every
function raises :class:`InvalidArgumentError`, which quotes the input and shows a valid one.
"""

from __future__ import annotations

import ipaddress
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Literal

from jupyter_containers.errors import FlagError, InvalidArgumentError, UnsupportedError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import csv
from jupyter_containers.lazy_patterns import pattern

_SIZE = pattern(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgtp]?)(?:i?b)?", re.IGNORECASE)
_DURATION = pattern(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)")
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4, "p": 1024**5}
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
# Numbers in records, and Docker's numbers and durations (nanoseconds), are signed 64-bit integers.
LARGEST = (1 << 63) - 1
LONGEST_SECONDS = LARGEST / 1e9
_LONGEST_COMMAND = 128 * 1024  # the maximum length of one argument (Linux, MAX_ARG_STRLEN)
_MOST_CPUS = 1_000_000
_NAME = pattern(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")

Protocol = Literal["tcp", "udp"]


@dataclass(frozen=True, slots=True)
class PortMapping:
    """One published port: ``host_port`` 0 means a free one; ``host_ip`` empty means the default.

    With ``last_port`` it is the first free port from ``host_port`` to ``last_port``.
    """

    container_port: int
    host_port: int = 0
    host_ip: str = ""
    protocol: Protocol = "tcp"
    last_port: int = 0

    @property
    def host(self) -> str:
        """The host's side in Docker's form: ``8000``, ``8000-8010``, empty for any free port."""
        ends = (self.host_port, self.last_port)
        return "-".join(str(number) for number in ends if number)

    @property
    def container(self) -> str:
        """The container's side in Docker's form: ``8000/tcp``."""
        return f"{self.container_port}/{self.protocol}"


def natural(text: str) -> int | None:
    """Return the number in a string of ASCII digits; None for other strings and large numbers.

    ``str.isdigit`` is true for ``²`` too, and ``int`` refuses strings of more than 4,300 digits.
    """
    if not (text.isascii() and text.isdecimal()) or len(text.lstrip("0")) > 19:
        return None
    number = int(text.lstrip("0") or "0")
    return number if number <= LARGEST else None


def is_utf8(text: str) -> bool:
    """Return whether a string can be encoded as UTF-8: one with lone surrogates cannot."""
    return text.isascii() or not re.search("[\ud800-\udfff]", text)


def csv_fields(text: str, what: str, hint: str = "") -> list[str]:
    """Return the fields of a value such as ``type=local,dest=x``; commas may be quoted."""
    try:
        fields: list[str] = next(csv.reader([text], strict=True), [])
    except (csv.Error, StopIteration) as error:
        raise InvalidArgumentError(f"invalid {what}: {text!r}: {error}", hint=hint) from error
    return fields


def local_path(text: str) -> Path:
    """Return a path on this machine with ``~`` expanded; raise if it cannot be a path."""
    if "\0" in text:
        raise InvalidArgumentError(f"not a path: {text!r}")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # no such user
        raise InvalidArgumentError(f"no home folder for {text!r}") from error


def parse_size(text: str | int, flag: str = "size") -> int:
    """Return a number of bytes: ``64m``, ``1.5g``, ``1048576``, ``1GB`` (units are binary)."""
    if isinstance(text, int) and not isinstance(text, bool):
        return _in_range(text, text, flag)
    match = _SIZE.fullmatch(str(text).strip())
    if not match:
        raise InvalidArgumentError(
            f"invalid {flag}: {str(text)!r}", hint="write a size as 512m, 2g or a number of bytes"
        )
    unit = _UNITS[match[2].lower()]
    number = natural(match[1])
    if number is None:
        # A fraction, or too large; a number of 309 digits is infinite as a float.
        return _in_range(int(min(float(match[1]) * unit, 2.0 * LARGEST)), text, flag)
    return _in_range(number * unit, text, flag)


def _in_range(number: int, text: object, flag: str) -> int:
    if not -LARGEST <= number <= LARGEST:
        raise InvalidArgumentError(f"invalid {flag}: {str(text)[:40]!r} is too large")
    return number


def parse_duration(text: str | int | float, flag: str = "duration") -> float:
    """Return seconds: Go's ``1h30m``, ``500ms`` or a plain number."""
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        seconds = float(text) if abs(text) <= LONGEST_SECONDS else math.inf
    elif re.fullmatch(r"[0-9]+(\.[0-9]+)?", str(text)):
        seconds = float(text)
    else:
        parts = _DURATION.findall(str(text))
        if not parts or "".join(number + unit for number, unit in parts) != str(text):
            raise InvalidArgumentError(
                f"invalid {flag}: {str(text)!r}", hint="write a duration as 30s, 1m30s or 500ms"
            )
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if not abs(seconds) <= LONGEST_SECONDS:
        raise InvalidArgumentError(
            f"invalid {flag}: {str(text)[:40]!r} is too long", hint="292 years are the longest"
        )
    return seconds


def parse_cpus(text: str | int | float) -> float:
    """Return a number of CPUs greater than 0, at most three decimals."""
    try:
        value = Decimal(str(text))
    except (InvalidOperation, ValueError) as error:
        raise FlagError(
            f"invalid cpus: {str(text)!r}", hint="write a number such as 1.5"
        ) from error
    if not value.is_finite() or not 0 <= value <= _MOST_CPUS:
        raise InvalidArgumentError(f"invalid cpus: {str(text)[:40]!r} is not a positive number")
    return float(value)


def parse_env(
    entries: Iterable[str] | Mapping[str, object], environ: Mapping[str, str]
) -> tuple[str, ...]:
    """Return ``NAME=value`` entries; a bare ``NAME`` takes ``environ``'s value.

    A name that is not in ``environ`` stays bare and removes the variable, as does the value None.
    """
    if isinstance(entries, Mapping):
        return tuple(
            str(name) if value is None else f"{name}={value}" for name, value in entries.items()
        )
    result: list[str] = []
    for entry in as_sequence(entries):
        name, equals, _ = entry.partition("=")
        if not name or "\0" in entry or not is_utf8(entry):
            raise InvalidArgumentError(
                f"invalid environment variable: {entry!r}", hint="write NAME=value"
            )
        bare = not equals and name in environ
        result.append(f"{name}={environ[name]}" if bare else entry)
    return tuple(result)


def set_variables(variables: dict[str, str], entries: Iterable[str]) -> None:
    """Set the variables of the entries in order; a bare ``NAME`` removes one."""
    for entry in entries:
        name, equals, value = entry.partition("=")
        if equals:
            variables[name] = value
        else:
            variables.pop(name, None)


def parse_labels(entries: Iterable[str] | Mapping[str, object]) -> dict[str, str]:
    """Return labels; ``name`` alone means an empty value."""
    if isinstance(entries, Mapping):
        return {str(name): str(value) for name, value in entries.items()}
    pairs = (entry.partition("=") for entry in as_sequence(entries))
    labels = {name: value for name, _, value in pairs}
    if "" in labels:
        raise InvalidArgumentError("invalid label: empty name", hint="write name=value")
    return labels


def parse_publish(text: str | int) -> tuple[PortMapping, ...]:
    """Return the mappings of one ``-p`` value: ``[ip:][host|range:]container[/tcp|udp]``.

    Docker's long form, ``published=8000,target=80,protocol=udp``, means the same.
    """
    value, _, protocol = _short_form(str(text)).partition("/")
    if protocol.lower() == "sctp":
        raise UnsupportedError(
            f"cannot publish {text!r}: SCTP ports are not translated here",
            capability="publishing SCTP ports",
            provided_by="--network host",
        )
    if protocol.lower() not in ("", "tcp", "udp"):
        raise InvalidArgumentError(f"invalid publish: {text!r}: protocol {protocol!r}", hint=_PORTS)
    if value.startswith("["):
        address, bracket, rest = value[1:].partition("]")
        if not bracket or not rest.startswith(":"):
            raise InvalidArgumentError(f"invalid publish: {text!r}", hint=_PORTS)
        parts = [address, *rest[1:].split(":")]
    else:
        parts = value.split(":")
    if len(parts) > 3:  # an IPv6 address without brackets, which Docker also accepts
        parts = [":".join(parts[:-2]), *parts[-2:]]
    container = _port_range(parts[-1], text)
    host = _port_range(parts[-2], text) if len(parts) > 1 and parts[-2] not in ("", "0") else None
    address = _address(parts[0], text) if len(parts) == 3 else ""
    kind: Protocol = "udp" if protocol.lower() == "udp" else "tcp"
    if host is None:
        return tuple(PortMapping(port, 0, address, kind) for port in container)
    if len(container) == 1 and len(host) > 1:
        return (PortMapping(container[0], host[0], address, kind, host[-1]),)
    if len(host) != len(container):
        raise InvalidArgumentError(f"invalid publish: {text!r}: ranges differ in length")
    return tuple(
        PortMapping(inner, outer, address, kind)
        for inner, outer in zip(container, host, strict=True)
    )


def _short_form(text: str) -> str:
    """Return the short form of a ``-p`` value; ``mode`` is for services and has no effect."""
    if "=" not in text:
        return text
    given = dict(item.partition("=")[::2] for item in text.split(","))
    unknown = sorted(set(given) - {"published", "target", "protocol", "mode"})
    if unknown or not given.get("target"):
        why = f"unknown key {unknown[0]!r}" if unknown else "a target is required"
        raise InvalidArgumentError(f"invalid publish: {text!r}: {why}", hint=_LONG_PORTS)
    return f"{given.get('published', '')}:{given['target']}/{given.get('protocol', 'tcp')}"


_LONG_PORTS = "write published=8000,target=80,protocol=tcp, or 8000:80"
_PORTS = "write 8000:80, 127.0.0.1:8000:80, 8000-8005:80-85, 53:53/udp or 80"


def parse_exposed(text: str | int) -> tuple[str, ...]:
    """Return the ports of an ``--expose`` value (a port or a range) as ``port/protocol``."""
    if ":" in str(text):
        raise InvalidArgumentError(
            f"invalid port to expose: {text!r}", hint="write 8000, 8000-8010 or 53/udp"
        )
    return tuple(mapping.container for mapping in parse_publish(str(text).lower()))


def _port_range(text: str, whole: object) -> range:
    first, dash, last = text.partition("-")
    low, high = natural(first) or 0, natural(last if dash else first) or 0
    if not 1 <= low <= high <= 65535:
        raise InvalidArgumentError(
            f"invalid publish: {str(whole)!r}: bad port {text!r}", hint=_PORTS
        )
    return range(low, high + 1)


def _address(text: str, whole: object) -> str:
    if not text:
        return ""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise InvalidArgumentError(
            f"invalid publish: {str(whole)!r}: {text!r} is not an IP address", hint=_PORTS
        ) from error


def check_network_name(name: str) -> str:
    """Return ``name`` when it may name a network: one character is enough, and it may have spaces.

    Raises :class:`InvalidArgumentError`.
    """
    check_name(name.replace(" ", ""), "network", shortest=1)
    return name.strip(" ")


def check_name(name: str, what: str, *, shortest: int = 2) -> str:
    """Return ``name`` if it is a valid name of a container or volume, else raise.

    Docker requires at least ``shortest`` characters: two.
    """
    if not _NAME.fullmatch(name) or not shortest <= len(name) <= 128:
        raise InvalidArgumentError(
            f"invalid {what} name: {name[:140]!r}",
            hint=f"{'one' if shortest == 1 else 'two'} or more letters, digits, '_', '.' or '-', "
            "beginning with a letter or digit",
        )
    return name


def as_sequence(value: object) -> tuple[str, ...]:
    """Return several strings for one string, an iterable of them, or None."""
    if value is None or value == ():
        return ()
    if isinstance(value, (str, int, os.PathLike)):
        return (str(value),)
    if isinstance(value, Iterable):
        return tuple(str(item) for item in value)
    raise InvalidArgumentError(f"expected a string or a list of strings, got {value!r}")


def as_command(value: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return an argument vector; a single string is split as in a shell."""
    if value is None:
        return ()
    if isinstance(value, str):
        import shlex

        if len(value) > _LONGEST_COMMAND:
            raise InvalidArgumentError("the command is too long to be split into words")
        try:
            return tuple(shlex.split(value))
        except ValueError as error:
            raise InvalidArgumentError(
                f"cannot split the command {value!r}: {str(error).lower()}", hint="close the quote"
            ) from error
    return tuple(str(item) for item in value)


def parse_signal(text: str | int) -> int:
    """Return the number of a signal: ``SIGTERM``, ``term``, ``15`` or ``RTMIN+3``."""
    import signal

    name = str(text).upper().removeprefix("SIG")
    base, plus, offset = name.partition("+")
    try:
        if name.isdigit():
            number = natural(name) or 0
        else:
            number = int(signal.Signals[f"SIG{base}"]) + (int(offset) if plus else 0)
    except (KeyError, ValueError) as error:
        raise InvalidArgumentError(
            f"invalid signal: {text!r}", hint="write TERM, KILL, INT, HUP, USR1 or a number"
        ) from error
    if not 1 <= number <= 64:
        raise InvalidArgumentError(f"invalid signal: {text!r} is not in the range 1-64")
    return number
