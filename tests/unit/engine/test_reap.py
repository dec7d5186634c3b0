from __future__ import annotations

import json
import sys
from types import SimpleNamespace

from jupyter_containers.engine.reap import exit_command
from jupyter_containers.settings import load_settings


def test_all_settings_travel_in_the_command() -> None:
    settings = load_settings(
        {}, {"root": "/store", "run_root": "/run/store", "runtime": "/opt/crun", "pids_limit": 7}
    )
    rooms = SimpleNamespace(settings=settings, bridge_name="jc12345678")
    command = exit_command(rooms, "cafe")  # type: ignore[arg-type]  # what it needs of the rooms
    assert command[0] == sys.executable
    values = json.loads(command[-2])
    again = load_settings({}, values)
    assert command[-1] == "cafe"
    assert again.bridge_name == "jc12345678"
    assert (again.root, again.run_root) == (settings.root, settings.run_root)
    assert (again.runtime, again.pids_limit) == ("/opt/crun", 7)
    assert again.trust_host_ca == settings.trust_host_ca
    assert all("\0" not in word and "\n" not in word for word in command)
