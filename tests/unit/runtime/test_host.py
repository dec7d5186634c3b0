from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_containers.errors import UnsupportedError
from jupyter_containers.runtime import host
from jupyter_containers.runtime.cgroups import CgroupLayout


def layout(version: str) -> CgroupLayout:
    return CgroupLayout(version, {}, frozenset())


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs are found in this folder only."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(host, "_in_system_folders", lambda name: "")
    return tmp_path


@pytest.mark.parametrize(
    ("present", "version", "chosen"),
    [
        (("crun", "runc"), "v2", "crun"),
        (("crun", "runc"), "v1", "crun"),
        (("crun", "runc"), "hybrid", "runc"),
        (("runc",), "v2", "runc"),
        (("crun",), "hybrid", None),
        ((), "v2", None),
    ],
)
def test_runtime_is_chosen_by_the_cgroups(
    programs: Path, present: tuple[str, ...], version: str, chosen: str | None
) -> None:
    for name in present:
        (programs / name).touch(0o755)
    facts, reason = host._choose_runtime("auto", layout(version))
    assert (facts.name if facts else None) == chosen
    assert facts or reason


def test_a_runtime_from_the_settings(programs: Path) -> None:
    (programs / "my-crun").touch(0o755)
    facts, _ = host._choose_runtime("my-crun", layout("hybrid"))
    assert facts is not None
    assert (facts.name, facts.path) == ("crun", str(programs / "my-crun"))
    facts, reason = host._choose_runtime("/no/such", layout("v2"))
    assert facts is None
    assert "/no/such" in reason


def test_a_missing_runtime_says_how_to_get_one(programs: Path) -> None:
    facts = host.probe()
    with pytest.raises(UnsupportedError) as caught:
        facts.require_runtime()
    assert caught.value.capability == "runtime"
    assert "apt-get install runc conmon" in caught.value.report()
    with pytest.raises(UnsupportedError):
        facts.require_conmon()


def test_ca_named_by_the_environment(tmp_path: Path) -> None:
    bundle = tmp_path / "mine.pem"
    bundle.write_text("certificate")
    ca = host.host_ca({"SSL_CERT_FILE": str(bundle)})
    if any(os.path.exists(name) for name in host._BUNDLES):
        assert (ca.bundle, ca.extra) == (bundle, True)
    assert host.host_ca({"SSL_CERT_FILE": "/no/such"}).bundle != Path("/no/such")


def test_a_probe_lists_every_capability_once() -> None:
    names = [item.name for item in host.probe().capabilities]
    assert len(names) == len(set(names))
    assert {"runtime", "conmon", "cgroups", "seccomp", "overlay", "openat2"} <= set(names)


def test_importing_the_package_costs_nothing() -> None:
    code = (
        "import sys, jupyter_containers.runtime;"
        "print([m for m in ('ctypes', 'subprocess', 'msgspec', 'socket') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
