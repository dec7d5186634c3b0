"""explain agrees with the kernel about a real container."""

import glob
import os
import re
from collections.abc import Iterator

import pytest

from jupyter_containers import Engine
from jupyter_containers.engine.containers.explain import Explanation, Section
from jupyter_containers.errors import ContainerNotFoundError, NotFoundError


def inside(section: Section, what: str) -> str:
    return next(line.inside for line in section.lines if line.what.startswith(what))


def outside(section: Section, what: str) -> str:
    return next(line.outside for line in section.lines if line.what.startswith(what))


@pytest.fixture
def explanation(engine: Engine, busybox: str) -> Iterator[Explanation]:
    engine.run(
        busybox,
        ["sleep", "300"],
        detach=True,
        name="seen",
        memory="64m",
        cpus="0.5",
        volume=["notes:/notes"],
    )
    yield engine.containers.explain("seen")
    engine.containers.remove("seen", force=True)
    engine.volumes.remove("notes")


def test_namespaces_are_the_containers_own(explanation: Explanation) -> None:
    section = explanation.section("Namespaces")
    for name in ("pid", "mnt", "net", "uts", "ipc", "cgroup"):
        assert inside(section, f"{name}:") != outside(section, f"{name}:")
    assert inside(section, "user:").endswith("(the host's own)")


def test_pid_1_is_an_ordinary_process_of_the_host(explanation: Explanation) -> None:
    section = explanation.section("Processes")
    assert inside(section, "sleep 300") == "pid 1"
    match = re.match(r"pid (\d+), uid 0", outside(section, "sleep 300"))
    assert match
    with open(f"/proc/{match[1]}/cmdline", "rb") as file:
        assert file.read() == b"sleep\x00300\x00"


def test_limits_stand_in_files_that_exist(explanation: Explanation) -> None:
    section = explanation.section("Control groups")
    assert inside(section, "memory limit") == "64.0 MiB"
    assert inside(section, "CPU quota") == "0.5 CPUs"
    name, _, value = outside(section, "memory limit").partition(" = ")
    [path] = glob.glob(f"{outside(section, 'folder')}/{name}")
    with open(path, encoding="ascii") as file:
        assert file.read().strip() == value == str(64 << 20)


def test_layers_are_folders_that_exist(explanation: Explanation) -> None:
    section = explanation.section("Layers")
    assert os.path.isdir(outside(section, "writable layer"))
    assert os.path.isfile(outside(section, "layer 1") + "/bin/busybox")


def test_mounts_privileges_and_network(explanation: Explanation, engine: Engine) -> None:
    mounts = explanation.section("Mounts")
    assert inside(mounts, "/").startswith("overlay")
    assert outside(mounts, "/notes") == "volume notes"
    privileges = explanation.section("Privileges")
    assert "CHOWN" in inside(privileges, "capabilities")
    assert "SYS_ADMIN" in inside(privileges, "taken away")
    assert inside(privileges, "system calls") == "filter"
    network = explanation.section("Network")
    address = engine.containers.get("seen").ip_address
    assert inside(network, "address in bridge").startswith(f"{address}/")
    assert inside(network, "interfaces") == "lo eth0"


def test_one_that_does_not_run_shows_what_is_there(engine: Engine, busybox: str) -> None:
    engine.containers.create(busybox, ["true"], name="asleep")
    found = engine.containers.explain("asleep")
    assert not found.running
    assert [section.title for section in found.sections] == ["Layers", "Network"]
    with pytest.raises(NotFoundError, match="no section 'Processes'"):
        found.section("Processes")


def test_no_such_container(engine: Engine) -> None:
    with pytest.raises(ContainerNotFoundError):
        engine.containers.explain("nobody")
