"""Units of systemd that start the service of the Docker Engine API at its first request.

A *socket unit* listens and holds no process; its *service unit* is started by the first client and
ends itself when it is idle.  Both belong to root's systemd, or to that of one user.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jupyter_containers.engine.system.serving import ONE_ARENA
from jupyter_containers.errors import ContainersError, NotFoundError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import subprocess

NAME = "jupyter-containers"
_RUNNING = Path("/run/systemd/system")  # sd_booted(3)
_KEPT = "JUPYTER_CONTAINERS_"
Run = Callable[[Sequence[str]], str]


@dataclass(frozen=True, slots=True)
class Units:
    """The two units: their paths and their contents."""

    folder: Path
    user: bool
    socket: str = ""
    service: str = ""

    @property
    def paths(self) -> tuple[Path, Path]:
        """The files of the socket and of the service."""
        return self.folder / f"{NAME}.socket", self.folder / f"{NAME}.service"

    def systemctl(self, *words: str) -> tuple[str, ...]:
        """Return a command for the systemd that has the units."""
        return ("systemctl", *(("--user",) if self.user else ()), *words)


def units_folder(environ: Mapping[str, str], uid: int) -> Path:
    """Return the folder of unit files of a user's systemd, or of root's."""
    if uid == 0:
        return Path("/etc/systemd/system")
    configuration = environ.get("XDG_CONFIG_HOME") or f"{environ.get('HOME', '/')}/.config"
    return Path(configuration) / "systemd/user"


def units_of(
    socket: Path, idle: float, environ: Mapping[str, str], folder: Path, *, user: bool
) -> Units:
    """Return the units for a socket; the service has the settings of this environment."""
    kept = {name: text for name, text in sorted(environ.items()) if name.startswith(_KEPT)}
    kept |= ONE_ARENA
    kept |= {"PATH": environ["PATH"]} if "PATH" in environ else {}
    lines = "".join(f"Environment={_quoted(f'{name}={text}')}\n" for name, text in kept.items())
    program = (sys.executable, "-P", "-m", "jupyter_containers.api.server")
    words = [*program, f"unix://{socket}", f"{idle:g}", "-1"]
    listening = str(socket).replace("%", "%%")
    return Units(
        folder,
        user,
        f"""\
[Unit]
Description=Docker Engine API of jupyter-containers (socket)

[Socket]
ListenStream={listening}
SocketMode=0600
DirectoryMode=0700

[Install]
WantedBy=sockets.target
""",
        # KillMode: containers and their monitors go on when the service ends.
        f"""\
[Unit]
Description=Docker Engine API of jupyter-containers
Requires={NAME}.socket
After={NAME}.socket

[Service]
Type=exec
{lines}ExecStart={" ".join(_quoted(word).replace("$", "$$") for word in words)}
KillMode=process
Delegate=yes
""",
    )


def _quoted(text: str) -> str:
    """Return a word as systemd.syntax(7) reads it."""
    if any(ord(character) < 32 for character in text):
        raise ContainersError(f"a unit cannot hold the text {text!r}")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"' if set(escaped) & set(" \t\"'\\;") else escaped


def install(units: Units, run: Run) -> str:
    """Write the units and start listening; return a line for each action."""
    units.folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for path, text in zip(units.paths, (units.socket, units.service), strict=True):
        path.write_text(text)
        path.chmod(0o644)
        lines.append(f"wrote {path}")
    lines += [
        run(units.systemctl("daemon-reload")),
        run(units.systemctl("enable", "--now", f"{NAME}.socket")),
    ]
    return "\n".join(lines)


def uninstall(units: Units, run: Run) -> str:
    """Stop the service and remove the units; return a line for each action.

    Raises :class:`NotFoundError` if there are none.
    """
    here = [path for path in units.paths if path.exists()]
    if not here:
        raise NotFoundError(f"no units of the service in {units.folder}")
    lines = [run(units.systemctl("disable", "--now", f"{NAME}.socket", f"{NAME}.service"))]
    for path in here:
        path.unlink()
        lines.append(f"removed {path}")
    lines.append(run(units.systemctl("daemon-reload")))
    return "\n".join(lines)


def run_systemctl(words: Sequence[str]) -> str:
    """Run a systemctl command; return a line that reports it.

    Where systemd does not run, or not for this user, the line names the command left to run.
    """
    line = " ".join(words)
    if not _RUNNING.is_dir():
        return f"systemd does not run here: to be done where it does: {line}"
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=90
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"to be done: {line} ({error})"
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["it failed"])[-1]
        return f"to be done: {line} ({said})"
    return f"ran {line}"


def own_units(socket: Path, idle: float) -> Units:
    """Return the units of the user of this process."""
    folder = units_folder(os.environ, os.geteuid())
    return units_of(socket, idle, os.environ, folder, user=os.geteuid() != 0)
