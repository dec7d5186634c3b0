"""The namespaces in which an ordinary user is root, kept by a process with no other purpose.

See user_namespaces(7), newuidmap(1) and setns(2).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import pwd
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyter_containers.errors import ContainersError, UnsupportedError
from jupyter_containers.filesystems import private_folder
from jupyter_containers.layout import USER_FOLDER, UserLayout
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import shutil, subprocess
from jupyter_containers.network.links import set_up
from jupyter_containers.network.namespace import NetworkNamespace
from jupyter_containers.network.netlink import NetlinkSocket
from jupyter_containers.network.usermode import Uplink
from jupyter_containers.oci.idmap import IDMap, IDMapping
from jupyter_containers.rootless.delegation import settle
from jupyter_containers.runtime.process import ProcessIdentity
from jupyter_containers.runtime.restrictions import namespace_restriction
from jupyter_containers.runtime.subids import subordinate

_CLONE_NEWUSER = 0x10000000
_PR_SET_DUMPABLE = 4
_LOOPBACK = 1
# It waits for its map: without one it could not even start a program.
_HOLD = "echo ready; read go; exec sleep 2147483647"


@dataclass(frozen=True, slots=True)
class Identities:
    """The users and groups that will exist inside; ``reason`` explains why there are no more."""

    users: IDMap
    groups: IDMap
    reason: str = ""


class Holder:
    """The namespaces of one user, kept by process ``pid`` and described in ``files``."""

    __slots__ = ("files", "pid")

    def __init__(self, files: UserLayout, pid: int) -> None:
        self.files, self.pid = files, pid

    @classmethod
    def of(cls, files: UserLayout) -> Holder | None:
        """Return the holder that another process started, if it is still alive."""
        try:
            pid, began = files.holder.read_text().split()
        except (OSError, ValueError):
            return None
        return cls(files, int(pid)) if ProcessIdentity(int(pid), int(began)).alive else None

    @classmethod
    def start(cls, files: UserLayout) -> Holder:
        """Create new namespaces, with an uplink if the host has slirp4netns.

        Raises :class:`UnsupportedError` if the host does not let users create namespaces.
        """
        alive, kept = os.pipe2(os.O_CLOEXEC)
        try:
            # It keeps the pipe's other end, so that the uplink notices when it ends, for any
            # reason.
            process = subprocess.Popen(
                ["unshare", "--user", "--net", "sh", "-c", _HOLD],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(kept,),
                start_new_session=True,
            )
            os.close(kept)
            kept = -1
            holder = cls(files, process.pid)
            try:
                holder._prepare(process, alive)
            except BaseException:
                holder.stop()
                raise
        finally:
            os.close(alive)
            if kept >= 0:
                os.close(kept)
        identity = ProcessIdentity.of(process.pid)
        # If the holder has already ended, the file is empty and the next process starts one.
        files.holder.write_text(f"{identity.pid} {identity.start_time}" if identity else "")
        return holder

    def _prepare(self, process: subprocess.Popen[bytes], alive: int) -> None:
        assert process.stdin is not None  # all three were requested
        assert process.stdout is not None
        assert process.stderr is not None
        if process.stdout.readline() != b"ready\n":
            said = process.stderr.read().decode(errors="replace").strip()
            withheld = namespace_restriction(said)
            raise UnsupportedError(
                withheld.reason, capability="user namespaces", provided_by=withheld.remedy
            )
        reason = map_identities(process.pid)
        self.files.single.write_text(reason)
        process.stdin.write(b"go\n")
        process.stdin.close()
        process.stdout.close()
        process.stderr.close()
        try:
            weaker = self.uplink.start(process.pid, alive)
            self.files.uplink_weaker.write_text(weaker)
            self.files.no_uplink.unlink(missing_ok=True)
        except UnsupportedError as error:
            self.files.no_uplink.write_text(error.message)

    @property
    def uplink(self) -> Uplink:
        """The program that relays packets between the namespace and the host's network."""
        return Uplink(self.files.uplink)

    def stop(self) -> None:
        """Stop the holder; the namespaces end with the last container in them."""
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            return


