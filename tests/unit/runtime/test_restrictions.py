"""The restrictions of an environment; folders simulate hosts.  Real sandboxes are in test_rungs."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_containers.runtime.restrictions import namespace_restriction, system_files_restriction

MOUNTED = "1 1 0:1 / {point} rw - tmpfs tmpfs rw\n"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    (tmp_path / "proc/self/ns").mkdir(parents=True)
    (tmp_path / "proc/self/ns/user").touch()
    (tmp_path / "proc/self/status").write_text("Seccomp:\t0\n")
    for name, value in {"user/max_user_namespaces": "1000", "kernel/x": ""}.items():
        file = tmp_path / "proc/sys" / name
        file.parent.mkdir(parents=True)
        file.write_text(f"{value}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=15000"),
        ("kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
        (
            "kernel/apparmor_restrict_unprivileged_userns",  # Ubuntu 24.04
            "1",
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ],
)
def test_a_switch_is_named_with_its_remedy(host: Path, name: str, value: str, remedy: str) -> None:
    (host / "proc/sys" / name).write_text(f"{value}\n")
    withheld = namespace_restriction("unshare failed: Operation not permitted", host)
    assert f"{name.replace('/', '.')}={value}" in withheld.reason
    assert remedy in withheld.remedy


def test_a_filter_of_system_calls_is_a_pods(host: Path) -> None:
    (host / "proc/self/status").write_text("Seccomp:\t2\nSeccomp_filters:\t1\n")
    withheld = namespace_restriction("EPERM", host)
    assert "in most pods" in withheld.reason
    assert "seccompProfile" in withheld.remedy


def test_a_kernel_without_user_namespaces(host: Path) -> None:
    (host / "proc/self/ns/user").unlink()
    assert "CONFIG_USER_NS" in namespace_restriction("ENOSYS", host).remedy


def test_what_nobody_knows_is_what_the_attempt_said(host: Path) -> None:
    assert namespace_restriction("No space left on device", host).reason.endswith("left on device")


@pytest.mark.parametrize("point", ["/proc/kcore", "/proc/acpi", "/sys/firmware"])
def test_masked_files(host: Path, point: str) -> None:
    table = MOUNTED.format(point="/proc") + MOUNTED.format(point=point)
    (host / "proc/self/mountinfo").write_text(table + MOUNTED.format(point="/proc/timer_list"))
    withheld = system_files_restriction(host)
    assert withheld is not None
    assert f"({point} and 1 more)" in withheld.reason
    assert "procMount: Unmasked" in withheld.remedy
    assert "systempaths=unconfined" in withheld.remedy


def test_folders_that_are_empty_by_nature_hide_nothing(host: Path) -> None:
    points = ("/proc/sys/fs/binfmt_misc", "/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys")
    text = "".join(MOUNTED.format(point=point) for point in points)
    (host / "proc/self/mountinfo").write_text(text)
    assert system_files_restriction(host) is None
