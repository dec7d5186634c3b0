"""The same calls over crun, in a mount namespace where the host looks like pure cgroup v1.

crun refuses hosts with both hierarchies; taking the unified mount away (here only) is enough.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace

import pytest

from jupyter_containers.errors import OCIRuntimeError
from jupyter_containers.runtime import monitor
from jupyter_containers.runtime.cgroups import UNIFIED, CgroupLayout
from jupyter_containers.runtime.host import RuntimeFacts, probe
from jupyter_containers.runtime.mounts import PrivateMounts
from tests.integration.runtime_fixtures import Lab, Output


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    path = shutil.which("crun")
    if os.geteuid() != 0 or not path:
        pytest.skip("needs root and crun")
    facts = probe()
    mounts = {name: point for name, point in facts.cgroups.mounts.items() if name != UNIFIED}
    if facts.cgroups.version == "hybrid":
        layout = CgroupLayout("v1", mounts, facts.cgroups.controllers)
        facts = replace(facts, cgroups=layout)
    lab = Lab(
        tmp_path_factory.mktemp("crun") / "lab", replace(facts, runtime=RuntimeFacts("crun", path))
    )
    yield lab
    with PrivateMounts() as inside:
        hide_unified(inside)
        inside.call(lab.close)


def hide_unified(mounts: PrivateMounts) -> None:
    point = CgroupLayout.read().mounts.get(UNIFIED, "")
    if CgroupLayout.read().version == "hybrid":
        # MNT_DETACH; the namespace is a slave, so the host keeps its mount.
        assert mounts.call(mounts._libc.umount2, point.encode(), 2) == 0


@pytest.mark.parametrize(
    ("script", "code", "stdout"), [("echo hi; exit 3", 3, b"hi\n"), ("cat /no 2>&-", 1, b"")]
)
def test_create_start_wait_delete(lab: Lab, script: str, code: int, stdout: bytes) -> None:
    before = os.path.exists("/sys/fs/cgroup/unified/cgroup.procs")
    container_id, bundle, _, mount = lab.bundle("sh", "-c", script)
    output = Output()
    with PrivateMounts() as mounts:
        hide_unified(mounts)
        mounts.overlay(mount, bundle / "rootfs")
        state = mounts.call(lab.monitor.create, container_id, bundle)
        mounts.call(lab.runtime.start, container_id)
        status = monitor.wait(bundle, state, timeout=10)
        output.stdout += b"".join(
            record.split(b" ", 3)[3] + b"\n"
            for record in (bundle / "container.log").read_bytes().splitlines()
        )
        mounts.call(lab.runtime.delete, container_id)
    assert status is not None
    assert (status.code, bytes(output.stdout)) == (code, stdout)
    assert not lab.runtime.exists(container_id)
    assert os.path.exists("/sys/fs/cgroup/unified/cgroup.procs") is before


@pytest.mark.parametrize(("command", "code"), [("nosuch", 127), ("/bin/data", 126)])
def test_a_program_that_cannot_run(lab: Lab, command: str, code: int) -> None:
    container_id, bundle, _, mount = lab.bundle(command)
    with PrivateMounts() as mounts:
        hide_unified(mounts)
        mounts.overlay(mount, bundle / "rootfs")
        with pytest.raises(OCIRuntimeError) as caught:
            mounts.call(lab.monitor.create, container_id, bundle)
    assert caught.value.exit_code == code
