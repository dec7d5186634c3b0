"""The tests of cgroup v2 in a throw-away machine: ``python -m tests.vm [--smoke] [TIER…]``.

A *tier* is who runs them, and by which runtime.  ``--shell SCRIPT`` runs a shell script there
instead, with this clone in ``/given/clone``.
"""

from __future__ import annotations

import shlex
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.vm.image import image
from tests.vm.machine import run

CACHE = Path.home() / ".cache/jupyter-containers-vm"
CLONE = Path(__file__).resolve().parents[2]
_PYTEST = (
    "python3 -m pytest -q --tb=short --durations=5 -p no:cacheprovider -c /dev/null"
    " --rootdir=/given/clone --import-mode=importlib"
)
_LIMITS = "tests/vm/test_cgroup2.py"
# Root's own suite, as far as the version of cgroups makes a difference.
_ROOT = ("tests/integration/test_engine_limits.py", "tests/conformance/test_oci_runtimes.py")
_LAB_FILE = Path("/etc/jupyter_containers/lab.toml")
_QUOTAS = "tests/vm/test_quotas.py"
_LAB = "for_root = true\n[limits]\ncontainers = 3\nmemory = '64m'\ncpus = 0.5\n"
_SMOKE = "asked or too_much or doctor or builds"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Tier:
    """``prefix`` are the words that become the user, ``group`` where its processes then are.

    ``lab`` is the content of the administrator's file during the run.
    """

    prefix: str
    runtime: str
    paths: Sequence[str] = (_LIMITS,)
    group: str = "/system.slice/given.service"
    smoke: bool = False
    lab: str = ""

    def command(self, name: str, smoke: bool) -> str:
        """Return the lines of shell that run it, and note when it failed."""
        variables = {
            "JUPYTER_CONTAINERS_RUNTIME": self.runtime,
            "EXPECTED_GROUP": self.group,
            "PATH": _PATH,
            "LANG": "C.UTF-8",
        }
        words = " ".join(f"{key}={value}" for key, value in variables.items())
        chosen = f"-k {shlex.quote(_SMOKE)}" if smoke else ""
        paths = " ".join(self.paths)
        test = f"{self.prefix} env {words} {_PYTEST} {chosen} {paths}"
        ruled = f"printf %s {shlex.quote(self.lab)} > {_LAB_FILE}" if self.lab else ":"
        return (
            f"echo '=== {name}'\nmkdir -p {_LAB_FILE.parent}\n{ruled}\n"
            f'{test} || failed="$failed {name}"\nrm -rf {_LAB_FILE.parent}\n'
        )


def _user(name: str) -> str:
    return f"runuser -u {name} -- env -i HOME=/home/{name}"


def _service(name: str) -> str:
    """Return commands that create a system service for a user, as hubs start notebook servers."""
    given = (
        f"-p User={name} -p Delegate=yes -p NoNewPrivileges=yes -p WorkingDirectory=/given/clone"
    )
    return f"systemd-run --quiet --pipe --wait --collect -u server {given}"


TIERS = {
    "root-crun": Tier("", "crun", (_LIMITS, *_ROOT), smoke=True),
    "root-runc": Tier("", "runc", (_LIMITS, _ROOT[0])),
    "user-crun": Tier(_user("tester"), "crun", smoke=True),
    "user-runc": Tier(_user("tester"), "runc"),
    "one-id": Tier(_user("lone"), "crun"),
    "service": Tier(_service("lone"), "runc", group="/server.service/jupyter-containers-engine"),
    # Root of a container that was given its control groups: its own processes are in the way.
    "pod": Tier(
        "systemd-run --quiet --pipe --wait --collect -u pod -p Delegate=yes"
        " -p WorkingDirectory=/given/clone unshare --cgroup --mount"
        " sh -c 'umount -l /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup"
        ' && exec "$@"\' -',
        "crun",
        group="/jupyter-containers-engine",
    ),
    # There is no systemd that delegates control groups.
    "undelegated": Tier(
        "unshare --mount sh -c 'mount -t tmpfs none /run/user && exec \"$@\"' - " + _user("lone"),
        "crun",
        ("tests/vm/test_undelegated.py",),
    ),
    "lab-root": Tier("", "crun", (_QUOTAS,), lab=_LAB),
    "lab-user": Tier(_user("tester"), "crun", (_QUOTAS,), lab=_LAB),
}


def main(arguments: list[str]) -> int:
    """Return 0 when all tiers passed, or the exit code of the script."""
    given = {f"clone/{name}": CLONE / name for name in ("jupyter_containers", "tests")}
    given["packages"] = Path(sysconfig.get_path("purelib"))
    if arguments[:1] == ["--shell"]:
        return run(image(CACHE), arguments[1], given)
    smoke = arguments[:1] == ["--smoke"]
    names = arguments[smoke:] or [name for name, tier in TIERS.items() if tier.smoke or not smoke]
    if unknown := set(names) - set(TIERS):
        raise SystemExit(f"vm: no tier {unknown.pop()}; there are {', '.join(TIERS)}")
    lines = ["failed=\ncd /given/clone\n", *(TIERS[name].command(name, smoke) for name in names)]
    lines.append('[ -z "$failed" ] || { echo "failed:$failed"; exit 1; }\n')
    return run(image(CACHE), "".join(lines), given)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
