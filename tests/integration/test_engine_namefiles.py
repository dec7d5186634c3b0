"""hosts, hostname and resolv.conf of containers: editable, current, and no way to fill a disk."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.engine.containers.container import Container
from jupyter_containers.errors import InvalidStateError

FILL = "dd if=/dev/zero of=/etc/{} bs=64k count=160 2>&1; wc -c < /etc/{}"
FILES = ("hosts", "hostname", "resolv.conf")


def box(engine: Engine, image: str, name: str, **flags: object) -> Container:
    return engine.run(image, ["sleep", "1000"], detach=True, name=name, **flags)


def hosts(container: Container) -> str:
    return container.exec(["cat", "/etc/hosts"]).output


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_names_ends_at_a_small_size(engine: Engine, busybox: str, name: str) -> None:
    """Seen to fail at 39323e0: dd wrote all of 10 MiB to the disk of the host."""
    result = engine.run(busybox, ["sh", "-c", FILL.format(name, name)], rm=True, network="none")
    assert "No space left on device" in result.output
    assert int(result.output.split()[-1]) <= 1024 * 1024


def test_a_build_step_fills_no_disk_either(engine: Engine, busybox: str) -> None:
    """Seen to fail at 39323e0: the step succeeded."""
    dockerfile = f"FROM {busybox}\nRUN ! dd if=/dev/zero of=/etc/hosts bs=64k count=160\n"
    engine.build(dockerfile=dockerfile, tag="filled:1", no_cache=True)
    engine.images.remove("filled:1")


def test_others_names_are_current_beside_a_container_that_filled_its_file(
    engine: Engine, busybox: str
) -> None:
    engine.networks.create("full")
    try:
        filler = box(engine, busybox, "filler", network="full")
        watcher = box(engine, busybox, "watcher", network="full")
        filler.exec(["sh", "-c", FILL.format("hosts", "hosts")])
        late = box(engine, busybox, "late", network="full")
        for container in (watcher, filler):
            assert f"{late.ip_address}\tlate" in hosts(container), container.name
        assert "watcher" in hosts(late)
        late.remove(force=True)
        for container in (watcher, filler):
            assert "late" not in hosts(container)
        filler.exec(["sh", "-c", "dd if=/dev/zero of=/etc/hostname; : > /etc/hosts"], check=False)
        again = box(engine, busybox, "again", network="full")
        assert "again" in hosts(watcher)
        again.remove(force=True)
    finally:
        for name in ("filler", "watcher"):
            engine.containers.remove(name, force=True)
        engine.networks.remove("full")


def test_files_are_edited_inside_and_begin_again_at_the_next_start(
    engine: Engine, busybox: str
) -> None:
    edited = box(engine, busybox, "edited", network="none")
    edited.exec(
        [
            "sh",
            "-c",
            "echo 192.0.2.1 mine >> /etc/hosts; echo nameserver 192.0.2.2 > /etc/resolv.conf",
        ]
    )
    assert "192.0.2.1 mine" in hosts(edited)
    state = edited.inspect()
    assert "192.0.2.1 mine" in Path(state["HostsPath"]).read_text()
    edited.restart(timeout=0)
    assert "mine" not in hosts(edited)
    assert "192.0.2.2" not in edited.exec(["cat", "/etc/resolv.conf"]).output


def test_who_joins_a_network_shares_its_files(engine: Engine, busybox: str) -> None:
    box(engine, busybox, "first")
    second = box(engine, busybox, "second", network="container:first")
    second.exec(["sh", "-c", "echo 192.0.2.1 both >> /etc/hosts"])
    assert "192.0.2.1 both" in hosts(engine.containers.get("first"))
    engine.containers.create(busybox, ["true"], name="third", network="container:first")
    engine.containers.stop("first", timeout=0)
    with pytest.raises(InvalidStateError):
        engine.containers.start("third")


def test_who_starts_at_once_knows_each_other(engine: Engine, busybox: str) -> None:
    """A name that comes between a container's own file and its monitor is not lost."""
    engine.networks.create("crowd")
    names = [f"crowd-{number}" for number in range(8)]
    try:
        threads = [
            threading.Thread(target=box, args=(engine, busybox, name), kwargs={"network": "crowd"})
            for name in names
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name in names:
            known = hosts(engine.containers.get(name))
            assert [other for other in names if f"\t{other} " not in known.replace("\n", " ")] == []
    finally:
        for name in names:
            engine.containers.remove(name, force=True)
        engine.networks.remove("crowd")
