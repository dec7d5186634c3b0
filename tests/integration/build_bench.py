"""A build context with an engine, shared by the tests of builds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_containers.engine import Engine, Image
from jupyter_containers.events import Event, TaskFinished, TaskOutput


@dataclass
class Bench:
    """A build context with an engine, and the events of the last build."""

    engine: Engine
    context: Path
    events: list[Event] = field(default_factory=list)

    def write(self, name: str, data: str | bytes = "") -> Path:
        path = self.context / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def build(self, dockerfile: str, **flags: Any) -> Image:
        self.events.clear()
        return self.engine.build(
            self.context, dockerfile=dockerfile, emit=self.events.append, **flags
        )

    def run(self, image: Image, script: str, **flags: Any) -> str:
        flags.setdefault("network", "none")
        result = self.engine.run(image, ["sh", "-ec", script], rm=True, **flags)
        return result.stdout.decode()

    @property
    def output(self) -> str:
        return b"".join(e.data for e in self.events if isinstance(e, TaskOutput)).decode()

    @property
    def steps(self) -> list[tuple[str, str]]:
        """Outcome and detail of each step, FROM included."""
        return [(e.outcome, e.detail) for e in self.events if isinstance(e, TaskFinished)]
