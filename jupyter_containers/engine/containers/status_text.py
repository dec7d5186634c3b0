"""The status of a container in the words of ``docker ps``.

The text is a pattern with a start time, so that a page can keep its age up to date without asking
the kernel.
"""

from __future__ import annotations

from jupyter_containers.engine.records import StateRecord
from jupyter_containers.engine.units import human_duration
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.state import Status

AGE = "{age}"


@dataclass(frozen=True, slots=True)
class StatusText:
    """A text, with ``{age}`` for the time since ``since`` (seconds since the epoch) if it ages."""

    pattern: str
    since: float = 0.0

    @classmethod
    def of(cls, state: StateRecord) -> StatusText:
        """Return the text for a state, without the health."""
        match state.status:
            case Status.RUNNING:
                return cls(f"Up {AGE}", state.started)
            case Status.PAUSED:
                return cls(f"Up {AGE} (Paused)", state.started)
            case Status.RESTARTING:
                return cls(f"Restarting ({state.exit_code}) {AGE} ago", state.finished)
            case Status.EXITED:
                oom = ", out of memory" if state.oom_killed else ""
                return cls(f"Exited ({state.exit_code}{oom}) {AGE} ago", state.finished)
        return cls(str(state.status).capitalize())

    def at(self, now: float) -> str:
        """Return the text at a time: ``Up 2 minutes``."""
        return self.pattern.replace(AGE, human_duration(now - self.since))
