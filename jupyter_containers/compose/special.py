"""Shapes of particular fields: limits, modes, host names, port numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyter_containers.compose import quantities
from jupyter_containers.compose.problems import ModelError, Path, dotted
from jupyter_containers.compose.shapes import (
    LEFT_OUT,
    Integer,
    Object,
    Pairs,
    Scalars,
    Shape,
    Text,
    Words,
    kind_of,
    pairs,
    single,
)


class External(Shape):
    """True for an object that exists already; the old form is a mapping with its name."""

    types = ("boolean", "string", "object")

    def shaped(self, value: Any, path: Path) -> Any:
        """Return the typed value, or :data:`LEFT_OUT`."""
        if isinstance(value, Mapping):
            return True
        found = value if isinstance(value, bool) else quantities.boolean(str(value))
        if found is None:
            raise ModelError(
                path, f"{dotted(path)}: invalid boolean {value!r}", hint="true or false"
            )
        return found or LEFT_OUT


class FileMode(Shape):
    """Permission bits: octal in a string; a number has YAML's value."""

    types = ("number", "string")

    def __init__(self, *, octal: bool = True) -> None:
        self._octal = octal

    def shaped(self, value: Any, path: Path) -> Any:
        """Return the typed value, or :data:`LEFT_OUT`."""
        try:
            number = int(value, 8) if isinstance(value, str) else int(value)
        except ValueError:
            raise ModelError(path, f"{dotted(path)}: {value!r} is no octal mode") from None
        if self._octal:
            return f"0{number:o}"
        return number or LEFT_OUT


class Limit(Shape):
    """A number of CPUs, possibly with a fraction."""

    types = ("number", "string")

    def shaped(self, value: Any, path: Path) -> Any:
        """Return the typed value, or :data:`LEFT_OUT`."""
        number = quantities.decimal(value) if isinstance(value, str) else float(value)
        if number is None:
            raise ModelError(path, f"{dotted(path)}: {value!r} is not a number")
        return (int(number) if number == int(number) else single(number)) or LEFT_OUT


class Count(Shape):
    """A number of devices; ``all`` is -1."""

    types = ("string", "integer")

    def shaped(self, value: Any, path: Path) -> Any:
        """Return the typed value, or :data:`LEFT_OUT`."""
        if value == "all":
            return -1
        return Integer().shaped(value, path)


class Ulimit(Object):
    """A single limit, or a soft and a hard one."""

    def __init__(self) -> None:
        pair = {"soft": Integer(), "hard": Integer()}
        super().__init__(pair, required=("soft", "hard"), short=Integer())

    def shaped(self, value: Any, path: Path) -> Any:
        """Return the typed value, or :data:`LEFT_OUT`."""
        if isinstance(value, Mapping):
            return super().shaped(value, path)
        found = Integer().shaped(value, path)
        return {} if found is LEFT_OUT else found


class ExtraHosts(Shape):
    """Host names with their addresses, as a mapping or a list; formatted as ``NAME=ADDRESS``."""

    types = ("object", "array")

    def check(self, value: Any, path: Path) -> None:
        """Raise if the value is not allowed here."""
        super().check(value, path)
        if isinstance(value, list):
            Words(unique=True).check(value, path)
            return
        for key, item in value.items():
            if isinstance(item, list):
                Words().check(item, (*path, key))
            else:
                Text().check(item, (*path, key))

    def shaped(self, value: Any, path: Path) -> Any:
        """Return the typed value, or :data:`LEFT_OUT`."""
        found: dict[str, list[str]] = {}
        entries = (
            [(None, item) for item in value]
            if isinstance(value, list)
            else [
                (name, one)
                for name, item in value.items()
                for one in (item if isinstance(item, list) else [item])
            ]
        )
        for index, (name, text) in enumerate(entries):
            host, address = (name, text) if name is not None else _host(text, (*path, index))
            if address.startswith("[") and address.endswith("]"):
                address = address[1:-1]
            found.setdefault(host, []).append(address)
        return [f"{host}={one}" for host in sorted(found) for one in found[host]] or LEFT_OUT


def _host(text: str, path: Path) -> tuple[str, str]:
    for separator in ("=", ":"):
        host, found, address = text.partition(separator)
        if found:
            return host.strip(), address.strip()
    raise ModelError(
        path,
        f"{dotted(path[:-1])}: invalid additional host, missing IP: {text}",
        hint="NAME:ADDRESS",
    )


class Expose(Words):
    """Ports, as numbers or strings."""

    def __init__(self) -> None:
        super().__init__(numbers=True, unique=True)


class NotShown(Scalars):
    """Scalars by name that are checked but have no effect, as in Docker Compose."""

    def shaped(self, value: Any, path: Path) -> Any:
        """Return the typed value, or :data:`LEFT_OUT`."""
        del value, path
        return LEFT_OUT


class Ssh(Pairs):
    """SSH agents and keys of a build, formatted as ``default`` or ``NAME=PATH``."""

    def shaped(self, value: Any, path: Path) -> Any:
        """Return the list of agents and keys."""
        del path
        found = pairs(value, null=True)
        return [f"{name}={key}" if key else name for name, key in found.items()] or LEFT_OUT


class ProviderOptions(Shape):
    """Options of a provider: scalars, or lists of scalars."""

    types = ("object",)

    def check(self, value: Any, path: Path) -> None:
        """Raise if the value is not allowed here."""
        super().check(value, path)
        for key, item in value.items():
            for one in item if isinstance(item, list) else [item]:
                if kind_of(one) in ("object", "array", "null", "date"):
                    raise ModelError(
                        (*path, key), f"{dotted((*path, key))} must be a string, number or boolean"
                    )

    def shaped(self, value: Any, path: Path) -> Any:
        """Return the typed value, or :data:`LEFT_OUT`."""
        del path
        return {
            key: [quantities.text_of(one) for one in (item if isinstance(item, list) else [item])]
            for key, item in sorted(value.items())
        } or LEFT_OUT
