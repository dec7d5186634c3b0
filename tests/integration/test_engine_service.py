"""Services: ready when the block begins, gone when it ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any
from urllib.request import urlopen

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import (
    ContainerFailedError,
    InvalidArgumentError,
    OCIRuntimeError,
    ServiceNotReadyError,
)
from tests.ports import free_port

SERVE = "mkdir /www; echo hello > /www/index.html; sleep 0.5; exec httpd -f -p 7000 -h /www"
LATE = ["sh", "-c", SERVE]


def test_a_service_takes_connections_when_the_block_begins(engine: Engine, busybox: str) -> None:
    with engine.workloads.service(busybox, LATE, ports=7000, env=["A=1"]) as service:
        with urlopen(f"http://{service.address}/") as answer:
            assert answer.read() == b"hello\n"
        assert service.ports == {7000: service.port}
        assert service.address == f"127.0.0.1:{service.port}"
        assert service.name.startswith("busybox-")
        assert service.container.exec(["sh", "-c", "echo $A"]).output == "1\n"
    assert engine.containers(all=True) == []


def test_its_ports_may_be_named(engine: Engine, busybox: str) -> None:
    free, further = free_port(), free_port()
    named = {"name": "named", "publish": f"127.0.0.1:{further}:7001"}
    both = ["sh", "-c", "httpd -p 7001; exec httpd -f -p 7000"]
    with engine.workloads.service(busybox, both, ports={7000: free}, **named) as service:
        assert (service.address, service.name) == (f"127.0.0.1:{free}", "named")
        assert f"127.0.0.1:{further}->7001/tcp" in service.container.ports


def test_a_health_check_decides_where_there_is_one(engine: Engine, busybox: str) -> None:
    command = ["sh", "-c", "sleep 0.7; touch /ready; sleep 60"]
    check = {"health_cmd": "test -e /ready", "health_interval": "100ms", "health_retries": 50}
    with engine.workloads.service(busybox, command, network="none", **check) as service:
        assert service.container.health == "healthy"
        assert service.container.exec(["ls", "/ready"]).exit_code == 0
        with pytest.raises(InvalidArgumentError, match="publishes no port"):
            _ = service.address


def test_the_caller_may_decide(engine: Engine, busybox: str) -> None:
    asked: list[str] = []

    def ready(service: Any) -> bool:
        asked.append(service.container.status)
        return len(asked) == 3

    with engine.workloads.service(busybox, ["sleep", "60"], ready=ready, network="none"):
        assert asked == ["running"] * 3


def test_what_is_not_ready_or_ends_is_told_and_removed(engine: Engine, busybox: str) -> None:
    waits = engine.workloads.service(
        busybox, ["sh", "-c", "echo up; sleep 60"], ports=7000, timeout=0.5
    )
    with pytest.raises(ServiceNotReadyError, match="listens on port 7000") as late, waits:
        pytest.fail("it is not ready")
    assert late.value.log_tail == ("up",)
    ends = engine.workloads.service(busybox, ["sh", "-c", "echo no config; exit 2"], ports=7000)
    with pytest.raises(ContainerFailedError, match=r"before .*\(exit code 2\)") as ended, ends:
        pytest.fail("it is not ready")
    assert ended.value.log_tail == ("no config",)
    with pytest.raises(OCIRuntimeError), engine.workloads.service(busybox, ["nosuch"]):
        pytest.fail("it is not ready")
    assert engine.containers(all=True) == []


def test_a_service_goes_however_its_block_ends(engine: Engine, busybox: str) -> None:
    before = engine.containers(all=True), engine.volumes()
    service = engine.workloads.service(busybox, ["sleep", "60"], network="none", volume=["/v"])
    with pytest.raises(ZeroDivisionError), service:
        _ = 1 / 0
    assert (engine.containers(all=True), engine.volumes()) == before


def test_an_interrupt_while_it_is_waited_for_leaves_nothing(engine: Engine, busybox: str) -> None:
    def press() -> None:
        while not engine.containers():
            time.sleep(0.02)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.02)

    presser = threading.Thread(target=press)
    presser.start()
    with (
        pytest.raises(KeyboardInterrupt),
        engine.workloads.service(busybox, ["sleep", "60"], ports=7000),
    ):
        pytest.fail("it is not ready")
    presser.join()
    assert engine.containers(all=True) == []


def test_before_its_block_there_is_no_container(engine: Engine, busybox: str) -> None:
    with pytest.raises(InvalidArgumentError, match="has not begun"):
        _ = engine.workloads.service(busybox).container
