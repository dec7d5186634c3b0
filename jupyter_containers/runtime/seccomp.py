"""The seccomp profile: an allow list of system calls, written from the kernel's call tables.

Vocabulary: an *action* is the kernel's reaction to a call (``SCMP_ACT_ALLOW``, ``…_ERRNO``).  A
call on no list fails with EPERM.  Calls that affect the whole machine (mounts, clocks, modules,
keys, kernel introspection) are allowed only with the capability that the kernel requires anyway, so
that a mistake in the kernel's own check is not enough.  ``clone3`` fails with ENOSYS, because its
flags are in memory that no filter can read; C libraries then use ``clone``, whose flags are
checked.

Two socket families are refused.  AF_VSOCK reaches the hypervisor, outside any namespace; AF_ALG
opens the kernel's ciphers to everybody (CVE-2026-31431).  ``socketcall``, the 32-bit way to
``socket``, has the family in memory, so it fails with ENOSYS: a 32-bit program gets sockets by the
calls of Linux 4.3, which musl and Go use and glibc of some distributions does not.  Machines whose
C library has no other way keep it (:func:`hides_socket_families`).

OCI Runtime Specification 1.1, config-linux.md "Seccomp".  Pure.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

EPERM, ENOSYS = 1, 38
# CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET of clone(2).
_NEW_NAMESPACES = 0x7E020000
# The families allowed for socket(2), as (mask, value) of the low 32 bits, the only ones that the
# kernel reads: 0-31, 32-35, 36-37, 39 (no AF_ALG, 38), 41 (no AF_VSOCK, 40), 42-43, 44-47.  A
# comparison of the whole argument would allow 2**32 + 40.
_WORD = 0xFFFFFFFF
_FAMILIES = (
    (0xFFFFFFE0, 0), (0xFFFFFFFC, 32), (0xFFFFFFFE, 36), (_WORD, 39), (_WORD, 41),
    (0xFFFFFFFE, 42), (0xFFFFFFFC, 44),
)  # fmt: skip
# Execution domains of personality(2): Linux, 32 bit, the uname 2.6 ones, and "ask".
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)

_FILES = """
read write open openat openat2 close close_range creat lseek _llseek pread64 pwrite64 readv writev
preadv pwritev preadv2 pwritev2 stat stat64 fstat fstat64 lstat lstat64 newfstatat fstatat64 statx
statfs statfs64 fstatfs fstatfs64 access faccessat faccessat2 chmod fchmod fchmodat fchmodat2 chown
chown32 fchown fchown32 lchown lchown32 fchownat rename renameat renameat2 link linkat unlink
unlinkat symlink symlinkat readlink readlinkat mkdir mkdirat rmdir mknod mknodat truncate truncate64
ftruncate ftruncate64 fallocate fadvise64 fadvise64_64 readahead copy_file_range sendfile sendfile64
splice tee vmsplice sync syncfs fsync fdatasync sync_file_range sync_file_range2 flock fcntl fcntl64
dup dup2 dup3 pipe pipe2 getdents getdents64 getcwd chdir fchdir umask utime utimes futimesat
utimensat utimensat_time64 ioctl setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr
llistxattr flistxattr removexattr lremovexattr fremovexattr setxattrat getxattrat listxattrat
removexattrat inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark
name_to_handle_at memfd_create memfd_secret cachestat statmount listmount
"""
_WAITING = """
poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64 epoll_create epoll_create1
epoll_ctl epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd
signalfd4 timerfd_create timerfd_settime timerfd_settime64 timerfd_gettime timerfd_gettime64
io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents io_pgetevents_time64
"""
_MEMORY = """
brk mmap mmap2 munmap mremap mprotect madvise mincore msync mlock mlock2 munlock mlockall munlockall
remap_file_pages pkey_alloc pkey_free pkey_mprotect membarrier mseal map_shadow_stack
process_mrelease
"""
_PROCESSES = """
fork vfork execve execveat exit exit_group wait4 waitid waitpid getpid getppid gettid getpgid
getpgrp getsid setpgid setsid kill tkill tgkill pidfd_open pidfd_send_signal prctl prlimit64
getrlimit ugetrlimit setrlimit getrusage getpriority setpriority nice sched_yield
sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam
sched_getscheduler sched_setscheduler sched_get_priority_max sched_get_priority_min
sched_rr_get_interval sched_rr_get_interval_time64 ioprio_get ioprio_set getcpu restart_syscall
set_tid_address set_robust_list get_robust_list set_thread_area get_thread_area rseq seccomp
landlock_create_ruleset landlock_add_rule landlock_restrict_self ptrace process_vm_readv
lsm_get_self_attr lsm_list_modules uretprobe
process_vm_writev futex futex_time64 futex_waitv futex_wake futex_wait futex_requeue
process_madvise
"""
_SIGNALS = """
rt_sigaction rt_sigprocmask rt_sigpending rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64
rt_sigqueueinfo rt_tgsigqueueinfo rt_sigreturn sigaltstack sigaction signal sigpending sigprocmask
sigsuspend sigreturn pause alarm getitimer setitimer
"""
_IDENTITY = """
getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 setuid setuid32 setgid setgid32
setreuid setreuid32 setregid setregid32 getresuid getresuid32 setresuid setresuid32 getresgid
getresgid32 setresgid setresgid32 setfsuid setfsuid32 setfsgid setfsgid32 getgroups getgroups32
setgroups setgroups32 capget capset uname sysinfo times getrandom
"""
_TIME = """
time gettimeofday nanosleep clock_gettime clock_gettime64 clock_getres clock_getres_time64
clock_nanosleep clock_nanosleep_time64 adjtimex clock_adjtime clock_adjtime64 timer_create
timer_settime timer_settime64 timer_gettime timer_gettime64 timer_getoverrun timer_delete
"""
_IPC = """
connect bind listen accept accept4 getsockname getpeername getsockopt
setsockopt sendto sendmsg sendmmsg recvfrom recvmsg recvmmsg recvmmsg_time64 shutdown shmget shmat
shmdt shmctl semget semop semctl semtimedop semtimedop_time64 msgget msgsnd msgrcv msgctl ipc
mq_open mq_unlink mq_timedsend mq_timedsend_time64 mq_timedreceive mq_timedreceive_time64 mq_notify
mq_getsetattr
"""
# Calls that package managers make as root and that fail where only one user exists.
_OWNERSHIP = """
chown chown32 fchown fchown32 fchownat lchown lchown32 setgroups setgroups32
"""
_X86 = "arch_prctl modify_ldt"
_ARM = "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2"
_MIPS = "cachectl cacheflush sysmips"
# Calls of one architecture only, by the beginning of its name (uname -m).
_OF_MACHINE = {
    "x86_64": _X86,
    "i": _X86,
    "arm": _ARM,
    "aarch64": _ARM,
    "mips": _MIPS,
    "ppc": "swapcontext sync_file_range2",
    "riscv": "riscv_flush_icache riscv_hwprobe",
    "s390": "s390_guarded_storage s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr",
}

_WITH_CAPABILITY = {
    "CAP_BPF": "bpf",
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_PERFMON": "perf_event_open",
    "CAP_SYS_ADMIN": """
        bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie
        lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount
        open_tree open_tree_attr perf_event_open pivot_root quotactl quotactl_fd setdomainname
        sethostname setns syslog
        umount umount2 unshare
    """,
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module finit_module init_module",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp pidfd_getfd",
    "CAP_SYS_RAWIO": "ioperm iopl",
    "CAP_SYS_TIME": "clock_settime clock_settime64 settimeofday stime",
    "CAP_SYS_TTY_CONFIG": "vhangup",
    "CAP_SYSLOG": "syslog",
}

# The call tables of a machine's kernel, in libseccomp's names.  It adds the runtime's own table by
# itself, for every machine that it knows: so machines are listed only for further tables.
_TABLES: Mapping[str | tuple[str, str], tuple[str, ...]] = {
    # No x32: no program uses that table, every filter would be built a third time (2-4 ms for each
    # start), and a missing table is refused as a whole.
    "x86_64": ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86"),
    "aarch64": ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
    "s390x": ("SCMP_ARCH_S390X", "SCMP_ARCH_S390"),
    ("mips64", "little"): (
        "SCMP_ARCH_MIPSEL64",
        "SCMP_ARCH_MIPSEL",
        "SCMP_ARCH_MIPSEL64N32",
    ),
    ("mips64", "big"): ("SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64N32"),
}
# glibc creates every socket by socketcall on these.
_BY_SOCKETCALL = ("i386", "i486", "i586", "i686", "m68k", "s390", "s390x")


def hides_socket_families(machine: str) -> bool:
    """Return whether filters cannot see the socket family that a program requests."""
    return machine in _BY_SOCKETCALL


def seccomp_profile(
    machine: str,
    capabilities: Iterable[str],
    *,
    compat32: bool = True,
    single_user: bool = False,
) -> dict[str, Any]:
    """Return ``linux.seccomp`` for a process with ``capabilities`` on ``machine`` (uname -m).

    Without ``compat32`` programs of the machine's 32-bit tables are killed; building the filter
    then takes half the time.  With ``single_user`` changes of owners succeed without effect: no
    other user exists.
    """
    held = set(capabilities)
    names = set(
        " ".join((_FILES, _WAITING, _MEMORY, _PROCESSES, _SIGNALS, _IDENTITY, _TIME, _IPC)).split()
    )
    for beginning, calls in _OF_MACHINE.items():
        if machine.startswith(beginning):
            names.update(calls.split())
    for capability in held & set(_WITH_CAPABILITY):
        names.update(_WITH_CAPABILITY[capability].split())
    pretended = set(_OWNERSHIP.split()) if single_user else set()
    names -= pretended
    rules = [*_socket_rules(machine), {"names": sorted(names), "action": "SCMP_ACT_ALLOW"}]
    rules += [
        {
            "names": ["personality"],
            "action": "SCMP_ACT_ALLOW",
            "args": [_argument("SCMP_CMP_EQ", value)],
        }
        for value in _PERSONALITIES
    ]
    if "CAP_SYS_ADMIN" not in held:
        masked = _masked(_NEW_NAMESPACES, 0)
        rules.append({"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [masked]})
        rules.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS})
    if pretended:
        rules.append({"names": sorted(pretended), "action": "SCMP_ACT_ERRNO", "errnoRet": 0})
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": EPERM,
        "architectures": list(_tables(machine)[: None if compat32 else 1]),
        "syscalls": rules,
    }


def _tables(machine: str) -> tuple[str, ...]:
    return _TABLES.get(machine) or _TABLES.get((machine, sys.byteorder), ())


def _socket_rules(machine: str) -> list[dict[str, Any]]:
    """Return the rules for sockets.

    The rule that refuses ``socketcall`` comes first: for every rule about ``socket`` libseccomp
    would otherwise add one that allows it with any family.
    """
    call: dict[str, Any] = {"names": ["socketcall"], "action": "SCMP_ACT_ALLOW"}
    if not hides_socket_families(machine):
        call |= {"action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS}
    return [
        call,
        *(
            {
                "names": ["socket", "socketpair"],
                "action": "SCMP_ACT_ALLOW",
                "args": [_masked(mask, value)],
            }
            for mask, value in _FAMILIES
        ),
    ]


def _masked(mask: int, value: int) -> dict[str, Any]:
    return {**_argument("SCMP_CMP_MASKED_EQ", mask), "valueTwo": value}


def _argument(operator: str, value: int) -> dict[str, Any]:
    return {"index": 0, "value": value, "op": operator}
