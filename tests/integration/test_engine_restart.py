"""Restart policies and health checks, with no kernel alive but the one that looks."""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import InvalidArgumentError, InvalidStateError
from jupyter_containers.oci.state import Status
from tests.integration.engine_fixtures import BUSYBOX, Place, run_program
from tests.integration.waiting import until

NONE = {"network": "none"}
ANOTHER_KERNEL = """
import sys
from pathlib import Path
from jupyter_containers.engine import Engine
root, run_root, flags = sys.argv[1:]
with Engine(root=Path(root), run_root=Path(run_root)) as engine:
    engine.run("busybox", network="none", detach=True, **eval(flags))
"""


def state(engine: Engine, name: str) -> dict[str, Any]:
    document: dict[str, Any] = engine.system.inspect(name)["State"]
    return document


def names_of(engine: Engine, status: str) -> set[str]:
    return {item.name for item in engine.containers(all=True, filters={"status": [status]})}


def in_another_kernel(place: Place, **flags: Any) -> None:
    """Run a detached container from a process that then ends."""
    program = run_program(ANOTHER_KERNEL, str(place.root), str(place.run_root), repr(flags))
    _, errors = program.communicate(timeout=30)
    assert program.returncode == 0, errors


def test_on_failure_restarts_as_often_as_it_may_with_no_kernel_alive(
    engine: Engine, busybox: str, place: Place
) -> None:
    in_another_kernel(
        place, name="failing", restart="on-failure:3", command=["sh", "-c", "echo ran; exit 3"]
    )

    def ended() -> bool:
        document = engine.system.inspect("failing")
        return document["RestartCount"] == 3 and document["State"]["Status"] == "exited"

    until(ended)
    assert state(engine, "failing")["ExitCode"] == 3
    assert [line.data for line in engine.containers.logs("failing")] == [b"ran\n"] * 4
    times = [line.time.timestamp() for line in engine.containers.logs("failing")]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses[0] >= 0.1
    assert pauses[1] >= 0.2
    assert pauses[2] >= 0.4


def test_a_success_ends_on_failure_but_not_always(engine: Engine, busybox: str) -> None:
    engine.run(busybox, ["true"], detach=True, name="once", restart="on-failure", **NONE)
    until(lambda: state(engine, "once")["Status"] == "exited")
    time.sleep(0.3)
    assert engine.system.inspect("once")["RestartCount"] == 0
    engine.run(busybox, ["true"], detach=True, name="again", restart="always", **NONE)
    until(lambda: engine.system.inspect("again")["RestartCount"] >= 2)
    engine.containers.stop("again")
    count = engine.system.inspect("again")["RestartCount"]
    time.sleep(1)
    assert state(engine, "again")["Status"] == "exited"
    assert engine.system.inspect("again")["RestartCount"] == count


def test_a_restarting_container_as_its_users_see_it(engine: Engine, busybox: str) -> None:
    command = ["sh", "-c", "exit 4"]
    engine.run(busybox, command, detach=True, name="back", restart="always", **NONE)
    until(lambda: state(engine, "back")["Restarting"], 30)
    shown = next(item for item in engine.containers() if item.name == "back")
    if shown.status is Status.RESTARTING:
        assert shown.status_text.startswith("Restarting (4) ")
    until(lambda: engine.system.inspect("back")["RestartCount"] >= 3)
    until(lambda: state(engine, "back")["Status"] == "restarting")
    with pytest.raises(InvalidStateError, match="restarting"):
        engine.containers.exec("back", ["true"])
    with pytest.raises(InvalidStateError):
        engine.containers.remove("back")
    engine.containers.remove("back", force=True)


