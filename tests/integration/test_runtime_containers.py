"""Containers of busybox over the real runtime, monitor and kernel."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.errors import InvalidArgumentError, OCIRuntimeError, UnsupportedError
from jupyter_containers.events import CancelToken
from jupyter_containers.oci.image import ExecutionConfig
from jupyter_containers.options import ExecOptions
from jupyter_containers.runtime import cgroups, execute, monitor
from jupyter_containers.runtime.process import ProcessIdentity
from jupyter_containers.runtime.resources import limits
from jupyter_containers.runtime.spec import BindMount, TmpfsMount, exec_process
from jupyter_containers.runtime.users import resolve_user
from tests.integration.runtime_fixtures import (
    GROUP,
    PASSWD,
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


@pytest.mark.parametrize(
    ("script", "code", "stdout", "stderr"),
    [
        ("exit 0", 0, b"", b""),
        ("exit 42", 42, b"", b""),
        ("echo out; echo err >&2", 0, b"out\n", b"err\n"),
        ("printf unterminated", 0, b"unterminated", b""),
        ("sh -c 'kill -KILL $$'; exit $?", 137, b"", b"Killed\n"),
        ("sh -c 'kill -TERM $$'; exit $?", 143, b"", b"Terminated\n"),
    ],
)
def test_exit_codes_and_streams(
    lab: Lab, script: str, code: int, stdout: bytes, stderr: bytes
) -> None:
    result, output = lab.run("sh", "-c", script)
    assert (result, bytes(output.stdout), bytes(output.stderr)) == (code, stdout, stderr)


@pytest.mark.parametrize(
    ("command", "code"),
    [("nosuch", 127), ("/no/such", 127), ("/bin/data", 126), ("/bin", 126)],
)
def test_a_program_that_cannot_run_has_dockers_exit_code(lab: Lab, command: str, code: int) -> None:
    with pytest.raises(OCIRuntimeError) as caught:
        lab.create(command)
    assert caught.value.exit_code == code
    assert command in caught.value.message
    assert "\n" not in caught.value.message
    # A failed create leaves nothing.
    assert lab.runtime.container_ids() == ()


def test_stdin_reaches_the_container_and_ends(lab: Lab) -> None:
    data = os.urandom(300_000)
    code, output = lab.run("cat", stdin=data)
    assert code == 0
    assert bytes(output.stdout) == data


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


def test_environment_user_and_folder(lab: Lab) -> None:
    script = "id -u; id -G; pwd; echo $HOME $A $B $PATH; hostname"
    config = ExecutionConfig(env=("A=image", "B=image"), user="root", working_dir="/nope")
    code, output = lab.run(
        "sh",
        "-c",
        script,
        config=config,
        user="ann",
        env=["B=option"],
        workdir="/made/here",
        hostname="box",
    )
    lines = output.stdout.decode().splitlines()
    assert code == 0
    assert lines[:3] == ["1000", "1000 2000", "/made/here"]
    assert lines[3].startswith("/home/ann image option /usr/local/sbin:")
    assert lines[4] == "box"


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


def test_memory_limit_kills_and_is_reported(lab: Lab) -> None:
    container = lab.create("tail", "/dev/zero", memory="16m")
    started = cgroups.stats(lab.host.cgroups, container.cgroup)
    assert started is not None
    assert started.memory_limit == 16 * MIB
    container.start()
    status = container.wait()
    kills = cgroups.oom_kills(lab.host.cgroups, container.cgroup)
    lab.runtime.delete(container.id)
    assert kills >= 1
    assert status.oom_killed
    assert status.code == 137


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


def test_update_changes_a_live_limit(lab: Lab, sleeper: Container) -> None:
    from jupyter_containers.options import RunOptions

    changed = limits(RunOptions.of("x", memory="32m", pids_limit=7), lab.host)
    lab.runtime.update(sleeper.id, changed)
    stats = cgroups.stats(lab.host.cgroups, sleeper.cgroup)
    assert stats is not None
    assert (stats.memory_limit, stats.pids_limit) == (32 * MIB, 7)


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


def test_ulimits(lab: Lab) -> None:
    _, output = lab.run("sh", "-c", "ulimit -Sn; ulimit -Hn", ulimit=["nofile=100:200"])
    assert output.stdout.split() == [b"100", b"200"]
    if "CAP_SYS_RESOURCE" not in lab.host.kernel_capabilities:
        with pytest.raises(UnsupportedError) as caught:
            lab.create("true", ulimit=["nofile=100000000"])
        assert caught.value.capability == "CAP_SYS_RESOURCE"


def test_kill_stop_signal_and_pause(lab: Lab) -> None:
    container = lab.create("sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.02; done")
    output = Output()
    with container.attach() as attachment:
        container.start()
        token = CancelToken()

        def first(stream: str, data: bytes) -> None:
            output(stream, data)
            token.cancel()

        from jupyter_containers.errors import OperationCancelledError

        with pytest.raises(OperationCancelledError):
            attachment.pump(first, cancel=token)
    lab.runtime.pause(container.id)
    assert cgroups.is_frozen(lab.host.cgroups, container.cgroup)
    state = lab.runtime.state(container.id)
    assert state is not None
    assert state["status"] == "paused"
    lab.runtime.resume(container.id)
    assert not cgroups.is_frozen(lab.host.cgroups, container.cgroup)
    assert container.state.container is not None
    assert container.state.container.signal(signal.SIGTERM)
    assert container.wait().code == 7
    lab.runtime.delete(container.id)
    assert lab.runtime.state(container.id) is None


def test_a_paused_container_can_be_deleted_by_force(lab: Lab, sleeper: Container) -> None:
    lab.runtime.pause(sleeper.id)
    lab.runtime.delete(sleeper.id, force=True)
    assert sleeper.wait().code == 137
    assert not lab.runtime.exists(sleeper.id)


def test_delete_refuses_a_live_container(lab: Lab, sleeper: Container) -> None:
    with pytest.raises(OCIRuntimeError):
        lab.runtime.delete(sleeper.id)
    assert lab.runtime.init_process(sleeper.id) == sleeper.state.container


@pytest.mark.parametrize("command", [("sleep", "60"), ("true",)])
def test_whether_a_container_was_started_is_asked_of_the_runtime(
    lab: Lab, command: tuple[str, ...]
) -> None:
    """Also where the starter died between reading the fifo and removing it."""
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


def test_exec(lab: Lab, sleeper: Container) -> None:
    def run(*command: str, stdin: bytes | None = None, **flags: object) -> tuple[int, Output]:
        options = ExecOptions.of(command, **flags)
        user = resolve_user(options.user, PASSWD, GROUP) if options.user else None
        process = exec_process(sleeper.spec, options, user)
        output = Output()
        code = execute.execute(
            lab.runtime, sleeper.id, sleeper.bundle, process, on_output=output, stdin=stdin
        )
        return code, output

    code, output = run("sh", "-c", "echo out; echo err >&2; exit 9")
    assert (code, bytes(output.stdout), bytes(output.stderr)) == (9, b"out\n", b"err\n")
    code, output = run(
        "sh", "-c", "id -u; pwd; echo $HOME $X", user="ann", workdir="/tmp", env=["X=1"]
    )
    assert output.stdout.split() == [b"1000", b"/tmp", b"/home/ann", b"1"]
    data = os.urandom(200_000)
    code, output = run("cat", stdin=data)
    assert bytes(output.stdout) == data
    assert run("sh", "-c", "kill -9 $$")[0] == 137
    for command, expected in (("nosuch", 127), ("/bin/data", 126)):
        with pytest.raises(OCIRuntimeError) as caught:
            run(command)
        assert caught.value.exit_code == expected
    assert not [name for name in os.listdir(sleeper.bundle) if name.startswith("exec-")]


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
    """A full-screen program moves down by a bare line feed: nobody else adds a return to it."""
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


def test_a_created_container_that_never_starts_is_removed(lab: Lab) -> None:
    container = lab.create("true")
    state = lab.runtime.state(container.id)
    assert state is not None
    assert state["status"] == "created"
    lab.runtime.delete(container.id, force=True)
    assert container.wait().code == 137
    assert lab.runtime.container_ids() == ()


def test_the_same_bundle_starts_again(lab: Lab) -> None:
    from jupyter_containers.runtime.mounts import PrivateMounts

    container_id, bundle, _, mount = lab.bundle("sh", "-c", "test -e /x && exit 3; touch /x")
    codes = []
    for _ in range(2):
        with PrivateMounts() as mounts:
            mounts.overlay(mount, bundle / "rootfs")
            state = mounts.call(lab.monitor.create, container_id, bundle)
        lab.runtime.start(container_id)
        status = monitor.wait(bundle, state, timeout=20)
        assert status is not None
        codes.append(status.code)
        lab.runtime.delete(container_id)
    assert codes == [0, 3]


def test_run_without_a_monitor(lab: Lab) -> None:
    from jupyter_containers.errors import OperationCancelledError
    from jupyter_containers.runtime.mounts import PrivateMounts

    output = Output()
    container_id, bundle, _, mount = lab.bundle("sh", "-c", "cat; echo err >&2; exit 5")
    with PrivateMounts() as mounts:
        mounts.overlay(mount, bundle / "rootfs", volatile=True)
        code = mounts.call(
            lab.runtime.run, container_id, bundle, on_output=output, stdin=b"heredoc"
        )
    assert (code, bytes(output.stdout), bytes(output.stderr)) == (5, b"heredoc", b"err\n")

    container_id, bundle, _, mount = lab.bundle("nosuch")
    with PrivateMounts() as mounts:
        mounts.overlay(mount, bundle / "rootfs")
        with pytest.raises(OCIRuntimeError) as caught:
            mounts.call(lab.runtime.run, container_id, bundle, on_output=output)
    assert caught.value.exit_code == 127

    token = CancelToken()
    container_id, bundle, _, mount = lab.bundle("sh", "-c", "echo up; sleep 50")
    begun = time.monotonic()
    with PrivateMounts() as mounts:
        mounts.overlay(mount, bundle / "rootfs")
        with pytest.raises(OperationCancelledError):
            mounts.call(
                lab.runtime.run,
                container_id,
                bundle,
                on_output=lambda stream, data: token.cancel(),
                cancel=token,
            )
    assert time.monotonic() - begun < 5
    assert lab.runtime.container_ids() == ()


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
