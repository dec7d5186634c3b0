"""Limits of processes (Docker's ``--ulimit``, setrlimit(2))."""

from __future__ import annotations

from typing import Any

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.options.limits import whole
from jupyter_containers.options.written import Written

_NAMES = (
    "RLIMIT_AS RLIMIT_CORE RLIMIT_CPU RLIMIT_DATA RLIMIT_FSIZE RLIMIT_MEMLOCK "
    "RLIMIT_MSGQUEUE RLIMIT_NICE RLIMIT_NOFILE RLIMIT_NPROC RLIMIT_RSS RLIMIT_RTPRIO "
    "RLIMIT_RTTIME RLIMIT_SIGPENDING RLIMIT_STACK RLIMIT_LOCKS"
)
_ULIMITS = {name.removeprefix("RLIMIT_").lower(): name for name in _NAMES.split()}


class Ulimit(Written):
    """``name=soft[:hard]``; -1 is unlimited."""

    __slots__ = ("hard", "name", "soft")
    name: str
    soft: int
    hard: int

    @property
    def resource(self) -> str:
        """The kernel's name: ``RLIMIT_NOFILE``."""
        return _ULIMITS[self.name]

    def read(self) -> dict[str, Any]:
        """Return name, soft and hard limit."""
        name, _, value = self.partition("=")
        soft_text, colon, hard_text = value.partition(":")
        try:
            soft = whole(soft_text, "ulimit")
            hard = whole(hard_text, "ulimit") if colon else soft
        except InvalidArgumentError:
            name = ""
            soft = hard = 0
        if name not in _ULIMITS or soft < -1 or hard < -1:
            raise InvalidArgumentError(
                f"invalid ulimit: {str(self)!r}",
                hint=f"write nofile=1024:2048; names are {', '.join(sorted(_ULIMITS))}",
            )
        if hard != -1 and (soft > hard or soft == -1):
            raise InvalidArgumentError(
                f"invalid ulimit: {str(self)!r}: soft limit is above hard limit"
            )
        return {"name": name, "soft": soft, "hard": hard}
