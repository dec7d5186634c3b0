"""The disk of a throw-away Debian with systemd and pure cgroup v2, made once and kept.

Three files in the cache folder: ``vmlinuz``, ``initrd`` (loads the disk's drivers and hands over)
and ``root.ext4``.  The folder's name is a digest of what they are made from, so that a change here
makes new ones.  Needs root, for mmdebstrap keeps the owners of files.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

GUEST = Path(__file__).with_name("guest")
# The tests run with the packages of this machine's .venv, so the guest has the same Python.
SUITES = {(3, 11): "bookworm", (3, 13): "trixie"}
_PACKAGES = """
    systemd systemd-sysv dbus dbus-user-session libpam-systemd linux-image-cloud-amd64 kmod
    python3 runc crun conmon uidmap slirp4netns fuse-overlayfs nftables iproute2 procps
    util-linux passwd busybox-static tini ca-certificates
"""
_DRIVERS = ("virtio_pci", "virtio_blk", "ext4")
# Services that a short-lived machine does not need, and that are slow on emulated processors.
_MASKED = """
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer
    e2scrub_reap.service getty@tty1.service serial-getty@ttyS0.service systemd-timesyncd.service
    systemd-networkd.service systemd-pstore.service systemd-update-utmp.service
    systemd-update-utmp-runlevel.service systemd-remount-fs.service systemd-journal-flush.service
"""
_DISK = "3G"


@dataclass(frozen=True, slots=True)
class Image:
    """A complete image; its files are only read."""

    folder: Path

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd"

    @property
    def disk(self) -> Path:
        return self.folder / "root.ext4"


def image(cache: Path) -> Image:
    """Return the image, made when there is none yet (some two minutes)."""
    suite = SUITES.get(sys.version_info[:2])
    if suite is None:
        known = ", ".join(f"{major}.{minor}" for major, minor in SUITES)
        raise SystemExit(f"vm: no Debian has this Python; run the tests with one of {known}")
    made_from = [Path(__file__), *sorted(GUEST.iterdir())]
    digest = hashlib.sha256(b"\0".join(file.read_bytes() for file in made_from)).hexdigest()[:12]
    folder = cache / f"{suite}-{digest}"
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / "lock"):
        if not (folder / "complete").exists():
            for old in cache.glob(f"{suite}-*"):
                shutil.rmtree(old)
            folder.mkdir()
            print(f"vm: making the image of {suite}", file=sys.stderr, flush=True)
            _make(Image(folder), suite)
            (folder / "complete").touch()
    return Image(folder)


def _make(made: Image, suite: str) -> None:
    root = made.folder / "root"
    options = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
    hooks = [f"--customize-hook={GUEST / 'customize'} $1 {' '.join(_MASKED.split())}"]
    packages = ",".join(_PACKAGES.split())
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}"]
    _do([*command, *options, *hooks, suite, str(root)])
    [modules] = (root / "lib/modules").glob("*-amd64")
    shutil.copy(root / f"boot/vmlinuz-{modules.name}", made.kernel)
    _make_initrd(made, modules)
    for old in (root / "boot").glob("initrd*"):
        old.unlink()
    _do(["truncate", "-s", _DISK, str(made.disk)])
    _do(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(root), str(made.disk)])
    shutil.rmtree(root)


def _make_initrd(made: Image, modules: Path) -> None:
    tree = made.folder / "initrd.d"
    for name in ("bin", "modules", "dev", "proc", "sys", "root"):
        (tree / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", tree / "bin/busybox")
    shutil.copy(GUEST / "init", tree / "init")
    order = []
    for module in _closure(modules / "modules.dep", _DRIVERS):
        name = Path(module).name
        data = (modules / module).read_bytes()
        if name.endswith(".xz"):
            import lzma

            name, data = name.removesuffix(".xz"), lzma.decompress(data)
        (tree / "modules" / name).write_bytes(data)
        order.append(name)
    (tree / "modules/order").write_text("".join(f"{name}\n" for name in order))
    archive = f"find . | cpio -o -H newc -R 0:0 --quiet | gzip -1 > {made.initrd}"
    _do(["sh", "-ec", archive], cwd=tree)
    shutil.rmtree(tree)


def _closure(dependencies: Path, wanted: tuple[str, ...]) -> list[str]:
    """Return the modules to load, those that others need first; built-in ones are in no file."""
    needs = {}
    for line in dependencies.read_text().splitlines():
        module, _, others = line.partition(":")
        needs[module] = others.split()
    names = {Path(module).name.partition(".")[0]: module for module in needs}
    found: dict[str, None] = {}
    for name in wanted:
        if name in names:
            # modules.dep lists the deepest need last.
            found |= dict.fromkeys([*reversed(needs[names[name]]), names[name]])
    return list(found)


def _do(command: list[str], cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"vm: {command[0]} failed\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with open(file, "wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
