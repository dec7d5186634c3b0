"""Runs programs for which changes of owners succeed without effect, where only one user exists.

Tools that create root file systems stop at the first owner that cannot be set; root may as well own
the files.  A kernel filter answers these system calls itself: seccomp(2), SECCOMP_RET_ERRNO with
error 0.  Containers get the same from their own filter, see :mod:`.seccomp`.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Sequence

from jupyter_containers.runtime.self_exec import self_exec_command

# AUDIT_ARCH_… of linux/audit.h; the numbers of chown, lchown, fchown, fchownat, setgroups.
_CALLS = {
    "x86_64": (0xC000003E, (92, 94, 93, 260, 116)),
    "aarch64": (0xC00000B7, (55, 54, 159)),
}
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_RET_ALLOW, _RET_ERRNO = 0x7FFF0000, 0x00050000
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_OFFSET_NUMBER, _OFFSET_ARCHITECTURE = 0, 4


def fake_chown_command(argv: Sequence[str]) -> list[str]:
    """Return the command that runs a program under the filter (x86-64 and arm64 only)."""
    if os.uname().machine not in _CALLS:
        return list(argv)
    return list(self_exec_command(__name__, *argv))


def filter_program(machine: str) -> bytes:
    """Return the filter: instructions of linux/filter.h, eight bytes each."""
    architecture, numbers = _CALLS[machine]
    count = len(numbers)
    code = [
        _instruction(_LOAD, 0, 0, _OFFSET_ARCHITECTURE),
        # Another architecture has other numbers: jump to the end, which allows the call.
        _instruction(_JUMP_EQUAL, 0, count + 1, architecture),
        _instruction(_LOAD, 0, 0, _OFFSET_NUMBER),
    ]
    code += [
        _instruction(_JUMP_EQUAL, count - index, 0, number) for index, number in enumerate(numbers)
    ]
    code += [_instruction(_RETURN, 0, 0, _RET_ALLOW), _instruction(_RETURN, 0, 0, _RET_ERRNO)]
    return b"".join(code)


def _instruction(code: int, if_true: int, if_false: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def main() -> None:
    """Install the filter and execute the program in the arguments."""
    argv = sys.argv[1:]
    code = filter_program(os.uname().machine)
    text = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: a length and, aligned, a pointer.
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(text))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or (
        libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program, 0, 0) != 0
    ):
        raise OSError(ctypes.get_errno(), "cannot install a seccomp filter")
    os.execvp(argv[0], argv)  # noqa: S606  # a fixed argument vector
