"""The values that a session is started from: image, language, limits and flags."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jupyter_containers.engine.sessions.outputs import MOST_OUTPUT_BYTES
from jupyter_containers.engine.sessions.sandbox import contained


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is needed to start a session, and another one like it.

    ``flags`` are those of ``run``.  ``allow`` are the hosts that an allow list permits, None
    without one; ``closed`` is true for sandboxes.
    """

    image: str
    language: str = "python"
    timeout: float | None = None
    output_bytes: int = MOST_OUTPUT_BYTES
    flags: Mapping[str, Any] = field(default_factory=dict)
    closed: bool = False
    allow: tuple[str, ...] | None = None

    @property
    def change(self) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
        """The function that every MIME bundle passes through."""
        return contained if self.closed else dict

    def on(self, image: str, name: str | None = None) -> Recipe:
        """Return the recipe of the same session on another image, under a new name."""
        flags = {key: value for key, value in self.flags.items() if key != "name"}
        return replace(self, image=image, flags=flags | ({"name": name} if name else {}))
