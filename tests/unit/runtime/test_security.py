from __future__ import annotations

import re
from pathlib import Path

import pytest

from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.runtime.seccomp import hides_socket_families, seccomp_profile
from jupyter_containers.runtime.security import (
    CAPABILITY_NAMES,
    DEFAULT_CAPABILITIES,
    capability_names,
    effective_capabilities,
)

ALL = frozenset(CAPABILITY_NAMES)


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        ([], [], set(DEFAULT_CAPABILITIES)),
        (["net_admin"], [], {*DEFAULT_CAPABILITIES, "CAP_NET_ADMIN"}),
        (["CAP_NET_ADMIN"], ["ALL"], {"CAP_NET_ADMIN"}),
        ([], ["all"], set()),
        ([], ["CHOWN"], set(DEFAULT_CAPABILITIES) - {"CAP_CHOWN"}),
        (["ALL"], [], set(ALL)),
        (["ALL"], ["SYS_ADMIN"], set(ALL) - {"CAP_SYS_ADMIN"}),
    ],
)
def test_adding_and_dropping(add: list[str], drop: list[str], expected: set[str]) -> None:
    chosen = effective_capabilities(add, drop, privileged=False, available=ALL)
    assert set(chosen) == expected


def test_what_the_host_lacks() -> None:
    poor = ALL - {"CAP_CHOWN", "CAP_SYS_TIME"}
    chosen = effective_capabilities([], [], privileged=False, available=poor)
    assert "CAP_CHOWN" not in chosen
    with pytest.raises(UnsupportedError, match="CAP_SYS_TIME"):
        effective_capabilities(["SYS_TIME"], [], privileged=False, available=poor)
    with pytest.raises(InvalidArgumentError, match="unknown capability"):
        effective_capabilities(["FLY"], [], privileged=False, available=ALL)


def test_masks() -> None:
    assert capability_names(0b101) == {"CAP_CHOWN", "CAP_DAC_READ_SEARCH"}
    assert capability_names(2**41 - 1) == ALL


def allowed(*capabilities: str) -> set[str]:
    profile = seccomp_profile("x86_64", capabilities)
    return {
        name
        for rule in profile["syscalls"]
        if rule["action"] == "SCMP_ACT_ALLOW"
        for name in rule["names"]
    }


# Calls of the 64-bit table that a default container does not get.
_DENIED = """
    acct add_key afs_syscall bpf chroot clock_settime create_module
    delete_module fanotify_init finit_module fsconfig fsmount fsopen fspick get_kernel_syms
    get_mempolicy getpmsg init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl
    kcmp kexec_file_load kexec_load keyctl lookup_dcookie
    lsm_set_self_attr mbind migrate_pages mount mount_setattr
    move_mount move_pages nfsservctl open_by_handle_at open_tree perf_event_open pidfd_getfd
    pivot_root putpmsg query_module quotactl quotactl_fd reboot request_key security set_mempolicy
    set_mempolicy_home_node setdomainname sethostname setns settimeofday swapoff swapon sysfs
    syslog tuxcall umount2 unshare uselib userfaultfd ustat vhangup vserver _sysctl clone3
"""
DENIED = set(_DENIED.split())


def test_every_call_of_the_table_is_decided() -> None:
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if not header.exists():
        pytest.skip("needs the kernel's call table: linux-libc-dev of amd64")
    table = set(re.findall(r"__NR_(\w+)", header.read_text()))
    allowed_now = allowed(*(set(DEFAULT_CAPABILITIES) - {"CAP_SYS_CHROOT"}))
    assert table - allowed_now - DENIED == set()
    assert allowed_now & DENIED == set()


def test_capabilities_bring_their_calls() -> None:
    assert {"mount", "setns", "clone3"} <= allowed("CAP_SYS_ADMIN")
    assert "chroot" in allowed("CAP_SYS_CHROOT")
    assert not {"io_uring_setup", "userfaultfd", "keyctl", "kexec_load"} & allowed(*ALL)


def test_clone_is_looked_at() -> None:
    profile = seccomp_profile("x86_64", [])
    rules = {name: rule for rule in profile["syscalls"] for name in rule["names"]}
    assert rules["clone"]["args"][0]["op"] == "SCMP_CMP_MASKED_EQ"
    assert (rules["clone3"]["action"], rules["clone3"]["errnoRet"]) == ("SCMP_ACT_ERRNO", 38)
    assert profile["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
    native = seccomp_profile("x86_64", [], compat32=False)
    assert native["architectures"] == ["SCMP_ARCH_X86_64"]


@pytest.mark.parametrize(
    "machine",
    ["x86_64", "aarch64", "armv7l", "riscv64", "ppc64le", "s390x", "loongarch64", "mips64", "i686"],
)
def test_every_machine_has_a_filter(machine: str) -> None:
    profile = seccomp_profile(machine, [])
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    assert "read" in {name for rule in profile["syscalls"] for name in rule["names"]}


def test_the_further_tables_of_a_machine() -> None:
    tables = {name: seccomp_profile(name, [])["architectures"] for name in ("aarch64", "s390x")}
    assert tables["aarch64"] == ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
    assert tables["s390x"] == ["SCMP_ARCH_S390X", "SCMP_ARCH_S390"]
    assert seccomp_profile("riscv64", [])["architectures"] == []  # libseccomp adds its own
    mips = seccomp_profile("mips64", [])["architectures"]
    assert mips[0] in ("SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPS64")


def test_socket_families_by_the_low_word() -> None:
    """Only the low 32 bits of the family count, as for the kernel."""
    for name in ("socket", "socketpair"):
        rules = [
            rule for rule in seccomp_profile("x86_64", [])["syscalls"] if name in rule["names"]
        ]
        pairs = [(rule["args"][0]["value"], rule["args"][0]["valueTwo"]) for rule in rules]
        for family in range(64):
            passes = any(((family | 1 << 32) & mask) == value for mask, value in pairs)
            assert passes is (family < 48 and family not in (38, 40)), family


def test_socketcall_hides_the_family() -> None:
    """It is refused before any rule about sockets, but where nothing else makes sockets."""
    first = seccomp_profile("x86_64", [])["syscalls"][0]
    assert first == {"names": ["socketcall"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}
    assert hides_socket_families("s390x")
    assert seccomp_profile("s390x", [])["syscalls"][0]["action"] == "SCMP_ACT_ALLOW"
