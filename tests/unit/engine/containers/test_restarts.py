from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from jupyter_containers.engine.containers.restarts import (
    boot_id,
    delay_of,
    known_boot,
    remember_boot,
    restarts_at_boot,
)
from jupyter_containers.engine.records import StateRecord
from jupyter_containers.oci.state import Status
from jupyter_containers.options.restart import RestartPolicy
from tests.unit.engine.engine_records import a_record


def ended(exit_code: int = 1, seconds: float = 1.0, **changes: object) -> StateRecord:
    state = StateRecord(
        status=Status.EXITED, started=100.0, finished=100.0 + seconds, exit_code=exit_code
    )
    return msgspec.structs.replace(state, **changes)


@pytest.mark.parametrize(
    ("policy", "state", "delay"),
    [
        ("no", ended(), None),
        ("always", ended(0), 0.1),
        ("always", ended(restart_delay=0.1), 0.2),
        ("always", ended(restart_delay=51.2), 60.0),
        ("always", ended(restart_delay=60.0, seconds=10.0), 0.1),
        ("always", ended(stopped_by_user=True), None),
        ("unless-stopped", ended(0), 0.1),
        ("on-failure", ended(0), None),
        ("on-failure", ended(3), 0.1),
        ("on-failure:2", ended(3, restart_count=1, restart_delay=0.1), 0.2),
        ("on-failure:2", ended(3, restart_count=2), None),
    ],
)
def test_the_delay_is_dockers(policy: str, state: StateRecord, delay: float | None) -> None:
    assert delay_of(RestartPolicy(policy), state) == delay


@pytest.mark.parametrize(
    ("policy", "changes", "starts"),
    [
        ("no", {}, False),
        ("always", {}, True),
        ("always", {"stopped_by_user": True}, True),
        ("always", {"started": 0.0}, False),
        ("unless-stopped", {}, True),
        ("unless-stopped", {"stopped_by_user": True}, False),
        ("on-failure", {"exit_code": 255}, True),
        ("on-failure", {"exit_code": 0}, False),
    ],
)
def test_who_is_started_at_boot(policy: str, changes: dict[str, object], starts: bool) -> None:
    record = a_record(restart=policy, status=Status.EXITED)
    state = msgspec.structs.replace(record.state, **changes)
    assert restarts_at_boot(msgspec.structs.replace(record, state=state)) is starts


def test_a_store_remembers_the_boot(tmp_path: Path) -> None:
    assert known_boot(tmp_path / "boot-id") == ""
    remember_boot(tmp_path / "boot-id", boot_id())
    assert known_boot(tmp_path / "boot-id") == boot_id()