def test_a_stop_or_kill_by_hand_ends_the_restarts_and_a_start_begins_anew(
    engine: Engine, busybox: str
) -> None:
    for end in (
        lambda: engine.containers.stop("kept", timeout=0),
        lambda: engine.containers.kill("kept"),
    ):
        engine.run(busybox, ["sleep", "60"], detach=True, name="kept", restart="always", **NONE)
        end()
        until(lambda: state(engine, "kept")["Status"] == "exited")
        time.sleep(0.4)
        assert state(engine, "kept")["Status"] == "exited"
        engine.containers.start("kept")
        process = engine.containers.get("kept").record.state.process
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)  # not by us: it comes back
        until(lambda: engine.system.inspect("kept")["RestartCount"] == 1)
        until(lambda: state(engine, "kept")["Status"] == "running")
        engine.containers.remove("kept", force=True)


def test_a_foreground_run_returns_at_the_first_end_and_the_restarts_go_on(
    engine: Engine, busybox: str
) -> None:
    result = engine.run(
        busybox,
        ["sh", "-c", "echo once; exit 7"],
        name="front",
        restart="on-failure:1",
        check=False,
        **NONE,
    )
    assert (result.exit_code, result.stdout) == (7, b"once\n")
    until(lambda: engine.system.inspect("front")["RestartCount"] == 1)


def test_a_restarted_container_keeps_its_files_and_shared_parts(
    engine: Engine, busybox: str
) -> None:
    engine.volumes.create("kept-part")
    engine.run(busybox, ["mkdir", "/v/in"], rm=True, volume="kept-part:/v", **NONE)
    script = "echo x >> /count; echo y >> /p/count; [ $(wc -l < /count) -ge 3 ] && sleep 60; exit 1"
    engine.run(
        busybox,
        ["sh", "-c", script],
        detach=True,
        name="counting",
        restart="always",
        mount="type=volume,source=kept-part,target=/p,volume-subpath=in",
        **NONE,
    )
    until(lambda: engine.system.inspect("counting")["RestartCount"] == 2)
    until(lambda: state(engine, "counting")["Status"] == "running")
    assert engine.containers.exec("counting", ["wc", "-l", "/p/count"]).output.split()[0] == "3"
    monitor = engine.containers.get("counting").record.state.monitor
    assert monitor is not None
    mounts = Path(f"/proc/{monitor.pid}/mountinfo").read_text().splitlines()
    assert sum("containers/" in line and "rootfs" in line for line in mounts) == 1
    engine.containers.remove("counting", force=True)
    files = engine.run(busybox, ["ls", "/v/in"], rm=True, volume="kept-part:/v", **NONE)
    assert files.output.split() == ["count"]
    engine.volumes.remove("kept-part")


def test_a_restarted_container_is_reached_by_port_and_by_name_again(
    engine: Engine, busybox: str
) -> None:
    engine.networks.create("comeback")
    flags = {"network": "comeback", "detach": True}
    engine.run(
        busybox, ["httpd", "-f", "-p", "80"], name="web", restart="always", publish="80", **flags
    )
    engine.run(busybox, ["sleep", "60"], name="client", **flags)
    process = engine.containers.get("web").record.state.process
    assert process is not None
    process.signal()
    until(lambda: engine.system.inspect("web")["RestartCount"] == 1)
    until(lambda: state(engine, "web")["Status"] == "running")
    (binding,) = engine.system.inspect("web")["NetworkSettings"]["Ports"]["80/tcp"]

    def answers() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", int(binding["HostPort"])), 2) as client:
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                return client.recv(4) == b"HTTP"
        except OSError:
            return False

    until(answers)
    fetched = engine.containers.exec("client", ["wget", "-S", "-O-", "http://web/"], check=False)
    assert b"404" in fetched.stderr
    for name in ("web", "client"):
        engine.containers.remove(name, force=True)
    until(lambda: not engine.networks.inspect("comeback")["Containers"])
    engine.networks.remove("comeback")


