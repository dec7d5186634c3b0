"""System calls on descriptors that Python lacks, with the errors of :mod:`os`.

They release the interpreter lock while they run and raise :class:`OSError`.
"""

from __future__ import annotations

import ctypes
import errno
import os

O_PATH = 0o10000000
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

# The same numbers on every architecture.
_SYS_OPENAT2 = 437
_SYS_FCHMODAT2 = 452
_AT_SYMLINK_NOFOLLOW = 0x100
_ATTEMPTS = 32


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long


def openat2(directory: int, path: bytes, flags: int, resolve: int, mode: int = 0) -> int:
    """Open ``path`` relative to a directory descriptor under the rules of ``resolve``.

    The descriptor is close-on-exec.  See openat2(2).
    """
    if b"\0" in path:
        raise OSError(errno.EINVAL, "a name holds a null byte", path)
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    number = 0
    for _ in range(_ATTEMPTS):
        descriptor = _syscall(
            ctypes.c_long(_SYS_OPENAT2),
            ctypes.c_int(directory),
            ctypes.c_char_p(path),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        if descriptor >= 0:
            return int(descriptor)
        number = ctypes.get_errno()
        # EAGAIN: a concurrent rename in the tree; the kernel asks to try again.
        if number not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(number, os.strerror(number), path)


def fchmodat2(directory: int, name: bytes, mode: int) -> None:
    """Set the mode of an entry itself, never of a link's target; Linux 6.6.

    See fchmodat2(2).
    """
    result = _syscall(
        ctypes.c_long(_SYS_FCHMODAT2),
        ctypes.c_int(directory),
        ctypes.c_char_p(name),
        ctypes.c_uint(mode),
        ctypes.c_int(_AT_SYMLINK_NOFOLLOW),
    )
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
