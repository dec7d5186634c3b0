from __future__ import annotations

import json
import sys
from pathlib import Path

from jupyter_containers.engine.containers.exit_command import exit_command
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.settings import load_settings


def test_all_settings_travel_in_the_command(tmp_path: Path) -> None:
    given = {"root": str(tmp_path), "run_root": "/run/store", "runtime": "/opt/crun"}
    settings = load_settings({}, {**given, "pids_limit": 7})
    context = EngineContext(settings)
    command = exit_command(context, "cafe")
    context.close()
    assert command[0] == sys.executable
    values = json.loads(command[-2])
    again = load_settings({}, values)
    assert command[-1] == "cafe"
    assert again.bridge_name == context.bridge_name
    assert (again.root, again.run_root) == (settings.root, settings.run_root)
    assert (again.runtime, again.pids_limit) == ("/opt/crun", 7)
    assert again.trust_host_ca == settings.trust_host_ca
    assert all("\0" not in word and "\n" not in word for word in command)
