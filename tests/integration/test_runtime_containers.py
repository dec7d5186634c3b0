"""Containers of busybox over the real runtime, monitor and kernel."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.errors import InvalidArgumentError, OCIRuntimeError
from jupyter_containers.events import CancelToken
from jupyter_containers.options import ExecOptions
from jupyter_containers.runtime import cgroups, execute, monitor
from jupyter_containers.runtime.process import ProcessIdentity
from jupyter_containers.runtime.spec import BindMount, TmpfsMount, exec_process
from tests.integration.runtime_fixtures import (
    Container,
    Lab,
    Output,
    open_lab,
    with_context,
)
from tests.integration.waiting import until

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if os.geteuid() != 0:
        pytest.skip("needs root: mount namespaces and cgroups")
    yield from open_lab(tmp_path_factory.mktemp("runtime") / "lab")


@pytest.fixture(autouse=True)
def removed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Remove the containers of each test after it."""
    yield
    if "lab" in request.fixturenames:
        request.getfixturevalue("lab").remove_containers()


@pytest.fixture
def sleeper(lab: Lab) -> Iterator[Container]:
    container = lab.create("sleep", "60")
    container.start()
    yield container
    lab.runtime.delete(container.id, force=True)
    container.wait()


def test_stdin_from_a_descriptor(lab: Lab) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"through a pipe\n")
    os.close(writer)
    container = lab.create("cat", interactive=True)
    output = Output()
    with container.attach() as attachment:
        container.start()
        attachment.pump(output, stdin=reader)
    os.close(reader)
    assert container.wait().code == 0
    assert bytes(output.stdout) == b"through a pipe\n"


def test_without_interactive_stdin_is_empty(lab: Lab) -> None:
    assert bytes(lab.run("wc", "-c")[1].stdout).strip() == b"0"


def test_default_confinement(lab: Lab) -> None:
    script = """
        grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status
        mount -t tmpfs none /tmp 2>/dev/null; echo mount=$?
        unshare -m true 2>/dev/null; echo unshare=$?
        mknod /tmp/disk b 254 0 && dd if=/tmp/disk of=/dev/null count=1 2>/dev/null; echo disk=$?
        echo 1 2>/dev/null > /proc/sys/kernel/panic; echo sysctl=$?
        cat /proc/kcore 2>/dev/null | wc -c
        touch /sys/fs/cgroup/memory/x 2>/dev/null; echo cgroup=$?
        ls /proc | grep -c '^[0-9]'
    """
    _, output = lab.run("sh", "-c", script)
    lines = output.stdout.decode().split()
    assert lines[:6] == [
        "CapEff:",
        "00000000a80425fb",
        "NoNewPrivs:",
        "0",
        "Seccomp:",
        "2",
    ]
    outcome = dict(item.split("=") for item in lines if "=" in item)
    assert set(outcome) == {"mount", "unshare", "disk", "sysctl", "cgroup"}
    assert "0" not in outcome.values()
    assert int(lines[-1]) < 8


def test_privileged_and_new_privileges(lab: Lab) -> None:
    script = "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status; mount -t tmpfs x /tmp; echo $?"
    _, output = lab.run("sh", "-c", script, privileged=True)
    assert output.stdout.split() == [b"NoNewPrivs:", b"0", b"Seccomp:", b"0", b"0"]


def test_memory_is_accounted_without_an_oom(lab: Lab, sleeper: Container) -> None:
    until(lambda: cgroups.processes(lab.host.cgroups, sleeper.cgroup))
    time.sleep(0.05)
    stats = cgroups.stats(lab.host.cgroups, sleeper.cgroup)
    assert stats is not None
    assert 0 < stats.memory < 64 * MIB
    assert stats.oom_kills == 0
    assert stats.pids == 1
    assert stats.pids_limit == 512


def test_cpu_quota_holds(lab: Lab) -> None:
    # So little that it is less than its share of a busy machine, too.
    container = lab.create("sh", "-c", "while :; do :; done", cpus=0.05)
    container.start()
    time.sleep(0.2)
    before = cgroups.stats(lab.host.cgroups, container.cgroup)
    time.sleep(1.0)
    after = cgroups.stats(lab.host.cgroups, container.cgroup)
    lab.runtime.delete(container.id, force=True)
    assert before is not None
    assert after is not None
    share = (after.cpu_ns - before.cpu_ns) / 1e9 / (after.read_at - before.read_at)
    assert 0.01 < share < 0.1
    assert after.throttled_periods > before.throttled_periods
    assert container.wait().code == 137


def test_pids_limit_holds(lab: Lab) -> None:
    script = "i=0; while [ $i -lt 30 ]; do sleep 2 & i=$((i+1)); done; echo all"
    code, output = lab.run("sh", "-c", script, pids_limit=10)
    assert code != 0
    assert b"all" not in output.stdout
    assert b"Resource temporarily unavailable" in output.stderr


