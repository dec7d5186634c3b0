from __future__ import annotations

import pytest

from jupyter_containers.engine.containers.status_text import StatusText
from jupyter_containers.engine.records import StateRecord
from jupyter_containers.oci.state import Status

NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (StateRecord(), "Created"),
        (StateRecord(Status.RUNNING, started=NOW - 90), "Up About a minute"),
        (StateRecord(Status.PAUSED, started=NOW - 7), "Up 7 seconds (Paused)"),
        (
            StateRecord(Status.RESTARTING, finished=NOW - 1, exit_code=1),
            "Restarting (1) 1 second ago",
        ),
        (
            StateRecord(Status.EXITED, finished=NOW - 7200, exit_code=137, oom_killed=True),
            "Exited (137, out of memory) 2 hours ago",
        ),
    ],
)
def test_a_state_has_the_words_of_ps(state: StateRecord, text: str) -> None:
    assert StatusText.of(state).at(NOW) == text
