"""What a service remembers between requests, and forgets at its end.

Commands that were created and not started yet (*execs*), and those who attached to a container
before its start.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass(slots=True)
class ServiceState:
    """The memory of one service; its parts lock themselves."""

    stopping: threading.Event = field(default_factory=threading.Event)