def test_after_a_boot_the_first_engine_starts_what_should_be(tmp_path: Path) -> None:
    place = Place.under(tmp_path)
    with place.engine() as engine:
        engine.images.bootstrap(BUSYBOX)
        for name, policy in (
            ("none", "no"),
            ("always", "always"),
            ("stopped", "unless-stopped"),
            ("unless", "unless-stopped"),
            ("failing", "on-failure"),
        ):
            engine.run(BUSYBOX, ["sleep", "60"], detach=True, name=name, restart=policy, **NONE)
        engine.run(BUSYBOX, ["sleep", "60"], detach=True, name="passing", rm=True, **NONE)
        engine.containers.create(BUSYBOX, ["sleep", "60"], name="new", restart="always", **NONE)
        engine.containers.stop("stopped", timeout=0)
        records = [item.record for item in engine.containers()]
    # The power fails: monitors first, so that nothing can be written down.
    for record in records:
        for process in (record.state.monitor, record.state.process):
            assert process is not None
            process.signal(signal.SIGKILL)
            process.wait(timeout=5)
    (place.root / "boot-id").write_text("an earlier boot")
    with place.engine() as engine:
        running = {"always", "unless", "failing"}
        until(
            lambda: (
                {item.name for item in engine.containers(filters={"status": ["running"]})}
                == running
            )
        )
        exited = {item.name for item in engine.containers(all=True, filters={"status": ["exited"]})}
        assert exited == {"none", "stopped"}
        assert state(engine, "none")["ExitCode"] == 255
        assert state(engine, "new")["Status"] == "created"
        for item in engine.containers(all=True):
            engine.containers.remove(item.id, force=True)
        from tests.integration.engine_fixtures import demolish

        demolish(engine)


# -- health --------------------------------------------------------------------------------------


def events_of(engine: Engine, name: str) -> list[str]:
    feed = engine.system.events(
        filters={"container": [name], "event": ["health_status"]}, follow=False
    )
    return [event.action for event in feed]


def test_health_becomes_healthy_and_unhealthy_with_no_kernel_alive(
    engine: Engine, busybox: str, place: Place
) -> None:
    in_another_kernel(
        place,
        name="checked",
        command=["sleep", "60"],
        health_cmd="echo looking; test -e /ok",
        health_interval="200ms",
        health_retries=2,
        health_start_period="1s",
        health_start_interval="100ms",
    )
    document = state(engine, "checked")["Health"]
    assert document["Status"] == "starting"
    assert engine.containers.get("checked").status_text.endswith("(health: starting)")
    engine.containers.exec("checked", ["touch", "/ok"])
    until(lambda: state(engine, "checked")["Health"]["Status"] == "healthy")
    assert engine.containers.get("checked").status_text.endswith("(healthy)")
    engine.containers.exec("checked", ["rm", "/ok"])
    until(lambda: state(engine, "checked")["Health"]["Status"] == "unhealthy")
    health = state(engine, "checked")["Health"]
    assert health["FailingStreak"] >= 2
    assert 1 <= len(health["Log"]) <= 5
    assert health["Log"][-1]["ExitCode"] == 1
    assert health["Log"][-1]["Output"] == "looking\n"
    until(
        lambda: (
            events_of(engine, "checked") == ["health_status: healthy", "health_status: unhealthy"]
        )
    )
    check = engine.system.inspect("checked")["Config"]["Healthcheck"]
    assert check["Test"] == ["CMD-SHELL", "echo looking; test -e /ok"]
    assert (check["Interval"], check["Retries"]) == (200_000_000, 2)
    companions = engine.containers.get("checked").record.state.companions
    assert all(companion.alive for companion in companions)
    engine.containers.stop("checked", timeout=0)
    until(lambda: not any(companion.alive for companion in companions))
    assert state(engine, "checked")["Health"]["Status"] == "unhealthy"


def test_a_check_that_takes_too_long_is_ended_in_the_container_too(
    engine: Engine, busybox: str
) -> None:
    engine.run(
        busybox,
        ["sleep", "60"],
        detach=True,
        name="slow",
        health_cmd="sleep 333; true",
        health_interval="100ms",
        health_timeout="300ms",
        health_retries=1,
        **NONE,
    )
    until(lambda: state(engine, "slow")["Health"]["FailingStreak"] >= 4)
    assert state(engine, "slow")["Health"]["Status"] == "unhealthy"
    result = state(engine, "slow")["Health"]["Log"][0]
    assert (result["ExitCode"], result["Output"]) == (
        -1,
        "Health check exceeded timeout (0.3s)\n",
    )
    found = engine.containers.exec("slow", ["sh", "-c", "ps | grep -c '[s]leep 333'"], check=False)
    assert int(found.output) <= 2  # at most the probe of this moment: the shell and its sleep


