from __future__ import annotations

from dataclasses import replace
from typing import Any

from jupyter_containers.engine.system.programs import advisories, seccomp
from jupyter_containers.runtime.host import HostCapabilities, RuntimeFacts
from tests.unit.runtime.test_spec import HOST

RUNC = "runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1\nlibseccomp: 2.5.4\n"


def host(**changes: Any) -> HostCapabilities:
    return replace(HOST, runtime=RuntimeFacts("runc", "/usr/sbin/runc"), **changes)


def test_a_line_for_each_program_with_holes() -> None:
    said = {"runc": RUNC, "conmon": "conmon version 2.1.6", "crun": "crun version 1.8.1"}
    [runc, crun] = advisories(said)
    assert (runc.name, runc.found) == ("runc advisories", False)
    assert runc.detail.startswith("1.1.5+ds1-1+deb12u1: CVE-2024-45310, CVE-2025-31133")
    assert "1.2.8" in runc.provided_by
    assert crun.detail == "1.8.1: CVE-2025-24965"
    [none] = advisories({"runc": "runc version 1.3.3\n"})
    assert none.found


def test_the_filter_and_what_it_cannot_see() -> None:
    good = seccomp(host(architecture="riscv64"), {"runc": RUNC})
    assert (good.found, good.detail) == (True, "kernel filter for riscv64")
    assert not seccomp(host(), {"runc": "runc version 1.1.5\n"}).found
    assert not seccomp(host(seccomp=False), {"runc": RUNC}).found
    hidden = seccomp(host(architecture="s390x"), {"runc": RUNC})
    assert "AF_VSOCK" in hidden.detail
    assert not hidden.found
