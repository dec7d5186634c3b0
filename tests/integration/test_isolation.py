"""The view from inside a container and its limits, checked from the host's side as well."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import ContainersError
from jupyter_containers.runtime.security import (
    DEFAULT_CAPABILITIES,
    MASKED_PATHS,
    READONLY_PATHS,
    capability_names,
)

NONE = {"network": "none"}


def sh(engine: Engine, image: str, script: str, **flags: Any) -> str:
    """Return both streams of a shell script in a container that removes itself."""
    result = engine.run(image, ["sh", "-c", script], rm=True, check=False, **{**NONE, **flags})
    return (result.stdout + result.stderr).decode().strip()


# -- its view ------------------------------------------------------------------------------------


def test_only_its_own_processes(engine: Engine, busybox: str) -> None:
    pids = sh(engine, busybox, "ls /proc | grep '^[0-9]' | sort -n").split()
    assert pids[0] == "1"
    assert len(pids) <= 5
    assert "pytest" not in sh(engine, busybox, "cat /proc/[0-9]*/cmdline")


def test_only_its_own_mounts_host_name_network_and_users(engine: Engine, busybox: str) -> None:
    own = sh(engine, busybox, "cat /proc/self/mountinfo")
    visible = {line.split()[4] for line in own.splitlines()}
    host = {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    allowed = ("/", "/proc", "/dev", "/sys", "/etc/resolv.conf", "/etc/hostname", "/etc/hosts")
    assert all(point == "/" or point.startswith(allowed[1:]) for point in visible)
    assert str(engine.settings.root) not in " ".join(visible)
    assert "/work" not in visible
    assert "/" in host
    assert sh(engine, busybox, "hostname") != socket.gethostname()
    links = sh(engine, busybox, "ls /sys/class/net").split()
    assert links == ["lo"]
    users = sh(engine, busybox, "cat /etc/passwd")
    assert users != Path("/etc/passwd").read_text().strip()
    for kind in ("pid", "mnt", "net", "ipc", "uts", "cgroup"):
        inside = sh(engine, busybox, f"readlink /proc/self/ns/{kind}")
        assert inside != os.readlink(f"/proc/self/ns/{kind}")


def test_a_bridge_shows_one_card_and_not_the_hosts(engine: Engine, busybox: str) -> None:
    links = sh(engine, busybox, "ls /sys/class/net", network="bridge").split()
    assert sorted(links) == ["eth0", "lo"]
    assert sh(engine, busybox, "cat /proc/net/unix | wc -l", network="bridge") == "1"


def test_its_cgroup_is_the_root_it_sees(engine: Engine, busybox: str) -> None:
    groups = sh(engine, busybox, "cut -d: -f3 /proc/self/cgroup").split()
    assert set(groups) == {"/"}


def test_capabilities_are_the_usual_fourteen(engine: Engine, busybox: str) -> None:
    lines = sh(engine, busybox, "grep ^Cap /proc/self/status").splitlines()
    sets = dict(line.split(":\t") for line in lines)
    available = engine._context.host.kernel_capabilities
    expected = frozenset(DEFAULT_CAPABILITIES) & available
    assert len(DEFAULT_CAPABILITIES) == 14
    for name in ("CapBnd", "CapEff", "CapPrm"):
        assert capability_names(int(sets[name], 16)) == expected
    for name in ("CapInh", "CapAmb"):
        assert int(sets[name], 16) == 0


def test_masked_and_read_only_paths(engine: Engine, busybox: str) -> None:
    look = "echo $p $(cat $p 2>/dev/null | head -c 9 | wc -c) $(ls $p/ 2>/dev/null | wc -l)"
    paths = " ".join(MASKED_PATHS)
    lines = sh(engine, busybox, f"for p in {paths}; do [ -e $p ] && {look}; done").splitlines()
    assert lines
    for line in lines:
        _, size, entries = line.split()
        # A file reads as empty, a folder has nothing in it.
        assert size == "0", line
        assert entries in ("0", "1"), line
    mounts = sh(engine, busybox, "cat /proc/self/mountinfo").splitlines()
    options = {line.split()[4]: line.split()[5].split(",") for line in mounts}
    for path in READONLY_PATHS:
        if sh(engine, busybox, f"[ -e {path} ] && echo here"):
            assert "ro" in options[path], path
    for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel/profiling"):
        assert "can't create" in sh(engine, busybox, f"echo x > {path}"), path
    if os.path.isdir("/sys/fs/cgroup/memory"):
        limit = "/sys/fs/cgroup/memory/memory.limit_in_bytes"
        assert "can't create" in sh(engine, busybox, f"echo 1 > {limit}")


def test_seccomp_is_on_and_no_new_privileges_as_asked(engine: Engine, busybox: str) -> None:
    script = "grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status"
    assert sh(engine, busybox, script).split() == ["NoNewPrivs:", "0", "Seccomp:", "2"]
    text = sh(engine, busybox, script, security_opt="no-new-privileges")
    assert text.split() == ["NoNewPrivs:", "1", "Seccomp:", "2"]


def test_no_descriptor_of_the_engine_leaks_in(engine: Engine, busybox: str) -> None:
    for flags in ({}, {"interactive": True, "stdin": b""}, {"network": "bridge", "publish": "80"}):
        script = "ls -l /proc/self/fd 2>/dev/null | awk 'NF>8{print $9, $11}'"
        found = sh(engine, busybox, script, **flags)
        numbers = {line.split()[0] for line in found.splitlines()}
        assert numbers <= {"0", "1", "2", "3"}, found  # 3 is ls's own look at the folder
        assert str(engine.settings.root) not in found
    engine.run(busybox, ["sleep", "60"], detach=True, name="fds", **NONE)
    found = engine.containers.exec(
        "fds", ["sh", "-c", "ls /proc/1/fd /proc/self/fd"]
    ).output.split()
    assert {word for word in found if word.isdigit()} <= {"0", "1", "2", "3"}


# -- escapes -------------------------------------------------------------------------------------


# Attempts of a container, and a part of the answer: the same for every user of the engine.
REFUSED = (
    ("mount -t tmpfs none /mnt", "ermission denied"),
    ("mount -o remount,rw /proc/sys", "ermission denied"),
    ("umount /proc", "ermitted"),
    ("unshare -m true", "not permitted"),
    ("unshare -U true", "not permitted"),
    ("unshare -Ur mount -t tmpfs none /mnt", "not permitted"),
    ("nsenter -t 1 -m true", "not permitted"),
    ("chroot /proc/1/root mount -t proc none /proc", "ermission denied"),
    ("mknod /disk b 254 0 && cat /disk", "not permitted"),
    ("mknod /memory c 1 1 && cat /memory", "not permitted"),
    ("echo c > /proc/sysrq-trigger", "can't create"),
    ("hostname elsewhere", "not permitted"),
    ("date -s 2001-01-01", "not permitted"),
    ("dmesg", "not permitted"),
    ("swapoff -a; swapon /etc/passwd", "not permitted"),
    ("insmod /etc/passwd", "not permitted"),
    ("reboot -f", "not permitted"),
    ("ip link add x type dummy", "not permitted"),
    ("renice -n -5 -p 1", "ermission denied"),
    ("cat /proc/kcore | head -c 4 | wc -c", "0"),
)


@pytest.mark.parametrize(("script", "refusal"), REFUSED)
def test_what_the_wall_refuses(engine: Engine, busybox: str, script: str, refusal: str) -> None:
    text = sh(engine, busybox, f"mkdir -p /mnt; {script}")
    if "applet not found" in text or "not found" in text:
        pytest.skip(f"busybox has no {script.split()[0]} here")
    assert refusal in text, text


CALLS = r"""
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *args):
    ctypes.set_errno(0)
    result = libc.syscall(number, *args)
    print(name, "done" if result >= 0 else os.strerror(ctypes.get_errno()).replace(" ", "_"))
