"""The isolation of a user's containers: the escape attempts for root's, and special ones.

For each rung without root (docs/security.md): subordinate ids, one id.
"""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from tests.integration.account import KINDS, NEEDS, USER, Account, opened
from tests.integration.test_isolation import CALLS, REFUSED

pytestmark = NEEDS
RUN = "run --rm --network none"


@pytest.fixture(scope="module", params=KINDS)
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    with opened(request.param) as account:
        account.container("bootstrap busybox")
        yield account


def tried(account: Account, line: str, script: str) -> str:
    """Return all that a shell script in a container says."""
    done = account.run(account.command(f"{line} -i busybox sh"), stdin=script.encode())
    return (done.stdout + done.stderr).decode()


def test_what_the_wall_refuses(account: Account) -> None:
    attempts = "".join(f"echo '@{n}'; ({script}) 2>&1;" for n, (script, _) in enumerate(REFUSED))
    _, *parts = re.split(r"@(\d+)\n", tried(account, RUN, f"mkdir -p /mnt; {attempts}"))
    answers = dict(zip(map(int, parts[::2]), parts[1::2], strict=True))
    assert len(answers) == len(REFUSED)
    wrong = {
        script: answers[number]
        for number, (script, refusal) in enumerate(REFUSED)
        if refusal not in answers[number] and "not found" not in answers[number]
    }
    assert wrong == {}


def test_dangerous_calls_fail_in_the_filter(
    account: Account, engine: Engine, python: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("the numbers of the calls are x86_64's")
    archive = account.home / "python.tar"
    engine.images.save([python], archive)
    archive.chmod(0o644)
    account.container(f"load -q -i {archive}")
    archive.unlink()
    done = account.run(account.command(f"{RUN} -i {python} python3 -"), stdin=CALLS.encode())
    answers = dict(line.split() for line in done.stdout.decode().splitlines())
    assert len(answers) == 20, done.stderr
    allowed = {"Operation_not_permitted", "Function_not_implemented"}
    assert {name: text for name, text in answers.items() if text not in allowed} == {}


def test_root_inside_has_no_more_than_the_user(account: Account) -> None:
    """The files of the machine, its processes, its network: as for the user, which is little."""
    text = tried(account, f"{RUN} -v /etc:/h", "cat /h/shadow; echo x > /h/jc-escape; id -u")
    assert text.count("ermission denied") == 2
    assert "\n0\n" in f"\n{text}"
    assert not Path("/etc/jc-escape").exists()
    text = tried(
        account, f"{RUN} --pid host", "cat /proc/1/environ; kill -9 1; ls /proc/1/root; ls /proc/1"
    )
    assert text.count("ermission denied") == 2
    assert "can't kill pid 1: Operation not permitted" in text
    assert "cmdline" in text  # it was requested, and is visible
    text = tried(
        account, "run --rm --network host", "ip link add x type dummy; ip link set lo down"
    )
    assert text.count("not permitted") == 2


def test_privileged_is_privileged_among_the_users_own_only(account: Account) -> None:
    script = (
        "mkdir /m; mount -t tmpfs none /m && echo mounted; mknod /d b 8 0;"
        "echo x > /proc/sys/kernel/hostname; echo 1 > /proc/sys/vm/drop_caches"
    )
    text = tried(account, f"{RUN} --privileged", script)
    assert "mounted" in text  # in its own namespace
    assert "mknod: /d: Operation not permitted" in text
    for name in ("kernel/hostname", "vm/drop_caches"):
        assert f"can't create /proc/sys/{name}: Permission denied" in text


def test_a_program_for_root_is_one_for_the_user_outside(account: Account) -> None:
    """A setuid file left behind by a container gives no user more rights than its creator has."""
    left = account.home / "left"
    left.mkdir(mode=0o777, exist_ok=True)
    left.chmod(0o777)
    tried(account, f"{RUN} -v {left}:/v", "cp /bin/busybox /v/su; chmod 4755 /v/su")
    state = (left / "su").stat()
    assert state.st_mode & stat.S_ISUID
    assert state.st_uid == USER.pw_uid


def test_users_inside(account: Account) -> None:
    """Subordinate IDs have no rights outside; with a single ID there are no others."""
    if not account.subordinate:
        done = account.run(account.command(f"{RUN} -u 9 busybox id"))
        assert done.returncode == 125
        assert b"user 9:0 does not exist here: you have 1 id" in done.stderr
        assert b"--user 0" in done.stderr
        return
    account.container("run -d --name other --network none -u 9:9 busybox sleep 100")
    try:
        pid = json.loads(account.container("inspect other"))[0]["State"]["Pid"]
        outside = os.stat(f"/proc/{pid}").st_uid
        assert 400000 <= outside < 465536
        account.container("exec -u 0 other sh -c 'echo s > /s; chmod 600 /s'")
        refused = account.run(account.command("exec -u 9 other cat /s"))
        assert b"ermission denied" in refused.stderr
    finally:
        account.container("rm -f other")


def test_one_user_sees_nothing_of_another(account: Account) -> None:
    """Stores, sockets and namespaces belong to their user: files of mode 0700, and the kernel."""
    for folder in (".local/share/jupyter-containers", "run/jupyter-containers"):
        assert (account.home / folder).stat().st_mode & 0o077 == 0
    holder = (account.home / "run/jupyter-containers/user/holder").read_text().split()[0]
    words = ["setpriv", "--reuid=65000", "--regid=65000", "--clear-groups"]
    done = subprocess.run(
        [*words, "nsenter", "-t", holder, "-U", "-m", "true"], capture_output=True, check=False
    )
    assert done.returncode != 0
    assert b"ermission denied" in done.stderr or b"not permitted" in done.stderr
