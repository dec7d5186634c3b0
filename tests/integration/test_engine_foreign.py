"""RUN for another architecture, by a real emulator that the kernel calls.

The program is static, has 200 bytes and is for arm64, so that no image of that platform is needed.
The emulator is registered with the kernel while the test runs, in a mount namespace that ends with
it; if the machine already has one for arm64, that one is used.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.build_bench import Bench
from tests.integration.engine_fixtures import Place
from tests.integration.test_engine_builds import layer_names

EMULATOR = "qemu-aarch64-static"
_BESIDE = Path(sys.executable).with_name(EMULATOR)
QEMU = shutil.which(EMULATOR) or (str(_BESIDE) if _BESIDE.exists() else "")
SAYS, MAKES = b"hello from arm64\n", b"/made\0"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not QEMU, reason=f"needs {EMULATOR}: apt-get install qemu-user-static"),
    pytest.mark.skipif(
        "binfmt_misc" not in Path("/proc/filesystems").read_text(),
        reason="needs a kernel with binfmt_misc",
    ),
]

# The header of a 64-bit little-endian ELF program for machine 183, whatever its OS/ABI.
_MAGIC = r"\x7fELF\x02\x01\x01" + r"\x00" * 9 + r"\x02\x00\xb7\x00"
_MASK = r"\xff" * 7 + r"\x00" + r"\xff" * 8 + r"\xfe\xff\xff\xff"
SCRIPT = """
import contextlib, json, subprocess, sys
from pathlib import Path
from jupyter_containers import Engine

root, run_root, context, line = sys.argv[1:]
registry = Path("/proc/sys/fs/binfmt_misc")
if not (registry / "register").exists():
    subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", registry], check=True)
mine = not any(registry.glob("qemu-aarch64*"))
if mine:
    (registry / "register").write_text(line)
try:
    with Engine(root=root, run_root=run_root) as engine:
        written = []
        image = engine.build(
            context, platform="linux/arm64", network="none",
            emit=lambda event: written.append(getattr(event, "data", b"")),
        )
        ran = engine.run(image, platform="linux/arm64", network="none", rm=True)
        print(json.dumps({
            "image": image.id,
            "platform": str(image.platform),
            "step": b"".join(written).decode(),
            "run": ran.stdout.decode(),
        }))
finally:
    if mine:
        (registry / "qemu-aarch64").write_text("-1")
"""


def program() -> bytes:
    """Return an arm64 program that says a line and makes a folder (arm64 system calls)."""
    start = 0x400000 + 64 + 56  # behind the ELF header and its one segment
    data, call = start + 4 * 15, 0xD4000001

    def number(register: int, value: int) -> tuple[int]:
        return (0xD2800000 | (value & 0xFFFF) << 5 | register,)

    def address(register: int, value: int) -> tuple[int, int]:
        return (*number(register, value), 0xF2A00000 | (value >> 16) << 5 | register)

    code = [
        *(*number(0, 1), *address(1, data), *number(2, len(SAYS)), *number(8, 64), call),  # write
        0x92800C60,  # AT_FDCWD in register 0
        *(*address(1, data + len(SAYS)), *number(2, 0o755), *number(8, 34), call),  # mkdirat
        *(*number(0, 0), *number(8, 93), call),  # exit
    ]
    body = struct.pack(f"<{len(code)}I", *code) + SAYS + MAKES
    size = 64 + 56 + len(body)
    kind = struct.pack("<16sHHIQQQ", b"\x7fELF\2\1\1", 2, 183, 1, start, 64, 0)
    head = kind + struct.pack("<IHHHHHH", 0, 64, 56, 1, 0, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, size, size, 4096) + body


def test_a_step_and_a_container_run_for_another_architecture(bench: Bench, place: Place) -> None:
    bench.write("hello", "")
    (bench.context / "hello").write_bytes(program())
    (bench.context / "hello").chmod(0o755)
    bench.write("Dockerfile", 'FROM scratch\nCOPY hello /hello\nRUN ["/hello"]\nCMD ["/hello"]\n')
    line = f":qemu-aarch64:M::{_MAGIC}:{_MASK}:{QEMU}:F"
    argv = [sys.executable, "-c", SCRIPT, place.root, place.run_root, bench.context, line]
    done = subprocess.run(
        ["unshare", "--mount", *argv], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.getcwd()}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert layer_names(bench.engine, bench.engine.images.get(said.pop("image"))) == ["made"]
    assert said == {"platform": "linux/arm64", "step": SAYS.decode(), "run": SAYS.decode()}
