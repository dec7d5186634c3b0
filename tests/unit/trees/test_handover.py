from __future__ import annotations

import stat

from jupyter_containers.trees.handover import Handover


def test_what_gives_rights_is_taken_away_and_counted() -> None:
    handover = Handover()
    assert handover.mode(0o6755) == 0o755
    assert handover.mode(0o1777) == 0o1777
    assert handover.xattrs({b"security.capability": b"", b"user.x": b"1"}) == {b"user.x": b"1"}
    assert handover.xattrs({"system.posix_acl_access": b""}) == {}
    assert handover.xattrs({"user.x": b"1"}) == {"user.x": b"1"}
    assert handover.leaves_out(stat.S_IFBLK)
    assert not handover.leaves_out(stat.S_IFIFO)
    assert str(handover) == (
        "left out: the set-user-ID or set-group-ID bits of 1 file, the security attributes of "
        "2 files, 1 device node; a tar archive keeps them"
    )


def test_nothing_is_said_of_harmless_files() -> None:
    handover = Handover()
    handover.mode(0o644)
    assert str(handover) == ""
