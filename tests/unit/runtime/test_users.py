from __future__ import annotations

import pytest

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.runtime.users import resolve_user

PASSWD = """root:x:0:0:root:/root:/bin/sh
ann:x:1000:1000::/home/ann:/bin/sh
bob:x:1001:100::/home/bob:/bin/sh
# comment
broken line
evil:x:99999999999:0::/:/bin/sh
"""
GROUP = "root:x:0:\nusers:x:100:\ndata:x:2000:ann,bob\ndocker:x:2001:ann\nhuge:x:99999999999:ann\n"


@pytest.mark.parametrize(
    ("text", "uid", "gid", "additional", "home"),
    [
        ("", 0, 0, (), "/root"),
        ("ann", 1000, 1000, (2000, 2001), "/home/ann"),
        ("1000", 1000, 1000, (2000, 2001), "/home/ann"),
        ("ann:data", 1000, 2000, (), "/home/ann"),
        ("bob:7", 1001, 7, (), "/home/bob"),
        ("4242", 4242, 0, (), "/"),
        ("4242:users", 4242, 100, (), "/"),
        (":data", 0, 2000, (), "/root"),
    ],
)
def test_users(text: str, uid: int, gid: int, additional: tuple[int, ...], home: str) -> None:
    user = resolve_user(text, PASSWD, GROUP)
    assert (user.uid, user.gid, user.additional_gids, user.home) == (uid, gid, additional, home)


def test_without_files() -> None:
    assert resolve_user("").home == "/root"
    assert resolve_user("12:34").gid == 34


def test_added_groups_and_the_primary_one() -> None:
    user = resolve_user("ann", PASSWD, GROUP, ["users", "55", "data"])
    assert user.additional_gids == (2000, 2001, 100, 55)
    assert user.spec()["additionalGids"] == [1000, 2000, 2001, 100, 55]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nobody", "unable to find user nobody: no matching entries in passwd file"),
        ("ann:none", "unable to find group none"),
        ("4294967295", "not in the range"),
        ("1:2147483648", "not in the range"),
        ("evil", "unable to find user evil"),
    ],
)
def test_unknown(text: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        resolve_user(text, PASSWD, GROUP)
