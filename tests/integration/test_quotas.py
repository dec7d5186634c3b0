"""The administrator's limits, for users and for the root of a pod."""

from __future__ import annotations

import dataclasses
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.engine.usage import KnownRoots
from jupyter_containers.settings import LAB_FILE
from tests.integration.account import NEEDS, USER, Account, ended, opened

pytestmark = NEEDS
_LAB = """
[settings]
stop_timeout = 1
[limits]
containers = 2
memory = "1g"
cpus = 1
disk = "100m"
[allow]
pull = ["docker.io/library", "localhost:1/allowed"]
push = []
archives = false
[users.somebody]
containers = 9
"""


@pytest.fixture(scope="module")
def student() -> Iterator[Account]:
    known = KnownRoots.of(USER.pw_uid).folder
    shutil.rmtree(known, ignore_errors=True)
    with opened("single") as account:
        account.container("bootstrap busybox")
        yield dataclasses.replace(account, lab=_LAB)
    shutil.rmtree(known, ignore_errors=True)
    if LAB_FILE.parent.is_dir() and not any(LAB_FILE.parent.iterdir()):
        LAB_FILE.parent.rmdir()


def refused(account: Account, line: str) -> str:
    done = account.run(account.command(line))
    assert done.returncode != 0, done.stdout.decode()
    assert "Traceback" not in done.stderr.decode()
    return done.stderr.decode()


def test_a_user_runs_no_more_than_the_limit(student: Account) -> None:
    for name in ("one", "two"):
        student.container(f"run -d --name {name} -m 100m --network none busybox sleep 100")
    told = refused(student, "run --rm -m 100m --network none busybox true")
    assert "2 containers run, and your limit is 2" in told
    assert "stop one of them; the limits of this machine are in /etc/jupyter_containers" in told
    student.container("stop two")
    student.container("run --rm -m 100m --network none busybox true")
    # Resources that the kernel does not limit are added up.
    told = refused(student, "run --rm --network none busybox true")
    assert "the running containers ask for 100MiB of your 1GiB, and this one for 1GiB" in told
    student.container("rm -f one two")


def test_a_user_asks_for_no_more_than_the_limit(student: Account) -> None:
    assert "--memory 2GiB is over your limit, 1GiB" in refused(student, "run -m 2g busybox true")
    assert "--cpus 1.5 is over your limit, 1" in refused(student, "create --cpus 1.5 busybox true")
    student.container("create --name small -m 10m busybox true")
    assert "over your limit" in refused(student, "update -m 2g --memory-swap 2g small")
    student.container("rm small")
    facts = json.loads(student.container("info --format '{{json .Limits}}'"))
    assert 0 < facts.pop("DiskUsed") < 100 << 20
    assert facts == {"Containers": 2, "Memory": 1 << 30, "CPUs": 1, "Disk": 100 << 20}


def test_a_user_takes_no_more_disk_than_the_limit(student: Account) -> None:
    dockerfile = "FROM busybox\nRUN dd if=/dev/zero of=/f bs=1M count=110\nRUN echo more > /g\n"
    (student.home / "Dockerfile").write_text(dockerfile)
    told = refused(student, "build --network none .")
    assert "your disk quota of 100MiB is used up" in told
    student.container("builder prune -a -f")
    student.container("run --rm -m 10m --network none busybox true")


def test_images_come_only_from_where_they_may(student: Account) -> None:
    told = refused(student, "pull quay.io/x/y")
    assert "pull of quay.io/x/y is not allowed on this machine" in told
    assert "allows docker.io/library, localhost:1/allowed" in told
    assert "not allowed" not in refused(student, "pull localhost:1/allowed/x")
    (student.home / "Dockerfile").write_text("FROM quay.io/x/y\n")
    assert "pull of quay.io/x/y is not allowed" in refused(student, "build .")
    student.container("tag busybox localhost:1/allowed/x")
    assert "push of localhost:1/allowed/x is not allowed" in refused(
        student, "push localhost:1/allowed/x"
    )
    student.container("save -o busybox.tar busybox")
    assert "load is not allowed on this machine" in refused(student, "load -i busybox.tar")
    assert "import is not allowed on this machine" in refused(student, "import busybox.tar x")


def test_a_users_own_settings_do_not_change_the_limits(student: Account) -> None:
    own = ["JUPYTER_CONTAINERS_CONFIG=/dev/null", f"HOME={student.home}", "USER=somebody"]
    done = student.run(["env", *own, *student.command("run -m 2g busybox true")])
    assert (done.returncode, b"over your limit" in done.stderr) == (125, True)


@pytest.fixture
def second(student: Account) -> Iterator[Account]:
    """Yield the same user with another store, which another variable names."""
    root = student.home / "second"
    other = dataclasses.replace(
        student,
        variables={"JUPYTER_CONTAINERS_ROOT": str(root), "XDG_RUNTIME_DIR": str(root / "r")},
    )
    student.run(["mkdir", "-p", "-m", "700", str(root / "r")])
    try:
        yield other
    finally:
        ended(root / "r")


