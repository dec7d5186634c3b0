"""Pinned and nested mounts of an ordinary user: the same walls, in the user's own namespaces."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.account import KINDS, NEEDS, USER, Account, opened
from tests.racing import swapping

pytestmark = NEEDS
ROUNDS = 6


@pytest.fixture(scope="module", params=KINDS)
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    with opened(request.param) as account:
        account.container("bootstrap busybox")
        yield account


@pytest.fixture
def shared(account: Account, request: pytest.FixtureRequest) -> Path:
    """Return a folder of the user, in which ``sub`` is to be bound and ``link`` leads outside."""
    folder = account.home / f"work-{abs(hash(request.node.name)) % 10000}"
    (folder / "shared/sub").mkdir(parents=True)
    (folder / "shared/sub/mine").write_text("mine\n")
    (folder / "outside").mkdir()
    (folder / "outside/secret").write_text("secret of the user\n")
    (folder / "shared/link").symlink_to(folder / "outside")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, USER.pw_uid, USER.pw_gid, follow_symlinks=False)
    return folder / "shared"


def attempt(account: Account, line: str) -> tuple[int, str]:
    done = account.run(account.command(line))
    return done.returncode, (done.stdout + done.stderr).decode()


def test_a_swapped_source_is_refused_at_the_restart(account: Account, shared: Path) -> None:
    """Seen to fail at 39323e0: the second start listed the folder that the link leads to."""
    line = f"run --name pinned --network none -v {shared}/sub:/x busybox ls /x"
    assert account.container(line) == "mine\n"
    (shared / "sub").rename(shared / "away")
    (shared / "link").rename(shared / "sub")
    code, text = attempt(account, "start -a pinned")
    assert (code != 0, "symbolic link" in text, "secret" in text) == (True, True, False)
    assert account.container("rm pinned") == "pinned\n"


def test_an_exchanged_source_is_never_the_other(account: Account, shared: Path) -> None:
    """Seen to fail at 39323e0: the other folder was listed by about every second start."""
    account.container(f"create --name raced --network none -v {shared}/sub:/x busybox ls /x")
    with swapping(shared / "sub", shared / "link"):
        texts = [attempt(account, "start -a raced")[1] for _ in range(ROUNDS)]
    account.container("rm raced")
    assert not [text for text in texts if "secret" in text.split()]


def test_mounts_inside_mounts_of_a_user(account: Account, shared: Path) -> None:
    script = "cat /s/sub/mine /s/v/f; touch /s/sub/new || echo locked; touch /s/in/t/x; ls /s/in/t"
    account.container("run --rm --network none -v inner:/v busybox sh -c 'echo kept >/v/f'")
    text = account.container(
        f"run --rm --network none -v {shared}:/s -v {shared}/sub:/s/sub:ro -v inner:/s/v "
        f"--tmpfs /s/in/t busybox sh -c {shlex.quote(script + ' 2>/dev/null')}"
    )
    assert text.split() == ["mine", "kept", "locked", "x"]
    assert sorted(os.listdir(shared)) == ["in", "link", "sub", "v"]
    account.container("volume rm inner")


def test_a_volume_of_a_user_is_filled(account: Account, shared: Path) -> None:
    dockerfile = (
        "FROM busybox\nRUN mkdir -p /d/a && echo x >/d/a/f && chmod 4755 /d/a/f && ln /d/a/f /d/g "
        "&& ln -s /nowhere /d/l && chown 0:0 /d/a\n"
    )
    account.run([*account.command("build -q -t filler -")], stdin=dockerfile.encode())
    script = "cat /d/a/f; stat -c '%a %h' /d/g; readlink /d/l"
    text = account.container(f"run --rm --network none -v full:/d filler sh -c {script!r}")
    assert text.split("\n") == ["x", "4755 2", "/nowhere", ""]
    account.container("volume rm full")