def enter(files: UserLayout) -> None:
    """Make this process root in the user's namespaces, which are created if they do not exist.

    It must have only one thread, and stays in the host's network.  ``files`` are those by which
    processes of the user find the namespaces.
    """
    private_folder(files.folder.parent)
    private_folder(files.folder)
    with _lock(files.lock):
        # Done first: afterwards this process is another user for the user's systemd. A new holder
        # starts in its group.
        refused = settle(files.cgroup)
        note = f"{refused.reason}\n{refused.remedy}" if refused else ""
        files.no_cgroup.write_text(note)
        found = Holder.of(files)
        holder = found or Holder.start(files)
        _join(holder.pid)
        if found is None:
            with NetworkNamespace.from_pid(holder.pid) as network:
                network.run(_loopback_up)


def end(run_root: Path) -> None:
    """End the namespaces of a run root, with all processes that keep them."""
    files = UserLayout(run_root / USER_FOLDER)
    found = Holder.of(files)
    if found is not None:
        found.stop()
    if files.folder.is_dir():
        shutil.rmtree(files.folder)
    if run_root.is_dir() and not any(run_root.iterdir()):
        run_root.rmdir()


def identities() -> Identities:
    """Return the IDs for the namespace: this user as root, and its subordinate IDs from 1 on."""
    uid, gid = os.getuid(), os.getgid()
    own_user, own_group = IDMapping(0, uid, 1), IDMapping(0, gid, 1)
    alone = (IDMap((own_user,)), IDMap((own_group,)))
    name = _name(uid)
    users = subordinate(Path("/etc/subuid"), {name, str(uid)})
    groups = subordinate(Path("/etc/subgid"), {name, str(uid)})
    if not users or not groups:
        return Identities(*alone, f"{name} has no range in /etc/subuid and /etc/subgid")
    if not shutil.which("newuidmap") or not shutil.which("newgidmap"):
        return Identities(*alone, "newuidmap is missing: apt-get install uidmap")
    if _no_new_privileges():
        return Identities(
            *alone, "the server runs with NoNewPrivileges, so newuidmap has no effect"
        )
    return Identities(IDMap((own_user, *users)), IDMap((own_group, *groups)))


def map_identities(pid: int) -> str:
    """Write the ID maps of a new user namespace; return why it has only one ID, or ``""``."""
    wanted = identities()
    if not wanted.reason:
        failed = _map_with("newuidmap", pid, wanted.users) or _map_with(
            "newgidmap", pid, wanted.groups
        )
        if not failed:
            return ""
        if Path(f"/proc/{pid}/uid_map").read_text().strip():
            raise UnsupportedError(
                f"cannot map groups: {failed}",
                capability="subordinate groups",
                provided_by="as root: usermod --add-subgids 100000-165535 USER",
            )
        wanted = Identities(
            IDMap(wanted.users.mappings[:1]), IDMap(wanted.groups.mappings[:1]), failed
        )
    Path(f"/proc/{pid}/setgroups").write_text("deny")
    Path(f"/proc/{pid}/uid_map").write_text(_line(wanted.users.mappings[0]))
    Path(f"/proc/{pid}/gid_map").write_text(_line(wanted.groups.mappings[0]))
    return wanted.reason


def _map_with(program: str, pid: int, wanted: IDMap) -> str:
    """Return why the program refused, or an empty text."""
    words = [word for one in wanted.mappings for word in _line(one).split()]
    done = subprocess.run([program, str(pid), *words], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else (done.stderr.strip() or f"{program} failed")


def _line(one: IDMapping) -> str:
    return f"{one.container_id} {one.host_id} {one.size}"


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _no_new_privileges() -> bool:
    return "NoNewPrivs:\t1" in Path("/proc/self/status").read_text()


def _loopback_up() -> None:
    with NetlinkSocket() as route:
        route.send(set_up(_LOOPBACK))


def _join(pid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    fd = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(fd, _CLONE_NEWUSER) != 0:
            reason = os.strerror(ctypes.get_errno())
            raise ContainersError(f"cannot enter the user's own namespace: {reason}")
    finally:
        os.close(fd)
    # The kernel removed it with the change of credentials; /proc/self/* would belong to root.
    libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


@contextmanager
def _lock(file: Path) -> Iterator[None]:
    with open(file, "wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
