"""An engine with its own store, and checks that it leaves nothing behind.

Vocabulary: a *place* is the two folders of one store; *traces* are everything of that store that
the kernel knows: mounts, links, published ports, cgroups, processes, runtime state.  Folder,
bridge and cgroup parent distinguish them from those of other stores on the same machine.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from jupyter_containers.engine import Engine
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.network import links
from jupyter_containers.network.netlink import NetlinkSocket
from jupyter_containers.runtime import cgroups

BUSYBOX = "busybox:latest"


@dataclass(frozen=True, slots=True)
class Place:
    """The place of one store."""

    root: Path
    run_root: Path

    @classmethod
    def under(cls, folder: Path) -> Place:
        return cls(folder / "root", folder / "run")

    def engine(self, **settings: object) -> Engine:
        return Engine(root=self.root, run_root=self.run_root, **settings)

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that point other programs to the store."""
        return {
            "JUPYTER_CONTAINERS_ROOT": str(self.root),
            "JUPYTER_CONTAINERS_RUN_ROOT": str(self.run_root),
        }


@dataclass(frozen=True)
class Traces:
    """The traces of one store on the machine."""

    mounts: frozenset[str]
    links: frozenset[str]
    ports: frozenset[str]
    cgroups: frozenset[str]
    processes: frozenset[str]
    states: frozenset[str]
    addresses: frozenset[str]

    def beyond(self, before: Traces) -> dict[str, list[str]]:
        """Return the objects that did not exist before, by kind."""
        new = {
            field.name: sorted(getattr(self, field.name) - getattr(before, field.name))
            for field in fields(self)
        }
        return {kind: found for kind, found in new.items() if found}


def traces(engine: Engine) -> Traces:
    context: EngineContext = engine._context
    root, run_root = str(engine.settings.root), str(engine.settings.run_root)
    layout, parent = context.host.cgroups, context.runtime.cgroup_parent
    groups = {
        f"{folder}/{name}"
        for folder in layout.folders(parent)
        for name in (os.listdir(folder) if os.path.isdir(folder) else ())
        if os.path.isdir(f"{folder}/{name}")
    }
    bridges = {network.interface for network in context.networks.all()}
    with NetlinkSocket() as route:
        found = links.get_links(route)
    masters = {link.index for link in found if link.name in bridges}
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return Traces(
        mounts=frozenset(line for line in mounts if root in line or run_root in line),
        links=frozenset(link.name for link in found if link.master in masters),
        ports=frozenset(
            str(port) for owned in context.firewall.current().values() for port in owned
        ),
        cgroups=frozenset(groups),
        processes=frozenset(_processes(root, run_root, {Path(name).name for name in groups})),
        states=frozenset(context.runtime.container_ids()),
        addresses=frozenset(item.address for item in context.endpoints.all()),
    )


def staged(engine: Engine) -> list[str]:
    """Return the entries of the staging folder once pending deletions are done."""
    engine._context.store._staging.finish()
    return os.listdir(engine.settings.root / "staging")


def _processes(root: str, run_root: str, groups: set[str]) -> Iterator[str]:
    """Yield the processes that name one of the folders, or are in one of the groups.

    Every test looks for them, at all of the machine's processes: what most have not is read last.
    """
    folders = b"|".join(re.escape(os.fsencode(folder)) for folder in (root, run_root))
    named = re.compile(rb"(%s)(/|\0| |$)" % folders)
    member = re.compile(b"|".join(re.escape(os.fsencode(name)) for name in groups) or b"(?!)")
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            line = _read(f"/proc/{entry}/cmdline")
            ours = named.search(line) and b"-m\0pytest" not in line
            if not ours and not member.search(_read(f"/proc/{entry}/cgroup")):
                continue
            state = _read(f"/proc/{entry}/stat").rpartition(b")")[2].split()[0]
        except OSError:
            continue
        if state != b"Z":  # its parent's affair; it holds nothing
            words = line.replace(b"\0", b" ").decode("utf-8", "replace").strip()
            yield f"{entry} {words[:300]}"


def _read(path: str) -> bytes:
    """Return a file of ``/proc``, in a quarter of the time that a file object takes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return b"".join(iter(lambda: os.read(descriptor, 65_536), b""))
    finally:
        os.close(descriptor)


def settled(engine: Engine, before: Traces, timeout: float = 40.0) -> dict[str, list[str]]:
    """Return the remains beyond ``before`` once the machine is idle.

    The kernel removes a veth pair, and conmon runs its exit command, a moment after a container
    ended; anything left after ``timeout`` seconds stays for good.
    """
    deadline = time.monotonic() + timeout
    while left := traces(engine).beyond(before):
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return left


@contextmanager
def nothing_left(engine: Engine) -> Iterator[None]:
    """Fail when the block leaves anything of the engine's store on the machine."""
    before = traces(engine)
    yield
    left = settled(engine, before)
    assert not left, f"left behind: {left}"


def demolish(engine: Engine) -> None:
    """Remove every container of the store, its bridges, firewall table and cgroup parent."""
    context = engine._context
    for container in engine.containers(all=True):
        engine.containers.remove(container.id, force=True, volumes=True)
    deadline = time.monotonic() + 5
    for network in context.networks.all():
        while True:
            try:
                context.bridge.remove_bridge(network)
                break
            except Exception:
                # The kernel takes the last veth pair away a moment after its container ended.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
    cgroups.remove(context.host.cgroups, context.runtime.cgroup_parent)


@contextmanager
def fresh_engine(folder: Path, **settings: object) -> Iterator[Engine]:
    """Yield an engine with an empty store in ``folder``; all of it is gone afterwards."""
    with Place.under(folder).engine(**settings) as engine:
        try:
            yield engine
        finally:
            demolish(engine)


def busybox_program(engine: Engine) -> bytes:
    """Return the program that all of the image's commands are; the image is in the store."""
    [chain] = engine._images.find(BUSYBOX).chain_ids
    [folder] = engine._context.store.snapshots.lower_folders(chain)
    return (folder / "bin/busybox").read_bytes()


def busybox_tar(engine: Engine, folder: Path) -> Path:
    """Return a tar of busybox's root file system, for importing it elsewhere."""
    target = folder / "busybox.tar"
    result = engine.run(BUSYBOX, ["tar", "-c", "-C", "/", "bin", "etc", "root", "tmp"], rm=True)
    target.write_bytes(result.stdout)
    return target


def run_program(script: str, *arguments: str, python: str | None = None) -> subprocess.Popen[str]:
    """Start a Python program in its own process (and session), like another kernel."""
    import sys

    return subprocess.Popen(
        [python or sys.executable, "-c", script, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