def test_checks_rest_while_the_container_is_paused(engine: Engine, busybox: str) -> None:
    flags = {"health_cmd": "true", "health_interval": "100ms"}
    engine.run(busybox, ["sleep", "60"], detach=True, name="resting", **flags, **NONE)
    until(lambda: state(engine, "resting")["Health"]["Status"] == "healthy")
    engine.containers.pause("resting")
    (companion,) = engine.containers.get("resting").record.state.companions
    until(lambda: Path(f"/proc/{companion.pid}/stat").read_text().split(") ")[1][0] == "T")
    before = state(engine, "resting")["Health"]["Log"][-1]["Start"]
    time.sleep(0.3)
    assert state(engine, "resting")["Health"]["Log"][-1]["Start"] == before
    engine.containers.unpause("resting")
    until(lambda: state(engine, "resting")["Health"]["Log"][-1]["Start"] != before)
    assert state(engine, "resting")["Health"]["Status"] == "healthy"


def test_the_images_check_is_used_and_may_be_switched_off(engine: Engine, busybox: str) -> None:
    dockerfile = f"FROM {busybox}\nHEALTHCHECK --interval=100ms CMD exit 0\n"
    engine.build(dockerfile=dockerfile, tag="with-check:1")
    engine.run("with-check:1", ["sleep", "60"], detach=True, name="image-check", **NONE)
    until(lambda: state(engine, "image-check")["Health"]["Status"] == "healthy")
    engine.run(
        "with-check:1", ["sleep", "60"], detach=True, name="off", no_healthcheck=True, **NONE
    )
    assert "Health" not in state(engine, "off")
    assert engine.system.inspect("off")["Config"]["Healthcheck"]["Test"] == ["NONE"]


def test_a_hostile_check_stays_data(engine: Engine, busybox: str, tmp_path: Path) -> None:
    mark = tmp_path / "reached-the-host"
    command = f"touch {mark}; '; touch {mark} #' \"$(touch {mark})\" `touch {mark}`"
    flags = {"health_cmd": command, "health_interval": "100ms", "health_retries": 1}
    engine.run(busybox, ["sleep", "60"], detach=True, name="hostile", **flags, **NONE)
    until(lambda: state(engine, "hostile")["Health"]["Log"])
    assert not mark.exists()


# -- logs ----------------------------------------------------------------------------------------


def text_of(engine: Engine, name: str, **flags: Any) -> bytes:
    return b"".join(line.data for line in engine.containers.logs(name, **flags))


# Docker 20.10 keeps files of 20,074 and 20,076 bytes from the same burst, and the newest of 17,479.
BURST = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; done"
ROTATED = ["max-size=20k", "max-file=3"]


def sizes_of(folder: Path) -> dict[str, int]:
    sizes = {}
    for path in folder.glob("container.log*"):
        with suppress(FileNotFoundError):  # renamed in this moment
            sizes[path.name] = path.stat().st_size
    return sizes


def is_rotated(sizes: dict[str, int]) -> bool:
    """Return whether files are as many and as long as Docker's; a quarter is one write's slack."""
    allowed = {"container.log", "container.log.1", "container.log.2"}
    return "container.log" in sizes and set(sizes) <= allowed and max(sizes.values()) <= 25_600


def check_newest(text: bytes) -> None:
    """Fail where anything is missing from the newest lines."""
    lines = text.splitlines()
    assert len(lines) >= 360  # 20,000 bytes and more
    assert lines == [b"line %d" % number for number in range(3001 - len(lines), 3001)]