call("ptrace", 101, 16, 1, 0, 0)           # PTRACE_ATTACH, the container's own init as another's
call("add_key", 248, b"user", b"jc", b"secret", 6, -3)
call("keyctl", 250, 0, -3, 0)
call("request_key", 249, b"user", b"jc", 0, 0)
call("bpf", 321, 0, 0, 0)
call("perf_event_open", 298, 0, 0, -1, -1, 0)
call("userfaultfd", 323, 0)
call("kexec_load", 246, 0, 0, 0, 0)
call("open_by_handle_at", 304, -100, 0, 0)
call("mount_setattr", 442, -100, b"/", 0, 0, 0)
call("fsopen", 430, b"tmpfs", 0)
call("move_mount", 429, -100, b"/", -100, b"/", 0)
call("setns", 308, 0, 0)
call("pivot_root", 155, b"/", b"/")
call("init_module", 175, 0, 0, b"")
call("clone3", 435, 0, 0)
call("io_uring_setup", 425, 1, 0)
call("personality", 135, 0x0400000)
call("unshare_user", 272, 0x10000000)
call("clone_user", 56, 0x10000000 | 17, 0, 0, 0, 0)
"""


def test_dangerous_calls_fail_in_the_filter(engine: Engine, busybox: str, python: str) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("the numbers of the calls are x86_64's")
    result = engine.run(python, ["python3", "-c", CALLS], rm=True, check=False, **NONE)
    answers = dict(line.split() for line in result.output.splitlines())
    allowed_errors = {"Operation_not_permitted", "Function_not_implemented"}
    assert len(answers) == 20, result
    assert {name: text for name, text in answers.items() if text not in allowed_errors} == {}


def test_the_hosts_runtime_is_not_the_containers_to_write(
    engine: Engine, busybox: str, tmp_path: Path
) -> None:
    """The overwrite of /proc/self/exe (CVE-2019-5736): exec enters a program of the container."""
    runtime = Path(engine._context.runtime.path)
    before = (runtime.stat().st_mtime_ns, runtime.stat().st_size)
    script = (
        "cp /bin/busybox /bin/real; printf '#!/proc/self/exe\\n' > /bin/trap; chmod +x /bin/trap;"
        "while :; do for p in /proc/[0-9]*; do"
        " case $(readlink $p/exe) in *runc*|*crun*) echo seen >> /seen; : > $p/exe;"
        " echo payload > $p/exe && echo written >> /seen;; esac; done; done"
    )
    engine.run(busybox, ["sh", "-c", script], detach=True, name="waiting", **NONE)
    for _ in range(20):
        engine.containers.exec("waiting", ["/bin/trap"], check=False)
    seen = engine.containers.exec("waiting", ["sh", "-c", "cat /seen 2>/dev/null || true"]).output
    assert "written" not in seen
    assert (runtime.stat().st_mtime_ns, runtime.stat().st_size) == before


def test_a_link_in_an_image_leads_no_mount_out(
    engine: Engine, busybox: str, tmp_path: Path
) -> None:
    outside = Path("/etc/jc-escape-test")
    dockerfile = f"FROM {busybox}\nRUN ln -s /../../../../etc/jc-escape-test /out\n"
    engine.build(dockerfile=dockerfile, tag="linked:1")
    text = sh(engine, "linked:1", "ls -d /etc/jc-escape-test", volume=f"{tmp_path}:/out")
    assert not outside.exists()
    assert "jc-escape-test" in text  # it was made inside
    sh(engine, "linked:1", "true", workdir="/out/deeper")
    assert not outside.exists()


def test_a_racing_link_in_a_volume_leads_its_subpath_nowhere_else(
    engine: Engine, busybox: str
) -> None:
    engine.volumes.create("raced")
    engine.run(busybox, ["mkdir", "-p", "/v/safe"], rm=True, volume="raced:/v", **NONE)
    race = "cd /v; while :; do rm -rf part; ln -s /etc part; rm -f part; mkdir part; done"
    engine.run(busybox, ["sh", "-c", race], detach=True, name="racer", volume="raced:/v", **NONE)
    part = "type=volume,source=raced,target=/p,volume-subpath=part"
    outcomes = [sh_or_error(engine, busybox, part) for _ in range(15)]
    engine.containers.remove("racer", force=True)
    engine.volumes.remove("raced")
    assert not any("shadow" in text for text in outcomes)


def test_a_racing_link_leads_no_copy_to_the_host(
    engine: Engine, busybox: str, tmp_path: Path
) -> None:
    """`cp` both ways while the container swaps its folder for a link to a folder of the host."""
    host = tmp_path / "host"
    host.mkdir()
    (host / "secret").write_text("of the host")
    up = "/".join([".."] * 12)
    script = (
        "mkdir -p /swap /real; echo inside > /real/secret; cd /; while :; do rm -rf swap;"
        f" ln -s {up}{host} swap; rm -f swap; cp -r real swap; done"
    )
    engine.run(busybox, ["sh", "-c", script], detach=True, name="swapper", **NONE)
    given = tmp_path / "given"
    given.write_text("given")
    taken = tmp_path / "taken"
    copied = 0
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline:
        for source, target in ((given, "swapper:/swap/file"), ("swapper:/swap/secret", taken)):
            try:
                engine.containers.copy(str(source), str(target))
                copied += 1
            except ContainersError:
                continue  # the folder was not there at that moment
        assert not taken.exists() or taken.read_text() in ("inside\n", "")
        assert sorted(os.listdir(host)) == ["secret"]
    assert (host / "secret").read_text() == "of the host"
    assert copied


def sh_or_error(engine: Engine, image: str, mount: str) -> str:
    try:
        return sh(engine, image, "ls /p", mount=mount)
    except ContainersError as error:
        return error.message


def test_the_hosts_processes_cannot_be_traced_with_the_hosts_pids(
    engine: Engine, busybox: str
) -> None:
    """Even where the pid namespace is shared, another process is not the container's to open."""
    pid = os.getpid()
    text = sh(
        engine,
        busybox,
        f"cat /proc/{pid}/environ /proc/{pid}/mem; ls /proc/{pid}/root/work",
        pid="host",
    )
    assert "ermission denied" in text
    assert "PATH=" not in text


