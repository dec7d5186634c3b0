from __future__ import annotations

import pytest

from jupyter_containers.runtime.mounts import mount_flags


@pytest.mark.parametrize(
    ("options", "flags", "data"),
    [
        ("", 0, ""),
        ("ro,nosuid", 3, ""),
        ("size=1m,noexec,uid=5", 8, "size=1m,uid=5"),
        ("bind,ro", 4097, ""),
        ("ro,rw", 0, ""),
    ],
)
def test_words_of_mount_become_flags_and_data(options: str, flags: int, data: str) -> None:
    assert mount_flags(options) == (flags, data)
