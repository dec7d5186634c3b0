from __future__ import annotations

import os
import pwd
from pathlib import Path

from jupyter_containers.engine.system.doctor import _cgroup_location


def test_containers_that_end_with_the_last_login_are_told(tmp_path: Path) -> None:
    user = pwd.getpwuid(os.getuid()).pw_name
    base = f"/user.slice/user@{os.getuid()}.service/app.slice/jupyter-containers.scope"
    assert f"loginctl enable-linger {user}" in _cgroup_location(base, tmp_path)
    (tmp_path / user).touch()
    assert _cgroup_location(base, tmp_path) == base
    service = "/system.slice/server.service"
    assert _cgroup_location(service, tmp_path) == service
    assert _cgroup_location("", tmp_path) == "/"
