"""The values of ``--security-opt``."""

from __future__ import annotations

from typing import Any

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.options.written import Written


class SecurityOption(Written):
    """``name=argument``, or the older ``name:argument``."""

    __slots__ = ("argument", "name")
    name: str
    argument: str

    def read(self) -> dict[str, Any]:
        """Return name and argument."""
        name, _, argument = self.partition("=" if "=" in self else ":")
        known = {
            "no-new-privileges": argument in ("", "true", "false"),
            "seccomp": argument,
            "apparmor": argument,
            "label": argument,
            "systempaths": argument == "unconfined",
        }
        if not known.get(name):
            raise InvalidArgumentError(
                f"invalid security-opt: {str(self)!r}",
                hint="no-new-privileges, seccomp=unconfined or =FILE, apparmor=PROFILE, "
                "label=disable, systempaths=unconfined",
            )
        return {"name": name, "argument": argument}
