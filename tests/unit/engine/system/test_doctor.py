from __future__ import annotations

import os
import pwd
from pathlib import Path

from jupyter_containers.engine.system.doctor import _delegated


def test_containers_that_end_with_the_last_login_are_told(tmp_path: Path) -> None:
    user = pwd.getpwuid(os.getuid()).pw_name
    base = f"/user.slice/user@{os.getuid()}.service/app.slice/jupyter-containers.scope"
    assert f"loginctl enable-linger {user}" in _delegated(base, tmp_path)
    (tmp_path / user).touch()
    assert _delegated(base, tmp_path) == base
    assert _delegated("/system.slice/server.service", tmp_path) == "/system.slice/server.service"
    assert _delegated("", tmp_path) == "/"
