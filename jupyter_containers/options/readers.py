"""Parsers of option values: from the user's text to the value in a record.

A declaration (:mod:`.flags`) names its parser.  Every parser raises
:class:`InvalidArgumentError`, which names the option.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from jupyter_containers.errors import FlagError, InvalidArgumentError
from jupyter_containers.oci.image import clean_path
from jupyter_containers.options import limits
from jupyter_containers.options.flag import Flag, Reading
from jupyter_containers.options.logs import LogOptions
from jupyter_containers.options.mounts import VolumesFrom
from jupyter_containers.options.names import AddedHost, parse_resolver_words, parse_servers
from jupyter_containers.options.restart import RestartPolicy
from jupyter_containers.options.security import SecurityOption
from jupyter_containers.options.ulimits import Ulimit
from jupyter_containers.options.values import (
    PortMapping,
    as_sequence,
    parse_cpus,
    parse_exposed,
    parse_publish,
    parse_signal,
    parse_size,
)
from jupyter_containers.options.written import Written

Reader = Callable[[Any, str], Any]
"""Takes the given value and the option's name; returns the value of the field."""


def read(flag: Flag, value: Any) -> Any:
    """Return the value of an option for its field."""
    if not flag.by_client:
        return READERS[flag.reads](value, flag.name)
    with client_checks():
        return READERS[flag.reads](value, flag.name)


@contextmanager
def client_checks() -> Iterator[None]:
    """Raise :class:`FlagError` for a value that Docker's client refuses."""
    try:
        yield
    except InvalidArgumentError as error:
        raise FlagError(error.message, hint=error.hint) from error


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, set)) else value


def _ports(value: Any) -> tuple[PortMapping, ...]:
    items = (value,) if isinstance(value, (str, int, PortMapping)) else tuple(value)
    result: list[PortMapping] = []
    for item in items:
        result.extend((item,) if isinstance(item, PortMapping) else parse_publish(item))
    return tuple(result)


def _exposed(value: Any) -> tuple[str, ...]:
    return tuple(port for item in as_sequence(value) for port in parse_exposed(item))


def _signed_size(value: Any, name: str) -> int:
    return -1 if str(value) == "-1" else parse_size(value, name)


def _arguments(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _streams(value: Any) -> tuple[str, ...]:
    names = tuple(str(item).lower() for item in as_sequence(value))
    for stream in names:
        if stream not in ("stdin", "stdout", "stderr"):
            raise InvalidArgumentError(
                f"invalid stream {stream!r} to attach to", hint="stdin, stdout or stderr"
            )
    return names


def _signal(value: Any) -> str:
    if value:
        parse_signal(value)
    return str(value)


def _log_options(value: Any, name: str) -> LogOptions:
    return LogOptions(limits.parse_pairs(value, name))


def _written(kind: type[Written]) -> Reader:
    """Return a parser of one string or several to values of a class."""
    return _alone(lambda value: tuple(kind(text) for text in as_sequence(value)))


def _each(parse: Callable[[str, str], Any]) -> Reader:
    """Return a parser of one string or several; other objects are values already."""

    def reader(value: Any, name: str) -> tuple[Any, ...]:
        items = (value,) if isinstance(value, str) else value
        return tuple(parse(item, name) if isinstance(item, str) else item for item in items)

    return reader


def _alone(parse: Callable[[Any], Any]) -> Reader:
    """Return a parser that ignores the option's name."""
    return lambda value, _: parse(value)


READERS: Mapping[Reading, Reader] = {
    "": _alone(_plain),
    "argument vector": _alone(_arguments),
    "byte rates": _each(lambda text, name: limits.parse_rate(text, name, in_bytes=True)),
    "cpus": _alone(parse_cpus),
    "cpuset": limits.parse_cpuset,
    "addresses": _alone(parse_servers),
    "device rules": _each(_alone(limits.parse_device_rule)),
    "devices": _each(_alone(limits.parse_device)),
    "folder": _alone(lambda value: clean_path(value) if value else ""),
    "hosts": _written(AddedHost),
    "log options": _log_options,
    "microseconds": limits.microseconds,
    "pairs": limits.parse_pairs,
    "ports": _alone(_ports),
    "ports to expose": _alone(_exposed),
    "rates": _each(lambda text, name: limits.parse_rate(text, name, in_bytes=False)),
    "resolver words": _alone(parse_resolver_words),
    "restart policy": _alone(RestartPolicy),
    "security options": _written(SecurityOption),
    "signal": _alone(_signal),
    "size": parse_size,
    "size or -1": _signed_size,
    "streams": _alone(_streams),
    "text": _alone(str),
    "ulimits": _written(Ulimit),
    "volumes from": _written(VolumesFrom),
    "weight": _alone(limits.check_weight),
    "weights": _each(_alone(limits.parse_weight)),
    "whole number": limits.whole,
    "words": _alone(as_sequence),
}
