"""System calls that the filter refuses, also to programs that do not use a C library.

The programs are whole ELF files of a few instructions, so that every number reaches the kernel as
it is written here.  The exit code of one is the error number, 256 - descriptor on success.
"""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine

ALG, VSOCK, INET, UNIX = 38, 40, 2, 1
STREAM, SEQPACKET = 1, 5
_BASE, _HEAD = 0x10000, 0x78

pytestmark = pytest.mark.skipif(
    os.uname().machine != "x86_64", reason="the instructions are x86_64's"
)


def _elf32(code: bytes) -> bytes:
    """Return an i386 program (elf(5)): one loadable segment of everything."""
    size = _HEAD + len(code)
    head = b"\x7fELF\1\1\1" + bytes(9)
    head += struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, _BASE + _HEAD, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    head += struct.pack("<IIIIIIII", 1, 0, _BASE, _BASE, size, size, 7, 0x1000)
    return head.ljust(_HEAD, b"\0") + code


def _elf64(code: bytes) -> bytes:
    """Return an x86-64 program."""
    size = _HEAD + len(code)
    head = b"\x7fELF\2\1\1" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, _BASE + _HEAD, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    head += struct.pack("<IIQQQQQQ", 1, 7, 0, _BASE, _BASE, size, size, 0x1000)
    return head + code


def socketcall(family: int, kind: int) -> bytes:
    """i386: socketcall(SYS_SOCKET, {family, kind, 0})."""
    words = _BASE + _HEAD + 27
    code = b"\xb8" + struct.pack("<I", 102) + b"\xbb" + struct.pack("<I", 1)
    code += b"\xb9" + struct.pack("<I", words) + b"\xcd\x80"
    code += b"\xf7\xd8\x89\xc3\x31\xc0\x40\xcd\x80"  # exit(-eax)
    return _elf32(code.ljust(27, b"\x90") + struct.pack("<III", family, kind, 0))


def socket32(family: int, kind: int) -> bytes:
    """i386: socket(family, kind, 0), a separate system call since Linux 4.3."""
    code = b"\xb8" + struct.pack("<I", 359) + b"\xbb" + struct.pack("<I", family)
    code += b"\xb9" + struct.pack("<I", kind) + b"\x31\xd2\xcd\x80"
    return _elf32(code + b"\xf7\xd8\x89\xc3\x31\xc0\x40\xcd\x80")


def socket64(family: int, kind: int) -> bytes:
    """x86-64: socket(family, kind, 0); ``family`` has 64 bits."""
    code = b"\xb8" + struct.pack("<I", 41) + b"\x48\xbf" + struct.pack("<Q", family)
    code += b"\xbe" + struct.pack("<I", kind) + b"\x31\xd2\x0f\x05"
    return _elf64(code + b"\xf7\xd8\x89\xc7\xb8" + struct.pack("<I", 60) + b"\x0f\x05")


def answers(
    engine: Engine, image: str, folder: Path, programs: dict[str, bytes], **flags: Any
) -> dict[str, int]:
    """Return the exit codes of programs in one container."""
    folder.chmod(0o755)
    for name, data in programs.items():
        (folder / name).write_bytes(data)
        (folder / name).chmod(0o755)
    script = "for p in /p/*; do $p; echo ${p##*/} $?; done"
    result = engine.run(
        image, ["sh", "-c", script], rm=True, volume=f"{folder}:/p:ro", network="none", **flags
    )
    return {name: int(code) for name, code in (line.split() for line in result.output.splitlines())}


HIDDEN = {
    "socketcall-vsock": socketcall(VSOCK, STREAM),
    "socketcall-alg": socketcall(ALG, SEQPACKET),
    "socket32-vsock": socket32(VSOCK, STREAM),
    "socket32-alg": socket32(ALG, SEQPACKET),
    "socket64-vsock": socket64(VSOCK, STREAM),
    "socket64-alg": socket64(ALG, SEQPACKET),
    "socket64-high-vsock": socket64(1 << 32 | VSOCK, STREAM),
    "socket64-high-alg": socket64(1 << 32 | ALG, SEQPACKET),
}
SEEN = {
    "socket32-inet": socket32(INET, STREAM),
    "socket64-inet": socket64(INET, STREAM),
    "socket64-unix": socket64(UNIX, STREAM),
}


@pytest.mark.parametrize("capabilities", [(), ("ALL",)])
def test_two_families_of_sockets_by_no_path(
    engine: Engine, busybox: str, tmp_path: Path, capabilities: tuple[str, ...]
) -> None:
    """AF_VSOCK and AF_ALG are refused whichever call asks, others are not.

    Seen to fail with the filter of 39323e0 (and its ``!= AF_VSOCK``): socketcall and a family with
    a bit above the 32nd gave a descriptor of AF_VSOCK (253), AF_ALG was answered by the kernel.
    """
    added = ["SYS_ADMIN", "NET_ADMIN"] if capabilities else []
    found = answers(engine, busybox, tmp_path, HIDDEN | SEEN, cap_add=added)
    hidden = {name: code for name, code in found.items() if name in HIDDEN}
    assert len(hidden) == len(HIDDEN)
    assert {name: code for name, code in hidden.items() if name.startswith("socketcall")} == {
        "socketcall-vsock": errno.ENOSYS,
        "socketcall-alg": errno.ENOSYS,
    }
    others = {code for name, code in hidden.items() if not name.startswith("socketcall")}
    assert others == {errno.EPERM}
    assert {name: found[name] for name in SEEN} == dict.fromkeys(SEEN, 253)


def test_a_profile_of_ones_own_is_the_way_to_the_rest(
    engine: Engine, busybox: str, tmp_path: Path
) -> None:
    """Without the filter the same programs reach the kernel: it is the filter that refuses."""
    found = answers(engine, busybox, tmp_path, HIDDEN, security_opt=["seccomp=unconfined"])
    assert errno.EPERM not in found.values()
    assert errno.ENOSYS not in found.values()
