"""Restart policies (Docker's ``--restart``)."""

from __future__ import annotations

from typing import Any

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.options.values import natural
from jupyter_containers.options.written import Written


class RestartPolicy(Written):
    """``no``, ``always``, ``unless-stopped`` or ``on-failure[:retries]``; 0 means no limit."""

    __slots__ = ("name", "retries")
    name: str
    retries: int

    def read(self) -> dict[str, Any]:
        """Return name and retries."""
        name, colon, count = self.partition(":")
        if name not in ("no", "always", "on-failure", "unless-stopped") or (
            colon and (name != "on-failure" or natural(count) is None)
        ):
            raise InvalidArgumentError(
                f"invalid restart policy: {str(self)!r}",
                hint="one of no, on-failure[:retries], always, unless-stopped",
            )
        return {"name": name, "retries": natural(count) or 0}


NEVER = RestartPolicy("no")
