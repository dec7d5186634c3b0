"""A place for two engines that the host does not notice.

The bench runs itself again in new network, mount and pid namespaces.  Both engines' bridges,
firewall rules, mounts and processes exist only there, and the kernel removes all of it with the
bench's first process, however that ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

_MARK = "JUPYTER_CONTAINERS_BENCH_ISOLATED"
# The first process of the namespace is a shell, because it reaps orphans of the engines.
# An existing containerd must not be found: dockerd would use it instead of starting one.
_SCRIPT = """
mount --make-rprivate /
if [ -d /run/containerd ]; then mount -t tmpfs tmpfs /run/containerd; fi
"$@"
exit $?
"""


def isolated() -> bool:
    """Return whether this process is already inside."""
    return os.environ.get(_MARK) == "1"


def enter(arguments: Sequence[str]) -> int:
    """Run ``python -m tests.bench`` with the arguments inside; return its exit code."""
    # Users have bytecode caches; some development machines disable them.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    command = [sys.executable, "-m", "tests.bench", *arguments]
    return subprocess.run(
        [*unshare, "bash", "-c", _SCRIPT, "bench", *command],
        env={**environment, _MARK: "1"},
        check=False,
    ).returncode


def bring_up_loopback() -> None:
    """The namespace's loopback interface works."""
    from jupyter_containers.network.links import set_up
    from jupyter_containers.network.netlink import NetlinkSocket

    with NetlinkSocket() as route:
        route.send(set_up(1))
