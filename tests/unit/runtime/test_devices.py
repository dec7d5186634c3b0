from __future__ import annotations

import os
from pathlib import Path

from jupyter_containers.runtime.devices import host_devices


def test_the_hosts_standard_nodes_are_found() -> None:
    found = {device.path: device for device in host_devices()}
    null = os.stat("/dev/null")
    assert (found["/dev/null"].major, found["/dev/null"].minor) == (1, 3)
    assert found["/dev/null"].kind == "c"
    assert found["/dev/null"].mode == null.st_mode & 0o7777
    assert not [path for path in found if path.startswith(("/dev/pts/", "/dev/shm/"))]


def test_files_links_and_missing_folders_are_no_devices(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("/dev/null")
    assert host_devices(str(tmp_path)) == ()
    assert host_devices(str(tmp_path / "missing")) == ()
