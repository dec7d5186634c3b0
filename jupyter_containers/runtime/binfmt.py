"""Emulators for programs of other architectures, registered in the kernel's binfmt_misc.

An entry works in containers if it is enabled and has the flag ``F``: its interpreter was opened on
the host, so that the image need not contain it (kernel documentation, "binfmt-misc").
"""

from __future__ import annotations

from pathlib import Path

from jupyter_containers.errors import UnsupportedError
from jupyter_containers.oci.descriptor import Platform

REGISTRY = Path("/proc/sys/fs/binfmt_misc")
# QEMU's names of architectures whose names differ in Go.
_NAMES = {
    "amd64": "x86_64",
    "386": "i386",
    "arm64": "aarch64",
    "mips64le": "mips64el",
    "mipsle": "mipsel",
    "loong64": "loongarch64",
}
# 64-bit processors that run their 32-bit programs themselves.
_NATIVE = {"amd64": {"386"}}


def require_runnable(
    wanted: Platform, host: Platform | None = None, registry: Path = REGISTRY
) -> None:
    """Raise :class:`UnsupportedError` if this machine cannot run programs of a platform."""
    machine = host or Platform.host()
    own = {machine.architecture} | _NATIVE.get(machine.architecture, set())
    if wanted.os == machine.os and wanted.architecture in own:
        return
    name = _NAMES.get(wanted.architecture, wanted.architecture)
    problem = _problem(registry, name) if wanted.os == machine.os else "no emulator does that"
    if problem:
        raise UnsupportedError(
            f"programs for {wanted} cannot run on {machine}: {problem}",
            capability=f"running {wanted} programs (binfmt_misc with qemu-{name})",
            provided_by="apt-get install qemu-user-static binfmt-support",
            hint="apt-get install qemu-user-static binfmt-support; steps without RUN need none",
        )


def _problem(registry: Path, name: str) -> str:
    """Return why no emulator works in containers; an empty text if one does."""
    found = ""
    for entry in (f"qemu-{name}", f"qemu-{name}-static"):
        try:
            lines = (registry / entry).read_text().splitlines()
        except OSError:
            continue
        flags = next((line for line in lines if line.startswith("flags:")), "")
        if "enabled" not in lines[:1]:
            found = f"{entry} is disabled"
        elif "F" not in flags.partition(":")[2]:
            found = f"{entry} is registered without the flag F"
        else:
            return ""
    return found or f"no qemu-{name} is registered in {registry}"