def test_another_root_gives_no_second_limit(student: Account, second: Account) -> None:
    """Seen to fail before: each store had the whole limit for itself."""
    student.container("save -o two.tar busybox")
    dataclasses.replace(second, lab="").container("load -i two.tar")
    for account, name in ((student, "one"), (second, "two")):
        account.container(
            f"run -d --name {name} -m 100m --cpus 0.3 --network none busybox sleep 100"
        )
    for account in (student, second):
        told = refused(account, "run --rm -m 100m --cpus 0.3 --network none busybox true")
        assert "2 containers run, 1 of them in " in told
        assert "and your limit is 2" in told
    second.container("rm -f two")
    told = refused(second, "run --rm -m 1000m --cpus 0.3 --network none busybox true")
    assert "the running containers ask for 100MiB of your 1GiB, and this one for 1000MiB" in told
    told = refused(second, "run --rm -m 100m --network none busybox true")
    assert "the running containers have 0.3 of your 1 CPUs" in told
    student.container("rm -f one")
    second.container("run --rm -m 1000m --cpus 0.3 --network none busybox true")
    # The disk: space used by one store is not available to the other.
    fill = "busybox dd if=/dev/zero of=/f bs=1M count=98"
    student.container(f"run --name fill -m 100m --cpus 0.3 --network none {fill}")
    assert "your disk quota of 100MiB is used up" in refused(second, "create busybox true")
    student.container("rm fill")
    second.container("create --name small busybox true")
    second.container("rm small")


def test_archives_are_archives_in_every_spelling(student: Account) -> None:
    """Seen to fail before: ADD unpacked what ``import`` was refused, a layout was a base."""
    student.container("save -o plain.tar busybox")
    student.run(["sh", "-c", "mkdir -p layout && tar -xf plain.tar -C layout"])
    files = {
        "FROM scratch\nADD plain.tar /\n": ("build .", "ADD of an archive is not allowed"),
        "FROM b\nRUN true\n": (
            "build --build-context b=oci-layout://layout .",
            "an OCI layout as a base is not allowed",
        ),
        "FROM busybox\n": (
            "build --cache-from type=local,src=layout .",
            "--cache-from type=local is not allowed",
        ),
    }
    for text, (line, words) in files.items():
        (student.home / "Dockerfile").write_text(text)
        assert words in refused(student, line), text
    (student.home / "Dockerfile").write_text("FROM busybox\nADD Dockerfile /\n")
    student.container("build -q .")


def test_a_mirror_of_ones_own_is_on_the_list_or_refused(student: Account) -> None:
    """Seen to fail before: the pull went to the mirror."""
    own = {"JUPYTER_CONTAINERS_REGISTRY_MIRRORS": "http://localhost:1"}
    told = refused(dataclasses.replace(student, variables=own), "pull alpine")
    assert "pull of docker.io/library/alpine from localhost:1/library/alpine is not allowed" in told
    (student.home / "registries.conf").write_text(
        '[[registry]]\nprefix = "docker.io/library"\nlocation = "localhost:1/evil"\n'
    )
    own = {"CONTAINERS_REGISTRIES_CONF": str(student.home / "registries.conf")}
    told = refused(dataclasses.replace(student, variables=own), "pull alpine")
    assert "from localhost:1/evil/alpine is not allowed" in told
    own = {"JUPYTER_CONTAINERS_DEBIAN_MIRROR": "deb [trusted=yes] http://localhost:1 bookworm main"}
    told = refused(dataclasses.replace(student, variables=own), "bootstrap debian:bookworm-slim")
    assert "not allowed on this machine" in told


def test_a_locked_setting_stays(student: Account) -> None:
    locked = 'locked = ["stop_timeout"]\n' + _LAB
    account = dataclasses.replace(
        student, lab=locked, variables={"JUPYTER_CONTAINERS_STOP_TIMEOUT": "9"}
    )
    told = refused(account, "ps")
    assert "stop_timeout is set by the administrator of this machine" in told
    dataclasses.replace(student, lab=locked).container("ps")


@pytest.mark.skipif(
    not Path("/sys/fs/cgroup/memory").is_dir()
    and not Path("/sys/fs/cgroup/cgroup.controllers").exists(),
    reason="needs control groups",
)
def test_the_kernel_holds_all_containers_of_root_in_a_pod_together(tmp_path: Path) -> None:
    lab = tmp_path / "etc"
    lab.mkdir()
    (lab / "lab.toml").write_text('for_root = true\n[limits]\nmemory = "64m"\ncpus = 1\n')
    program = f"""
from jupyter_containers.engine import Engine
from jupyter_containers.runtime.cgroups import remove
with Engine(root={str(tmp_path / "root")!r}, run_root={str(tmp_path / "run")!r}) as e:
    e.images.bootstrap("busybox")
    fill = "dd if=/dev/zero of=/dev/shm/x bs=1M count=40 && sleep 100"
    flags = dict(detach=True, network="none", shm_size="60m", memory="50m", memory_swap="50m")
    one = e.run("busybox", ["sh", "-c", fill], **flags)
    two = e.run("busybox", ["sh", "-c", fill], **flags)
    import time
    deadline = time.monotonic() + 30
    killed = []
    while not killed and time.monotonic() < deadline:
        time.sleep(0.1)
        killed = [c for c in (one, two) if c.inspect()["State"]["Status"] == "exited"]
    print(len(killed), [c.inspect()["State"]["ExitCode"] for c in killed])
    for c in (one, two):
        e.containers.remove(c.id, force=True)
    remove(e._context.host.cgroups, e._context.runtime.cgroup_parent)
"""
    setup = f"mkdir -p {LAB_FILE.parent} && mount --bind {lab} {LAB_FILE.parent}"
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-ec",
         f"{setup}\nexec {shlex.join([sys.executable, '-c', program])}"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("1 [137]\n", 0), done.stderr
