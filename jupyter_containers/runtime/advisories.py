"""Known vulnerabilities of the programs that containers depend on, by version.

An *advisory* is a vulnerability: its CVE number and the first fixed version of each release line. A
distribution may fix a version without changing its number: the fixed revisions of Debian's packages
are in the table too.  Only vulnerabilities that a container or an image can exploit are listed; for
conmon, fuse-overlayfs and nft this table knows none.  crun was checked for CVE-2025-31133 and
related ones, and is not affected (containers/crun issue 1906).

Sources: the advisories of opencontainers/runc, containers/crun, rootless-containers/slirp4netns
and libslirp; changelogs of Debian's packages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_patterns import pattern

_NUMBERS = pattern(r"\d+|[a-z]+")
# A pre-release: 1.0.0-rc95 is older than 1.0.0.
_BEFORE = {"alpha": -4, "beta": -3, "rc": -2}


@dataclass(frozen=True, slots=True)
class Advisory:
    """A vulnerability: ``fixed`` are the first good versions of each release line.

    The last one holds for all later lines.  ``backports`` are versions of Debian's packages that
    contain the fix.
    """

    cve: str
    program: str
    what: str
    fixed: tuple[str, ...]
    backports: tuple[str, ...] = ()


_RUNC_1_1_5 = "1.1.5+ds1-1+deb12u1"
ADVISORIES = (
    Advisory("CVE-2019-5736", "runc", "a container overwrites runc", ("1.0.0-rc7",)),
    Advisory("CVE-2019-16884", "runc", "a volume on /proc evades AppArmor", ("1.0.0-rc9",)),
    Advisory("CVE-2019-19921", "runc", "shared volumes race the mounts", ("1.0.0-rc10",)),
    Advisory(
        "CVE-2021-30465", "runc", "a link swapped while mounting leads to the host",
        ("1.0.0-rc95",), ("1.0.0~rc94+ds1-2",),
    ),
    Advisory("CVE-2021-43784", "runc", "a long configuration overflows a message", ("1.0.3",)),
    Advisory("CVE-2022-29162", "runc", "inheritable capabilities are not empty", ("1.1.2",)),
    Advisory("CVE-2023-25809", "runc", "/sys/fs/cgroup can be written without root", ("1.1.5",)),
    Advisory("CVE-2023-27561", "runc", "shared volumes race the mounts, again", ("1.1.5",)),
    Advisory("CVE-2023-28642", "runc", "/proc as a link evades AppArmor", ("1.1.5",)),
    Advisory(
        "CVE-2024-21626", "runc", "a working directory leads to the host by a leaked descriptor",
        ("1.1.12",), (_RUNC_1_1_5,),
    ),
    Advisory(
        "CVE-2024-45310", "runc", "empty files can be made on the host", ("1.1.14", "1.2.0-rc3")
    ),
    Advisory(
        "CVE-2025-31133", "runc", "a link for /dev/null unmasks files of the kernel",
        ("1.2.8", "1.3.3", "1.4.0-rc3"),
    ),
    Advisory(
        "CVE-2025-52565", "runc", "/dev/console is mounted over a file of the kernel",
        ("1.2.8", "1.3.3", "1.4.0-rc3"),
    ),
    Advisory(
        "CVE-2025-52881", "runc", "writes to /proc are led elsewhere",
        ("1.2.8", "1.3.3", "1.4.0-rc3"),
    ),
    Advisory("CVE-2019-18837", "crun", "an image's link leads a mount to the host", ("0.10.5",)),
    Advisory("CVE-2022-27650", "crun", "inheritable capabilities are not empty", ("1.4.4",)),
    Advisory("CVE-2025-24965", "crun", "the handler krun writes to the host", ("1.20",)),
    Advisory("CVE-2019-14378", "slirp4netns", "writes beyond a packet's fragments", ("0.3.2",)),
    Advisory("CVE-2019-15890", "slirp4netns", "use after free with fragments", ("0.4.1",)),
    Advisory("CVE-2020-1983", "libslirp", "use after free with fragments", ("4.3.0",)),
    Advisory("CVE-2020-10756", "libslirp", "reads beyond an ICMPv6 packet", ("4.3.1",)),
    Advisory("CVE-2020-29129", "libslirp", "reads beyond NC-SI packets", ("4.4.0",)),
    Advisory("CVE-2020-29130", "libslirp", "reads beyond ARP packets", ("4.4.0",)),
    Advisory("CVE-2021-3592", "libslirp", "reads beyond BOOTP packets", ("4.6.0",)),
    Advisory("CVE-2021-3593", "libslirp", "reads beyond UDP packets of IPv6", ("4.6.0",)),
    Advisory("CVE-2021-3594", "libslirp", "reads beyond UDP packets", ("4.6.0",)),
    Advisory("CVE-2021-3595", "libslirp", "reads beyond TFTP packets", ("4.6.0",)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Program:
    """A program or library, its version and, if known, that of its Debian package."""

    name: str
    version: str
    package: str = ""


def versions(name: str, said: str) -> tuple[Program, ...]:
    """Return the versions in the ``--version`` output of the program ``name``."""
    found = []
    own = re.search(rf"{re.escape(name)}(?: version|: version|) v?(\d\S*)", said)
    if own:
        # Debian's runc prints its package version where others print the commit.
        package = re.search(r"^commit: (\d\S*-\S+)$", said, re.MULTILINE)
        found.append(Program(name, own[1], package[1] if package else ""))
    library = re.search(r"^libslirp: (\d\S*)", said, re.MULTILINE)
    if library:
        found.append(Program("libslirp", library[1]))
    return tuple(found)


def known_advisories(program: Program) -> tuple[Advisory, ...]:
    """Return the vulnerabilities of one version of a program, the latest last."""
    return tuple(
        hole for hole in ADVISORIES if hole.program == program.name and not _is_fixed(hole, program)
    )


def remedy(holes: tuple[Advisory, ...]) -> str:
    """Return the versions without these vulnerabilities, one for each affected release line."""
    last = holes[-1]
    return f"{last.program} {' or '.join(last.fixed)}, or newer"


def _is_fixed(hole: Advisory, program: Program) -> bool:
    if program.package and any(_is_revision(program.package, one) for one in hole.backports):
        return True
    own = _key(program.version)
    *lines, latest = (_key(text) for text in hole.fixed)
    return own >= latest or any(own >= line and own[:2] == line[:2] for line in lines)


def _is_revision(package: str, good: str) -> bool:
    """Return whether a package is a fixed one or a later revision of the same version."""
    upstream, _, revision = package.partition("-")
    wanted, _, least = good.partition("-")
    return upstream == wanted and _key(revision) >= _key(least)


def _key(version: str) -> tuple[int, ...]:
    """Return a sort key for the versions of one program."""
    return tuple(_each(version))


def _each(version: str) -> Iterator[int]:
    plain = version.partition("+ds")[0].replace("~", "-").lower()
    for part in _NUMBERS.findall(plain):
        if part.isdigit():
            yield int(part)
        elif part in _BEFORE:
            yield _BEFORE[part]
    yield 0  # so that a release sorts after its candidates
