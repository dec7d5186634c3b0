"""The contract of :class:`OCIRuntime`, tested with every program that implements it.

An implementation is a line of ``RUNTIMES``.  crun refuses hosts with both hierarchies of control
groups; its containers are made in a mount namespace that shows cgroup v1 only.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from jupyter_containers.errors import OCIRuntimeError, OperationCancelledError, UnsupportedError
from jupyter_containers.events import CancelToken
from jupyter_containers.oci.image import ExecutionConfig
from jupyter_containers.options import ExecOptions, RunOptions
from jupyter_containers.runtime import cgroups, execute, monitor
from jupyter_containers.runtime.cgroups import UNIFIED, CgroupLayout
from jupyter_containers.runtime.host import RuntimeFacts, probe
from jupyter_containers.runtime.mounts import PrivateMounts
from jupyter_containers.runtime.resources import limits
from jupyter_containers.runtime.spec import exec_process
from jupyter_containers.runtime.users import resolve_user
from tests.integration.runtime_fixtures import GROUP, PASSWD, Container, Lab, Output

RUNTIMES = ("runc", "crun")
MIB = 1024 * 1024


@pytest.fixture(scope="module", params=RUNTIMES)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    path = shutil.which(request.param)
    if os.geteuid() != 0 or not path:
        pytest.skip(f"needs root and {request.param}")
    facts, prepare = probe(), None
    if request.param == "crun" and facts.cgroups.version == "hybrid":
        mounts = {name: point for name, point in facts.cgroups.mounts.items() if name != UNIFIED}
        facts = replace(facts, cgroups=CgroupLayout("v1", mounts, facts.cgroups.controllers))
        prepare = hide_unified
    folder = tmp_path_factory.mktemp(request.param) / "lab"
    lab = Lab(folder, replace(facts, runtime=RuntimeFacts(request.param, path)), prepare)
    try:
        yield lab
    finally:
        lab.close()


def hide_unified(mounts: PrivateMounts) -> None:
    point = CgroupLayout.read().mounts[UNIFIED]
    # MNT_DETACH; the namespace is a slave, so the host keeps its mount.
    assert mounts.call(mounts._libc.umount2, point.encode(), 2) == 0


@pytest.fixture(autouse=True)
def removed(lab: Lab) -> Iterator[None]:
    """Remove the containers of each test after it."""
    yield
    lab.remove_containers()


@pytest.fixture
def sleeper(lab: Lab) -> Iterator[Container]:
    container = lab.create("sleep", "60")
    container.start()
    yield container
    lab.call(lab.runtime.delete, container.id, force=True)
    container.wait()


class TestOCIRuntime:
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
        self, lab: Lab, script: str, code: int, stdout: bytes, stderr: bytes
    ) -> None:
        result, output = lab.run("sh", "-c", script)
        assert (result, bytes(output.stdout), bytes(output.stderr)) == (code, stdout, stderr)

    @pytest.mark.parametrize(
        ("command", "code"),
        [("nosuch", 127), ("/no/such", 127), ("/bin/data", 126), ("/bin", 126)],
    )
    def test_a_program_that_cannot_run_has_dockers_exit_code(
        self, lab: Lab, command: str, code: int
    ) -> None:
        with pytest.raises(OCIRuntimeError) as caught:
            lab.create(command)
        assert caught.value.exit_code == code
        assert command in caught.value.message
        assert "\n" not in caught.value.message
        # A failed create leaves nothing.
        assert lab.call(lab.runtime.container_ids) == ()

    def test_stdin_reaches_the_container_and_ends(self, lab: Lab) -> None:
        data = os.urandom(300_000)
        code, output = lab.run("cat", stdin=data)
        assert code == 0
        assert bytes(output.stdout) == data

    def test_environment_user_and_folder(self, lab: Lab) -> None:
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

    def test_memory_limit_kills_and_is_reported(self, lab: Lab) -> None:
        container = lab.create("tail", "/dev/zero", memory="16m")
        started = cgroups.stats(lab.host.cgroups, container.cgroup)
        assert started is not None
        assert started.memory_limit == 16 * MIB
        container.start()
        status = container.wait()
        kills = cgroups.oom_kills(lab.host.cgroups, container.cgroup)
        lab.call(lab.runtime.delete, container.id)
        assert kills >= 1
        assert status.oom_killed
        assert status.code == 137

    def test_update_changes_a_live_limit(self, lab: Lab, sleeper: Container) -> None:
        changed = limits(RunOptions.of("x", memory="32m", pids_limit=7), lab.host)
        lab.call(lab.runtime.update, sleeper.id, changed)
        stats = cgroups.stats(lab.host.cgroups, sleeper.cgroup)
        assert stats is not None
        assert (stats.memory_limit, stats.pids_limit) == (32 * MIB, 7)

    def test_ulimits(self, lab: Lab) -> None:
        _, output = lab.run("sh", "-c", "ulimit -Sn; ulimit -Hn", ulimit=["nofile=100:200"])
        assert output.stdout.split() == [b"100", b"200"]
        if "CAP_SYS_RESOURCE" not in lab.host.kernel_capabilities:
            with pytest.raises(UnsupportedError) as caught:
                lab.create("true", ulimit=["nofile=100000000"])
            assert caught.value.capability == "CAP_SYS_RESOURCE"

    def test_kill_stop_signal_and_pause(self, lab: Lab) -> None:
        container = lab.create(
            "sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.02; done"
        )
        output = Output()
        with container.attach() as attachment:
            container.start()
            token = CancelToken()

            def first(stream: str, data: bytes) -> None:
                output(stream, data)
                token.cancel()

            with pytest.raises(OperationCancelledError):
                attachment.pump(first, cancel=token)
        lab.call(lab.runtime.pause, container.id)
        assert cgroups.is_frozen(lab.host.cgroups, container.cgroup)
        state = lab.call(lab.runtime.state, container.id)
        assert state is not None
        assert state["status"] == "paused"
        lab.call(lab.runtime.resume, container.id)
        assert not cgroups.is_frozen(lab.host.cgroups, container.cgroup)
        assert container.state.container is not None
        assert container.state.container.signal(signal.SIGTERM)
        assert container.wait().code == 7
        lab.call(lab.runtime.delete, container.id)
        assert lab.call(lab.runtime.state, container.id) is None

    def test_a_paused_container_can_be_deleted_by_force(self, lab: Lab, sleeper: Container) -> None:
        lab.call(lab.runtime.pause, sleeper.id)
        lab.call(lab.runtime.delete, sleeper.id, force=True)
        assert sleeper.wait().code == 137
        assert not lab.call(lab.runtime.exists, sleeper.id)

    def test_delete_refuses_a_live_container(self, lab: Lab, sleeper: Container) -> None:
        with pytest.raises(OCIRuntimeError):
            lab.call(lab.runtime.delete, sleeper.id)
        assert lab.call(lab.runtime.init_process, sleeper.id) == sleeper.state.container

    def test_whether_a_container_was_started_is_known(self, lab: Lab) -> None:
        container = lab.create("true")
        process = container.state.container
        assert process is not None
        assert not lab.call(lab.runtime.started, container.id, process)
        container.start()
        assert lab.call(lab.runtime.started, container.id, process)
        container.wait()
        assert lab.call(lab.runtime.started, container.id, process)
        lab.call(lab.runtime.delete, container.id)
        assert not lab.call(lab.runtime.started, container.id, process)

    def test_exec(self, lab: Lab, sleeper: Container) -> None:
        def run(*command: str, stdin: bytes | None = None, **flags: object) -> tuple[int, Output]:
            options = ExecOptions.of(command, **flags)
            user = resolve_user(options.user, PASSWD, GROUP) if options.user else None
            process = exec_process(sleeper.spec, options, user)
            output = Output()
            code = lab.call(
                execute.execute,
                lab.runtime,
                sleeper.id,
                sleeper.bundle,
                process,
                on_output=output,
                stdin=stdin,
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

    def test_a_created_container_that_never_starts_is_removed(self, lab: Lab) -> None:
        container = lab.create("true")
        state = lab.call(lab.runtime.state, container.id)
        assert state is not None
        assert state["status"] == "created"
        lab.call(lab.runtime.delete, container.id, force=True)
        assert container.wait().code == 137
        assert lab.call(lab.runtime.container_ids) == ()

    def test_the_same_bundle_starts_again(self, lab: Lab) -> None:

        container_id, bundle, _, mount = lab.bundle("sh", "-c", "test -e /x && exit 3; touch /x")
        codes = []
        for _ in range(2):
            with lab.mounts() as mounts:
                mounts.overlay(mount, bundle / "rootfs")
                state = mounts.call(lab.monitor.create, container_id, bundle)
            lab.call(lab.runtime.start, container_id)
            status = monitor.wait(bundle, state, timeout=20)
            assert status is not None
            codes.append(status.code)
            lab.call(lab.runtime.delete, container_id)
        assert codes == [0, 3]

    def test_run_without_a_monitor(self, lab: Lab) -> None:

        output = Output()
        container_id, bundle, _, mount = lab.bundle("sh", "-c", "cat; echo err >&2; exit 5")
        with lab.mounts() as mounts:
            mounts.overlay(mount, bundle / "rootfs", volatile=True)
            code = mounts.call(
                lab.runtime.run, container_id, bundle, on_output=output, stdin=b"heredoc"
            )
        assert (code, bytes(output.stdout), bytes(output.stderr)) == (5, b"heredoc", b"err\n")

        container_id, bundle, _, mount = lab.bundle("nosuch")
        with lab.mounts() as mounts:
            mounts.overlay(mount, bundle / "rootfs")
            with pytest.raises(OCIRuntimeError) as caught:
                mounts.call(lab.runtime.run, container_id, bundle, on_output=output)
        assert caught.value.exit_code == 127

        token = CancelToken()
        container_id, bundle, _, mount = lab.bundle("sh", "-c", "echo up; sleep 50")
        begun = time.monotonic()
        with lab.mounts() as mounts:
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
        assert lab.call(lab.runtime.container_ids) == ()
