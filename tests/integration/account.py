"""An ordinary user's account for tests: programs run as ``nobody``.

The test's process is root.  A mount namespace for these programs alone adds the parts of an
ordinary machine that a test machine may lack: a Python and a clone that every user can read,
``/dev/net/tun`` open to all, ``/etc/subuid``.
"""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from jupyter_containers.settings import LAB_FILE
from tests.integration.commands import LARGEST_INPUT, START, Commands

KINDS = ("single", "subordinate")
NEEDS = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user"),
    pytest.mark.skipif(not shutil.which("runc"), reason="needs runc"),
    pytest.mark.skipif(not shutil.which("slirp4netns"), reason="needs slirp4netns"),
    pytest.mark.skipif(not shutil.which("newuidmap"), reason="needs newuidmap (uidmap)"),
]
USER = pwd.getpwnam("nobody")
_COMMAND = [sys.executable, "-m", "jupyter_containers.cli"]
CLONE = Path(__file__).resolve().parents[2]
_SUBORDINATE = "nobody:400000:65536\n"


@dataclass(frozen=True, slots=True)
class Account:
    """The user nobody with a ``home`` (below /tmp: pytest's folders are closed to others).

    ``lab`` is the content of the administrator's file (``/etc/jupyter_containers/lab.toml``).
    ``setup`` are lines of shell that root runs before, in the mount namespace of each program;
    ``variables`` are added to its environment, and taken away where empty.  Commands that need
    nothing else than ``commands`` has are forks of it.
    """

    home: Path
    subordinate: bool = False
    no_new_privileges: bool = False
    setup: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    lab: str = ""
    commands: Commands | None = field(default=None, compare=False)

    def run(
        self, argv: list[str], *, stdin: bytes = b"", timeout: float = 120
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program as the user, in the home."""
        options = len(_COMMAND)
        if argv[:options] == _COMMAND and len(stdin) <= LARGEST_INPUT and self._forks:
            return self._forks.run(argv[options:], stdin=stdin)
        return subprocess.run(
            self.words(argv), input=stdin, capture_output=True, timeout=timeout, check=False
        )

    @property
    def _forks(self) -> Commands | None:
        """``commands`` if it was started as this account starts programs."""
        same = self.commands is not None and self.commands.argv == self.words(list(START))
        return self.commands if same else None

    def container(self, line: str, *, stdin: bytes = b"") -> str:
        """Return the output of ``jupyter container LINE``, which must succeed."""
        done = self.run(self.command(line), stdin=stdin)
        assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
        return done.stdout.decode()

    def command(self, line: str) -> list[str]:
        """Return the words of ``jupyter container LINE``."""
        return [*_COMMAND, *shlex.split(line)]

    def python(self, text: str) -> str:
        """Return the output of a Python program of the user, which must succeed."""
        done = self.run([sys.executable, "-c", text])
        assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
        return done.stdout.decode()

    def words(self, argv: list[str]) -> list[str]:
        """Return the words that run a program as the user."""
        ids = [f"--reuid={USER.pw_uid}", f"--regid={USER.pw_gid}", "--clear-groups"]
        dropped = ["--no-new-privs"] if self.no_new_privileges else []
        environ = {
            "HOME": str(self.home),
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": str(CLONE),
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            "JUPYTER_CONTAINERS_ADDITIONAL_STORES": "/none",  # whatever this machine shares
        }
        environ |= self.variables
        pairs = [f"{name}={value}" for name, value in environ.items() if value]
        inner = ["setpriv", *ids, *dropped, "env", "-i", "-C", str(self.home), *pairs, *argv]
        setup = "\n".join(
            [
                *self._readable(),
                *self._devices(),
                *self._lab(),
                *self.setup,
                f"exec {shlex.join(inner)}",
            ]
        )
        return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", setup]

    def _lab(self) -> list[str]:
        if not self.lab:
            return []
        etc, text = f"{self.home}/.etc", shlex.quote(self.lab)
        return [
            f"mkdir -p {etc} && printf %s {text} > {etc}/lab.toml",
            f"mkdir -p {LAB_FILE.parent} && mount --bind {etc} {LAB_FILE.parent}",
        ]

    def _readable(self) -> list[str]:
        """Return commands that open the folders above Python and the clone to all users."""
        lines = []
        for number, place in enumerate((Path(sys.base_prefix), CLONE, Path(sys.prefix))):
            closed = [folder for folder in place.parents if not folder.stat().st_mode & 1]
            if not closed:
                continue
            # The outermost closed folder becomes an empty one with nothing but this place in it.
            kept = f"{self.home}/.open{number}"
            lines += [
                f"mkdir -p {kept} && mount --bind {place} {kept}",
                f"mount -t tmpfs -o mode=755 tmpfs {closed[-1]}",
                f"mkdir -p {place} && mount --bind {kept} {place}",
            ]
        return lines

    def _devices(self) -> list[str]:
        subordinate = _SUBORDINATE if self.subordinate else ""
        lines = []
        for name in ("subuid", "subgid"):
            lines += [
                f"printf %s {shlex.quote(subordinate)} > {self.home}/.{name}",
                f"touch /etc/{name} && mount --bind {self.home}/.{name} /etc/{name}",
            ]
        if os.path.exists("/dev/net/tun"):
            lines += [
                f"mount -t tmpfs -o mode=755,dev tmpfs {self.home}/.dev",
                f"mknod -m 666 {self.home}/.dev/tun c 10 200",
                f"mount --bind {self.home}/.dev/tun /dev/net/tun",
            ]
        return lines


@contextmanager
def opened(kind: str) -> Iterator[Account]:
    """Yield an account with one id (as under NoNewPrivileges) or with ``subordinate`` ids."""
    home = Path(f"/tmp/jc-{kind}-{os.getpid()}")
    home.mkdir(mode=0o755)
    (home / ".dev").mkdir()
    (home / "run").mkdir(mode=0o700)
    for place in (home, home / "run"):
        os.chown(place, USER.pw_uid, USER.pw_gid)
    subordinate = kind == "subordinate"
    account = Account(home, subordinate, no_new_privileges=not subordinate)
    commands = Commands(account.words(list(START)))
    try:
        yield replace(account, commands=commands)
    finally:
        commands.close()
        ended(account.home / "run")
        # A user's unpacked layers are many files: some seconds in Python, and longer beside others.
        subprocess.run(["rm", "-rf", home], check=True)


def ended(run: Path) -> None:
    """End every process of the namespaces of an engine with this runtime folder, and only those."""
    file = run / "jupyter-containers/user/holder"
    if not file.exists():
        return
    namespace = os.readlink(f"/proc/{file.read_text().split()[0]}/ns/user")
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if os.readlink(folder / "ns/user") == namespace:
                    os.kill(int(folder.name), signal.SIGKILL)
            except OSError:
                continue  # it has ended