def test_a_burst_is_rotated_as_it_is_written(engine: Engine, busybox: str) -> None:
    """Seen to fail with a look a second: 150,000 bytes in one file."""
    script = f"{BURST}; sleep 60"
    command = ["sh", "-c", script]
    engine.run(busybox, command, detach=True, name="chatty", log_opt=ROTATED, **NONE)
    folder = engine._lifecycle.bundle(engine.containers.get("chatty").id).folder
    until(lambda: len(sizes_of(folder)) == 3)
    until(lambda: is_rotated(sizes_of(folder)))
    until(lambda: text_of(engine, "chatty").endswith(b"line 3000\n"))
    check_newest(text_of(engine, "chatty"))
    for _ in range(3):
        engine.containers.exec("chatty", ["sh", "-c", f"({BURST}) >/proc/1/fd/1"])
        time.sleep(0.3)
    # A file that had grown too long would stay so, however late it is looked at.
    until(lambda: text_of(engine, "chatty").endswith(b"line 3000\n"))
    until(lambda: is_rotated(sizes_of(folder)))
    check_newest(text_of(engine, "chatty"))
    assert text_of(engine, "chatty", tail=100) == text_of(engine, "chatty")[-100 * 10 :]
    assert engine.system.inspect("chatty")["HostConfig"]["LogConfig"] == {
        "Type": "json-file",
        "Config": {"max-size": "20k", "max-file": "3"},
    }


def test_the_last_burst_of_a_container_is_rotated(engine: Engine, busybox: str) -> None:
    """Seen to fail before: no process watches the log of a container that has ended."""
    result = engine.run(busybox, ["sh", "-c", BURST], name="short", log_opt=ROTATED, **NONE)
    sizes = sizes_of(engine._lifecycle.bundle(result.container_id).folder)
    assert is_rotated(sizes), sizes
    check_newest(text_of(engine, "short"))


def test_a_follower_reads_a_burst_once(engine: Engine, busybox: str) -> None:
    """It has the file open that is cut into others, with more of them kept than the burst needs."""
    engine.run(
        busybox,
        ["sh", "-c", f"{BURST}; sleep 1; echo end"],
        detach=True,
        name="followed",
        log_opt=["max-size=20k", "max-file=20"],
        **NONE,
    )
    text = b"".join(line.data for line in engine.containers.logs("followed", follow=True))
    assert text == b"".join(b"line %d\n" % number for number in range(1, 3001)) + b"end\n"


def test_followed_logs_lose_nothing_in_a_rotation(engine: Engine, busybox: str) -> None:
    pause = "[ $((i % 100)) != 0 ] || sleep 0.02"
    script = f"i=0; while [ $i -lt 4000 ]; do i=$((i+1)); echo line $i; {pause}; done"
    engine.run(
        busybox,
        ["sh", "-c", script],
        detach=True,
        name="long",
        log_opt=["max-size=10k", "max-file=9"],
        **NONE,
    )
    text = b"".join(line.data for line in engine.containers.logs("long", follow=True))
    assert text == b"".join(b"line %d\n" % number for number in range(1, 4001))


def test_one_file_is_kept_short_by_the_monitor(engine: Engine, busybox: str) -> None:
    script = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; done"
    engine.run(busybox, ["sh", "-c", script], name="short", log_opt="max-size=10k", **NONE)
    folder = engine._lifecycle.bundle(engine.containers.get("short").id).folder
    assert (folder / "container.log").stat().st_size <= 10 * 1024
    assert not (folder / "container.log.1").exists()
    assert [line.data for line in engine.containers.logs("short")][-1] == b"line 3000\n"


def test_the_driver_none_keeps_no_log(engine: Engine, busybox: str) -> None:
    result = engine.run(busybox, ["echo", "seen"], name="quiet", log_driver="none", **NONE)
    assert result.output == "seen\n"
    with pytest.raises(InvalidArgumentError, match="logging driver"):
        engine.containers.logs("quiet")
    assert not engine._lifecycle.bundle(result.container_id).log.exists()
