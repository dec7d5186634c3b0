"""Delegated control groups of ordinary users, for limits on containers (cgroup v2).

Vocabulary: the *base* is a group that is delegated to the user (cgroups(7), "Delegation"); the
engine's processes are in the group ``ENGINE`` below it, containers' groups beside that.  There are
two ways to a base.  The user's systemd creates a *scope* on request, and moves processes into it
that may not move themselves (systemd.scope(5), and systemd's "Control Group APIs and Delegation").
If the server's own group belongs to the user (a service of the machine with ``Delegate=yes`` and
``User=``, a container with delegated groups), that is the base, and all its processes move into
``ENGINE``.  Groups of other users are never changed.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import shutil, subprocess
from jupyter_containers.runtime.cgroup_delegation import delegate_controllers
from jupyter_containers.runtime.cgroups import ENGINE, UNIFIED, CgroupLayout

SCOPE = "jupyter-containers.scope"
_MANAGER = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
_SECONDS = 5.0
_CONTROLLERS = (
    "as root: mkdir -p /etc/systemd/system/user@.service.d;"
    " printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n'"
    " > /etc/systemd/system/user@.service.d/delegate.conf; systemctl daemon-reload"
)
_MANAGER_OF_USER = "as root: apt-get install dbus-user-session; loginctl enable-linger USER"
_SERVICE = "Delegate=yes beside User= in the service that starts the notebook server"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason why there is no base, and how an administrator can provide one."""

    reason: str
    remedy: str


def settle(
    memory: Path, layout: CgroupLayout | None = None, own: str | None = None
) -> Refusal | None:
    """Move this process to a group in which containers can have limits; return why that failed.

    It must have only one thread.  ``memory`` is a file that records the group for the user's next
    processes. ``layout`` and ``own`` (the text of ``/proc/self/cgroup``) are read if not given.
    """
    layout = layout or CgroupLayout.read()
    if layout.version != "v2":
        return Refusal(
            f"control groups here are {layout.version}: only cgroup v2 can be delegated to users",
            "boot with systemd.unified_cgroup_hierarchy=1",
        )
    if layout.of_user(own).version == "v2":
        return None
    place = _Place(layout, memory, layout.own_group(own))
    if place.join():
        return None
    ways = (
        (place.take_own_group, place.ask_systemd)
        if place.is_service
        else (place.ask_systemd, place.take_own_group)
    )
    refusals = []
    for way in ways:
        refusal = way()
        if refusal is None:
            return None
        refusals.append(refusal)
    reasons = "; ".join(refusal.reason for refusal in refusals)
    return Refusal(reasons, next(refusal.remedy for refusal in refusals if refusal.remedy))


class _Place:
    """The ways for this process to enter a base of its user."""

    def __init__(self, layout: CgroupLayout, note: Path, own: str) -> None:
        self._mount = layout.mounts[UNIFIED]
        self._layout = layout
        self._own = own
        self._note = note
        self._user = os.getuid()

    @property
    def is_service(self) -> bool:
        """True if the server's group belongs to the user, but not to the user's systemd."""
        inside = f"/user@{self._user}.service/" in self._own
        return not inside and self._is_ours(self._own)

    def join(self) -> bool:
        """Enter the base that an earlier process found; return False if that fails."""
        try:
            base = self._note.read_text()
        except OSError:
            return False
        return self._enter(base)

    def take_own_group(self) -> Refusal | None:
        """Make this process's own group the base; return why that failed."""
        if not self._own:
            return Refusal("this process's control group is not visible", _SERVICE)
        if not self._is_ours(self._own):
            return Refusal(f"the server's control group {self._own} is not this user's", _SERVICE)
        return self._use_base(self._own)

    def ask_systemd(self) -> Refusal | None:
        """Let the user's systemd create the scope, or move this process there; return an error."""
        runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{self._user}"
        usual = f"/run/user/{self._user}"
        runtime = next((one for one in (runtime, usual) if os.path.exists(f"{one}/bus")), "")
        if not runtime or not shutil.which("busctl"):
            return Refusal(f"no systemd of this user answers ({usual}/bus)", _MANAGER_OF_USER)
        pid = str(os.getpid())
        # The process may be there already, or in a session out of which it cannot move by itself.
        failed = _call(runtime, "AttachProcessesToUnit", "ssau", SCOPE, f"/{ENGINE}", "1", pid)
        if not failed:
            moved = self._in_scope(settled=True)
            return None if moved else Refusal("systemd did not move this process", "")
        properties = ["PIDs", "au", "1", pid, "Delegate", "b", "true"]
        properties += ["CollectMode", "s", "inactive-or-failed"]
        properties += ["Description", "s", "Containers of notebooks"]
        words = [SCOPE, "fail", "4", *properties, "0"]
        failed = _call(runtime, "StartTransientUnit", "ssa(sv)a(sa(sv))", *words)
        if failed or not self._in_scope(settled=False):
            return Refusal(f"systemd created no scope: {failed or 'it took too long'}", "")
        return self._use_base(self._layout.own_group())

    def _in_scope(self, *, settled: bool) -> bool:
        ending = f"/{SCOPE}/{ENGINE}" if settled else f"/{SCOPE}"
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            if self._layout.own_group().endswith(ending):
                return True
            time.sleep(0.002)
        return False

    def _is_ours(self, group: str) -> bool:
        folder = f"{self._mount}{group}"
        files = (f"{folder}/cgroup.procs", f"{folder}/cgroup.subtree_control")
        try:
            owner = os.stat(folder).st_uid
        except OSError:
            return False
        return owner == self._user and all(os.access(one, os.W_OK) for one in (folder, *files))

    def _use_base(self, base: str) -> Refusal | None:
        reason = delegate_controllers(self._layout, base)
        if reason:
            return Refusal(reason, _CONTROLLERS if "controllers" in reason else _SERVICE)
        self._note.write_text(base)
        return None

    def _enter(self, base: str) -> bool:
        try:
            Path(f"{self._mount}{base}/{ENGINE}/cgroup.procs").write_text(str(os.getpid()))
        except OSError:
            return False  # the group is gone, or its path crosses groups of other users
        return True


def _call(runtime: str, method: str, signature: str, *words: str) -> str:
    """Return why the user's systemd refused, or an empty text."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DBUS_")}
    argv = ["busctl", "--user", "--quiet", "call", *_MANAGER, f"{_MANAGER[0]}.Manager", method]
    done = subprocess.run(
        [*argv, signature, *words],
        env=environ | {"XDG_RUNTIME_DIR": runtime},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else (done.stderr.strip() or f"{method} failed")
