from __future__ import annotations

import subprocess
from pathlib import Path

from jupyter_containers.engine.images.bootstrap import (
    busybox_root,
    failure,
    keyrings,
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


def test_where_apt_does_not_know_debians_keys_they_are_named(tmp_path: Path) -> None:
    assert keyrings(tmp_path) == []  # there are none to name
    keys = tmp_path / "usr/share/keyrings/debian-archive-keyring.gpg"
    keys.parent.mkdir(parents=True)
    keys.touch()
    assert keyrings(tmp_path) == [f"--keyring={keys}"]
    trusted = tmp_path / "etc/apt/trusted.gpg.d"
    trusted.mkdir(parents=True)
    (trusted / "ubuntu-keyring-2018-archive.gpg").touch()
    assert keyrings(tmp_path) == [f"--keyring={trusted}", f"--keyring={keys}"]
    (trusted / "debian-archive-bookworm-stable.gpg").touch()
    assert keyrings(tmp_path) == []


def test_the_reason_of_a_failure_is_told_and_not_only_that_there_was_one() -> None:
    unsigned = ["Err:1 x", "W: GPG error: x: NO_PUBKEY 6ED0E7B82643E131", "E: mmdebstrap failed"]
    assert "apt-get install debian-archive-keyring" in failure("mmdebstrap", 25, unsigned).hint
    told = failure("mmdebstrap", 25, ["Get:1", "E: Unable to locate package x", "E: it failed"])
    assert str(told) == "mmdebstrap failed with exit code 25: Unable to locate package x"
    assert str(failure("tool", 1, ["one", "two"])) == "tool failed with exit code 1: two"
    assert str(failure("tool", 1, [])) == "tool failed with exit code 1: "
