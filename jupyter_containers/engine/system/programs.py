"""doctor's report on the programs below the engine: known vulnerabilities, missing filters."""

from __future__ import annotations

import os
from collections.abc import Mapping

from jupyter_containers.runtime.advisories import known_advisories, remedy, versions
from jupyter_containers.runtime.host import (
    Capability,
    HostCapabilities,
    find_program,
    version_output,
)
from jupyter_containers.runtime.seccomp import hides_socket_families

_FURTHER = ("slirp4netns", "fuse-overlayfs", "nft")


def program_versions(host: HostCapabilities) -> dict[str, str]:
    """Return the version output of this host's programs, by name."""
    paths = {name: find_program(name) for name in _FURTHER} | {"conmon": host.conmon}
    if host.runtime is not None:
        paths[host.runtime.name] = host.runtime.path
    return {name: version_output(path) for name, path in paths.items() if path}


def advisories(outputs: Mapping[str, str]) -> tuple[Capability, ...]:
    """Return one line per program with known vulnerabilities, or one that reports none."""
    found = []
    for name, text in outputs.items():
        for program in versions(name, text):
            holes = known_advisories(program)
            if holes:
                numbers = ", ".join(hole.cve for hole in holes)
                detail = f"{program.package or program.version}: {numbers}"
                why = "; ".join(dict.fromkeys(hole.what for hole in holes))
                found.append(
                    Capability(f"{program.name} advisories", False, detail, why, remedy(holes))
                )
    if found:
        return tuple(found)
    names = ", ".join(outputs)
    return (
        Capability(
            "advisories",
            True,
            f"none known for {names}",
            "images can exploit no known vulnerability",
        ),
    )


def confinement(host: HostCapabilities, *, loaded: bool) -> tuple[Capability, ...]:
    """Return what prevents the host's security modules from confining containers, if anything.

    ``loaded`` means that the kernel has the engine's AppArmor profile.
    """
    found = []
    root = host.users.initial and os.geteuid() == 0
    if host.modules.apparmor and not loaded and not (root and find_program("apparmor_parser")):
        found.append(
            Capability(
                "AppArmor profile",
                False,
                "not loaded, and only root with apparmor_parser loads it",
                "AppArmor confines containers as Docker's does",
                "apt-get install apparmor" if root else "as root: start any container once",
            )
        )
    if host.modules.selinux and not host.modules.process_label:
        found.append(
            Capability(
                "SELinux labels",
                False,
                "this policy has no label for containers",
                "SELinux keeps containers from the host and from each other",
                "as root: dnf install container-selinux",
            )
        )
    return tuple(found)


def seccomp(host: HostCapabilities, outputs: Mapping[str, str]) -> Capability:
    """Return whether containers have a system call filter, and what it cannot block."""
    name = host.runtime.name if host.runtime else ""
    text = outputs.get(name, "")
    built = not text or "libseccomp" in text or "+SECCOMP" in text
    why = "containers cannot use dangerous system calls"
    if not host.seccomp:
        return Capability(
            "seccomp", False, "not in this kernel", why, "a kernel with CONFIG_SECCOMP_FILTER"
        )
    if not built:
        path = host.runtime.path if host.runtime else name
        return Capability(
            "seccomp", False, f"{os.path.basename(path)} was built without it", why,
            f"a {name} with libseccomp",
        )  # fmt: skip
    if hides_socket_families(host.architecture):
        return Capability(
            "seccomp",
            False,
            f"on {host.architecture} it cannot keep containers from AF_VSOCK and AF_ALG",
            why,
            "as root, where they are modules: modprobe -r vsock af_alg",
        )
    return Capability("seccomp", True, f"kernel filter for {host.architecture}", why)