def test_abstract_sockets_and_memory_of_the_host_are_out_of_reach(
    engine: Engine, busybox: str
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0jc-isolation-test")
        listener.listen()
        names = sh(engine, busybox, "cat /proc/net/unix")
        assert "jc-isolation-test" not in names
    mark = Path("/dev/shm/jc-isolation-test")
    mark.write_text("x")
    try:
        assert "jc-isolation-test" not in sh(engine, busybox, "ls /dev/shm")
    finally:
        mark.unlink()


def test_devices_are_the_standard_ones(engine: Engine, busybox: str) -> None:
    found = sh(engine, busybox, "find /dev -type c -o -type b | sort").split()
    standard = {"null", "zero", "full", "random", "urandom", "tty", "console"}
    names = {Path(name).name for name in found if not name.startswith("/dev/pts/")}
    assert names <= standard | {"ptmx"}
    assert "sda" not in " ".join(found)


def test_resources_run_out_inside_only(engine: Engine, busybox: str) -> None:
    """A fork bomb, and 200 MB into a small tmpfs: the host goes on."""
    bomb = "f() { f | f & }; f; sleep 1"
    engine.run(busybox, ["sh", "-c", bomb], rm=True, pids_limit=100, check=False, **NONE)
    text = sh(engine, busybox, "dd if=/dev/zero of=/dev/shm/x bs=1M count=200 2>&1 | tail -1")
    assert text.startswith("64+0 records out")  # the default size of /dev/shm, then no more
