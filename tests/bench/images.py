"""The images for all measurements: the same archives for both engines."""

from __future__ import annotations

import hashlib
import io
import json
import random
import subprocess
import tarfile
from pathlib import Path

LARGE_BYTES = 250_000_000
_FILES = 8000
_RANDOM_PART = 0.2

DOCKERFILE = """\
FROM bench/busybox:latest
LABEL purpose=bench
ENV PYTHONUNBUFFERED=1
WORKDIR /app
COPY requirements.txt .
RUN cat requirements.txt > installed.txt
COPY . .
EXPOSE 8000
CMD ["sh", "-c", "cat main.txt"]
"""


def busybox_tar(path: Path) -> None:
    """Write a root file system with busybox and a link for each of its programs."""
    program = "/bin/busybox"
    names = subprocess.run(
        [program, "--list"], check=True, capture_output=True, text=True
    ).stdout.split()
    with tarfile.open(path, "w") as archive:
        for folder in ("bin", "etc", "tmp", "root", "dev", "proc", "sys"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            archive.addfile(entry)
        entry = archive.gettarinfo(program, "bin/busybox")
        with open(program, "rb") as file:
            archive.addfile(entry, file)
        for name in names:
            if name != "busybox":
                link = tarfile.TarInfo(f"bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(link)
        for name, text in (
            ("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n"),
            ("etc/group", b"root:x:0:\n"),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))


def large_tar(path: Path, *, total: int = LARGE_BYTES, seed: int = 7) -> None:
    """Write 8000 files (of 250 MB) that compress to about half, somewhat worse than programs do."""
    source = random.Random(seed)  # the same bytes in every run
    words = [source.randbytes(source.randint(1, 5)).hex() for _ in range(3_000)]
    weights = [1 / (rank + 1) for rank in range(len(words))]  # as in a language
    prose = " ".join(source.choices(words, weights, k=2_000_000)).encode()
    size = LARGE_BYTES // _FILES
    noise = int(size * _RANDOM_PART)
    with tarfile.open(path, "w") as archive:
        for number in range(total // size):
            start = source.randrange(len(prose) - size)
            data = prose[start : start + size - noise] + source.randbytes(noise)
            entry = tarfile.TarInfo(f"data/{seed}/{number % 80:02d}/{number:04d}.bin")
            entry.size, entry.mtime = len(data), 1_700_000_000
            archive.addfile(entry, io.BytesIO(data))


def layered_archive(path: Path, folder: Path, name: str, *, layers: int, total: int) -> None:
    """Write a docker-archive of an image of several layers, ``total`` bytes together."""
    diff_ids, files = [], []
    for number in range(layers):
        layer = folder / f"layer-{number}.tar"
        large_tar(layer, total=total // layers, seed=number + 1)
        with layer.open("rb") as file:
            diff_ids.append("sha256:" + hashlib.file_digest(file, "sha256").hexdigest())
        files.append(layer)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": [f.name for f in files]}]
    with tarfile.open(path, "w") as archive:
        for layer in files:
            archive.add(layer, layer.name)
            layer.unlink()
        for member, value in (("config.json", config), ("manifest.json", manifest)):
            data = json.dumps(value).encode()
            entry = tarfile.TarInfo(member)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


def random_tar(path: Path, total: int) -> None:
    """Write one file of bytes that do not compress."""
    entry = tarfile.TarInfo("random.bin")
    entry.size = total
    with tarfile.open(path, "w") as archive, open("/dev/urandom", "rb") as source:
        archive.addfile(entry, source)


def build_context(folder: Path) -> None:
    """Write a small application and its nine-step Dockerfile."""
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "requirements.txt").write_text("flask==3.0.0\n")
    for name in ("main", "views", "models", "settings", "readme"):
        (folder / f"{name}.txt").write_text(f"{name}\n" * 200)
