from __future__ import annotations

import subprocess
from pathlib import Path

from jupyter_containers.engine.bootstrap import (
    busybox_root,
    python_dockerfile,
    release_date,
)


def test_the_dockerfile_of_python_is_one() -> None:
    from jupyter_containers.build.interpret import typed
    from jupyter_containers.build.parser import parse

    words = [item.keyword for item in typed(parse(python_dockerfile("debian:x", "3.11")))]
    assert words == ["FROM", "ENV", "RUN", "CMD"]


def test_a_busybox_root(tmp_path: Path) -> None:
    program = tmp_path / "busybox"
    program.write_text("#!/bin/sh\necho busybox; echo ls; echo sh\n")
    program.chmod(0o755)
    subprocess.run(["touch", "-d", "@1700000000", program], check=True)
    root = tmp_path / "root"
    root.mkdir()
    assert busybox_root(root, program) == 1700000000
    assert sorted(path.name for path in (root / "bin").iterdir()) == ["busybox", "ls", "sh"]
    assert (root / "bin/ls").readlink() == Path("busybox")
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert (root / "etc/passwd").read_text().startswith("root:x:0:0:")


def test_the_date_is_that_of_the_newest_release_file(tmp_path: Path) -> None:
    lists = tmp_path / "var/lib/apt/lists"
    lists.mkdir(parents=True)
    (lists / "a_InRelease").write_text("Suite: x\nDate: Sat, 01 Jan 2022 00:00:00 UTC\n")
    (lists / "b_Release").write_text("Date: Sun, 01 Jan 2023 00:00:00 UTC\n")
    assert release_date(tmp_path) == 1672531200
