"""The health check in a container's options (Docker's ``--health-*`` flags)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.options.limits import whole
from jupyter_containers.options.values import parse_duration

_TIMES = ("interval", "timeout", "start_period", "start_interval")


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthOptions:
    """Overrides of the image's HEALTHCHECK; times in seconds; 0 and empty keep the image's value.

    ``disabled`` is ``--no-healthcheck``.
    """

    command: str = ""
    interval: float = 0.0
    timeout: float = 0.0
    start_period: float = 0.0
    start_interval: float = 0.0
    retries: int = 0
    disabled: bool = False


def parse_health(flags: Mapping[str, Any]) -> HealthOptions | None:
    """Return the value of the :class:`~.groupflags.HealthFlags`, or None if none is given.

    Raises :class:`InvalidArgumentError` as Docker does: a time below 1 ms, retries below 0, or
    ``no_healthcheck`` together with another flag.
    """
    given = {name: value for name, value in flags.items() if value not in (None, "", False)}
    if not given:
        return None
    if "no_healthcheck" in given:
        if len(given) > 1:
            raise InvalidArgumentError("no-healthcheck conflicts with the health-* options")
        return HealthOptions(disabled=True)
    retries = whole(given.get("health_retries", 0), "health-retries")
    if retries < 0:
        raise InvalidArgumentError("invalid health-retries: it is below 0")
    command = given.get("health_cmd", "")
    text = command if isinstance(command, str) else _quoted(command)
    interval, timeout, start_period, start_interval = (_time(given, name) for name in _TIMES)
    return HealthOptions(
        command=text,
        interval=interval,
        timeout=timeout,
        start_period=start_period,
        start_interval=start_interval,
        retries=retries,
    )


def _time(given: Mapping[str, Any], name: str) -> float:
    flag = f"health-{name.replace('_', '-')}"
    seconds = parse_duration(given.get(f"health_{name}", 0), flag)
    if seconds and seconds < 0.001:
        raise InvalidArgumentError(f"invalid {flag}: it is below 1ms")
    return seconds


def _quoted(words: Any) -> str:
    import shlex

    return shlex.join(str(word) for word in words)
