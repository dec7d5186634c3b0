"""The options of a volume's driver (``volume create -d local -o type=tmpfs -o device=tmpfs``)."""

from __future__ import annotations

from typing import Any

from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.options.values import as_sequence

_KNOWN = ("type", "device", "o", "size")


def parse_driver_options(values: Any) -> dict[str, str]:
    """Return the options of the ``local`` driver by name.

    They are those of mount(8): ``type``, ``device`` and ``o`` (comma separated).  Raises
    :class:`InvalidArgumentError` for another one, or for a type without a device.
    """
    items = values.items() if isinstance(values, dict) else None
    pairs = items or [(name, text) for name, _, text in (v.partition("=") for v in _texts(values))]
    options = {str(name): str(value) for name, value in pairs}
    for name in options:
        if name not in _KNOWN:
            raise InvalidArgumentError(
                f"invalid volume option: {name!r}", hint=f"one of {', '.join(_KNOWN)}"
            )
    if "size" in options:
        raise UnsupportedError(
            "a volume's size cannot be limited by the local driver here",
            capability="quotas of the file system",
            hint="limit one in memory: -o type=tmpfs -o device=tmpfs -o o=size=100m",
        )
    for name, needed in (("type", "device"), ("device", "type")):
        if options.get(name) and not options.get(needed):
            raise InvalidArgumentError(f"missing required volume option: {needed!r}")
    return options


def check_driver(name: str | None) -> None:
    """Raise :class:`UnsupportedError` for a driver other than ``local``."""
    if name not in (None, "", "local"):
        raise UnsupportedError(
            f"the volume driver {name!r} is not known here",
            capability=f"volume driver {name}",
            hint="the driver local mounts NFS and others: -o type=nfs -o device=:/path -o o=addr=…",
        )


def _texts(values: Any) -> tuple[str, ...]:
    return as_sequence(values)