def test_read_only_tmpfs_and_binds(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("host\n")
    mounts = (
        TmpfsMount("/scratch", size=MIB),
        BindMount(str(tmp_path), "/data", read_only=True),
        BindMount(str(tmp_path), "/data/inner/deep"),
    )
    (tmp_path / "inner/deep").mkdir(parents=True)
    script = """
        touch /x 2>/dev/null; echo root=$?
        touch /scratch/x; echo tmpfs=$?
        cat /data/file; touch /data/x 2>/dev/null; echo ro=$?
        touch /data/inner/deep/y; echo rw=$?
        df -k /scratch /dev/shm | awk '/\\// {print $2}' | tail -2
    """
    _, output = lab.run(
        "sh",
        "-c",
        script,
        read_only=True,
        shm_size="2m",
        context=with_context(mounts=mounts),
    )
    words = output.stdout.decode().split()
    assert words == ["root=1", "tmpfs=0", "host", "ro=1", "rw=0", "1024", "2048"]
    assert (tmp_path / "y").exists()


def test_init_reaps_and_forwards(lab: Lab) -> None:
    if not lab.host.init_program:
        pytest.skip("no static init (catatonit, tini) on this host")
    _, output = lab.run("sh", "-c", "tr '\\0' ' ' < /proc/1/cmdline; exit 5", init=True)
    assert output.stdout.startswith(b"/sbin/docker-init -- sh -c")


@pytest.mark.parametrize("command", [("sleep", "60"), ("true",)])
def test_whether_a_container_was_started_is_asked_of_the_runtime(
    lab: Lab, command: tuple[str, ...]
) -> None:
    """Also where runc died between reading the fifo and removing it."""
    if lab.runtime.name != "runc":
        pytest.skip("needs runc: with another runtime the start has other steps")
    container = lab.create(*command)
    process = container.state.container
    assert process is not None
    assert not lab.runtime.started(container.id, process)
    time.sleep(0.02)  # more than the kernel's clock of files ticks
    with open(lab.runtime.root / container.id / "exec.fifo", "rb") as fifo:
        assert fifo.read(1)
    if command == ("true",):
        container.wait()
    assert lab.runtime.started(container.id, process)
    lab.runtime.delete(container.id, force=True)
    assert not lab.runtime.started(container.id, process)


def test_an_abandoned_container_leaves_neither_monitor_nor_process(lab: Lab) -> None:
    container, other = lab.create("sleep", "60"), lab.create("sleep", "60")
    lab.monitor.abandon(container.id)
    assert container.state.conmon is not None
    assert not container.state.conmon.alive
    lab.runtime.delete(container.id, force=True)
    assert container.state.container is not None
    assert not container.state.container.alive
    assert other.state.conmon is not None
    assert other.state.conmon.alive


def test_exec_is_cancelled_and_the_container_goes_on(lab: Lab, sleeper: Container) -> None:
    from jupyter_containers.errors import OperationCancelledError

    token = CancelToken()
    process = exec_process(sleeper.spec, ExecOptions.of(["sh", "-c", "echo up; sleep 30"]))
    begun = time.monotonic()
    with pytest.raises(OperationCancelledError):
        execute.execute(
            lab.runtime,
            sleeper.id,
            sleeper.bundle,
            process,
            on_output=lambda stream, data: token.cancel(),
            cancel=token,
        )
    assert time.monotonic() - begun < 5
    time.sleep(0.05)
    stats = cgroups.stats(lab.host.cgroups, sleeper.cgroup)
    assert sleeper.state.container is not None
    assert sleeper.state.container.alive
    assert stats is not None
    # The killed shell's own sleep may live on, as it does in Docker.
    assert stats.pids <= 2


def test_exec_detached(lab: Lab, sleeper: Container) -> None:
    process = exec_process(sleeper.spec, ExecOptions.of(["sh", "-c", "echo done > /tmp/mark"]))
    pid = execute.start_detached(lab.monitor, sleeper.id, sleeper.bundle, process)
    assert pid > 0
    mark = sleeper.bundle / "upper/tmp/mark"
    until(lambda: mark.exists() and mark.read_text() == "done\n")


def test_exec_detached_of_a_process_that_ends_at_once(lab: Lab, sleeper: Container) -> None:
    """The monitor may then report pid and exit code in one piece."""
    process = exec_process(sleeper.spec, ExecOptions.of(["true"]))
    for _ in range(20):
        assert execute.start_detached(lab.monitor, sleeper.id, sleeper.bundle, process) > 0


def test_exec_terminal(lab: Lab, sleeper: Container) -> None:
    process = exec_process(sleeper.spec, ExecOptions.of(["sh"], tty=True))
    with execute.open_terminal(
        lab.monitor, sleeper.id, sleeper.bundle, process, rows=30, columns=100
    ) as session:
        session.write(b"stty size\n")
        assert b"30 100" in read_until(session, b"30 100")
        session.resize(40, 120)
        time.sleep(0.1)
        session.write(b"stty size; exit 6\n")
        assert b"40 120" in read_until(session, b"40 120")
        assert session.wait(timeout=5) == 6
    assert not [name for name in os.listdir(sleeper.bundle) if name.startswith("exec-")]


def test_nothing_stands_between_a_program_and_its_terminal(lab: Lab, sleeper: Container) -> None:
    """A full-screen program moves down by a bare line feed; no carriage return is added to it."""
    script = "printf 'a\\nb\\n'; stty raw; printf 'c\\nd\\n'"
    process = exec_process(sleeper.spec, ExecOptions.of(["sh", "-c", script], tty=True))
    output = Output()
    with execute.open_terminal(lab.monitor, sleeper.id, sleeper.bundle, process) as session:
        assert session.communicate(output) == 0
    assert bytes(output.stdout) == b"a\r\nb\r\nc\nd\n"


def test_a_terminal_that_is_closed_ends_its_process(lab: Lab, sleeper: Container) -> None:
    process = exec_process(sleeper.spec, ExecOptions.of(["sleep", "50"], tty=True))
    session = execute.open_terminal(lab.monitor, sleeper.id, sleeper.bundle, process)
    assert session.wait(timeout=0.1) is None
    assert session.close() == 137
    assert session.close() is None
    stats = cgroups.stats(lab.host.cgroups, sleeper.cgroup)
    assert stats is not None
    assert stats.pids == 1


def test_a_terminal_on_a_program_that_is_not_there(lab: Lab, sleeper: Container) -> None:
    process = exec_process(sleeper.spec, ExecOptions.of(["nosuch"], tty=True))
    with pytest.raises(OCIRuntimeError) as caught:
        execute.open_terminal(lab.monitor, sleeper.id, sleeper.bundle, process)
    assert caught.value.exit_code == 127
    assert not [name for name in os.listdir(sleeper.bundle) if name.startswith("exec-")]


def test_terminal_container(lab: Lab) -> None:
    container = lab.create("sh", tty=True, interactive=True)
    output = Output()
    with container.attach() as attachment:
        monitor.resize(container.bundle, 33, 111)
        container.start()
        time.sleep(0.1)
        attachment.send(b"stty size; tty; exit 4\n")
        attachment.pump(output)
    assert container.wait().code == 4
    assert b"33 111" in output.stdout
    assert b"/dev/pts/0" in output.stdout


def test_ten_megabytes_arrive_whole(lab: Lab) -> None:
    size = 10 * MIB
    code, output = lab.run("sh", "-c", f"yes 0123456789abcde | head -c {size}")
    assert code == 0
    assert len(output.stdout) == size
    assert output.stdout == bytearray(b"0123456789abcde\n" * (size // 16))


def test_a_slow_client_loses_nothing(lab: Lab) -> None:
    size = 2 * MIB
    received = bytearray()

    def slowly(stream: str, data: bytes) -> None:
        time.sleep(0.001)
        received.extend(data)

    container = lab.create("sh", "-c", f"yes 0123456789abcde | head -c {size}")
    with container.attach() as attachment:
        container.start()
        attachment.pump(slowly)
    assert container.wait().code == 0
    assert len(received) == size


def test_attached_before_start_nothing_is_lost(lab: Lab) -> None:
    for number in range(15):
        code, output = lab.run("echo", str(number))
        assert (code, bytes(output.stdout)) == (0, b"%d\n" % number)


def test_a_killed_monitor_is_noticed(lab: Lab) -> None:
    container = lab.create("sleep", "0.4")
    container.start()
    assert container.state.conmon is not None
    container.state.conmon.signal(signal.SIGKILL)
    status = container.wait()
    assert status.code is None
    lab.runtime.delete(container.id, force=True)
    assert not lab.runtime.exists(container.id)


def test_nothing_is_left(lab: Lab) -> None:
    lab.run("true")
    mounts = Path("/proc/self/mountinfo").read_text()
    descriptors = sorted(os.listdir("/proc/self/fd"))
    lab.run("sh", "-c", "echo x; sleep 0.01")
    with pytest.raises(OCIRuntimeError):
        lab.create("nosuch")
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert sorted(os.listdir("/proc/self/fd")) == descriptors
    assert lab.runtime.container_ids() == ()
    for folder in lab.host.cgroups.folders(lab.parent):
        assert not [entry for entry in os.scandir(folder) if entry.is_dir()]
    until(lambda: not zombies())


def test_unknown_user_and_missing_command(lab: Lab) -> None:
    with pytest.raises(InvalidArgumentError, match="unable to find user nobody"):
        lab.create("true", user="nobody")
    with pytest.raises(InvalidArgumentError, match="no command specified"):
        lab.create()


def zombies() -> list[str]:
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            fields = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] == "Z" and fields[1] == str(os.getpid()):
            found.append(name)
    return found


def read_until(session: execute.TerminalSession, mark: bytes) -> bytes:
    data = b""
    while mark not in data and (piece := session.read()):
        data += piece
    return data


def test_identity_tells_a_reused_pid() -> None:
    me = ProcessIdentity.of(os.getpid())
    assert me is not None
    assert me.alive
    assert not ProcessIdentity(me.pid, me.start_time + 1).alive
    assert ProcessIdentity(me.pid, me.start_time + 1).signal() is False
