"""The program that runs one command in a changed root, and ends everything that it started.

It is started by :mod:`.chroot`, as a file: loading the package would take longer than its work.  It
has two inherited descriptors as its words: the *line*, from which
it reads the request (8 bytes of length, JSON) and whose end means that the engine is gone or no
longer interested; and the *complaints*, to which an error of the start is written.

The command has a session of its own.  This process is a *subreaper* (prctl(2)): what the command
left behind becomes its child, whatever sessions it made, so that it finds and kills all of them.
Without a PID namespace nothing else would.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import select
import signal
import sys
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a third of the time that this program takes to start
    from typing import Any

_PR_SET_SUBREAPER, _PR_DROP_BOUNDING, _PR_NO_NEW_PRIVS, _PR_AMBIENT = 36, 24, 38, 47
_PR_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_POLL_MILLISECONDS = 1000
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_LAST_CAPABILITY = 63
_UNLIMITED = 2**64 - 1


def main() -> int:
    """Run the requested command; return its exit code, 128+n if signal n killed it."""
    line, complaints = map(int, sys.argv[1:])
    libc = ctypes.CDLL(None, use_errno=True)
    request = _read_request(line)
    _prctl(libc, _PR_SET_SUBREAPER, 1)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    wake, waking = os.pipe()
    os.set_blocking(waking, False)
    signal.set_wakeup_fd(waking)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    child = os.fork()
    if child == 0:
        _become(libc, request, complaints)
    os.close(complaints)
    try:
        return _wait(child, line, wake)
    finally:
        end_children()


def _read_request(line: int) -> dict[str, Any]:
    size = int.from_bytes(_read(line, 8))
    found: dict[str, Any] = json.loads(_read(line, size))
    return found


def _read(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := os.read(descriptor, size - len(data))):
        data += piece
    if len(data) < size:
        sys.exit(125)  # the engine has ended
    return data


def _wait(child: int, line: int, wake: int) -> int:
    """Return the exit code of the command; 137 if the engine closes its end of the line."""
    poller = select.poll()
    poller.register(line, select.POLLIN)
    poller.register(wake, select.POLLIN)
    while True:
        with suppress(ChildProcessError):
            # Orphans of the command are reaped as well.
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if found[0] == child:
                    code = os.waitstatus_to_exitcode(found[1])
                    return 128 - code if code < 0 else code
        for descriptor, _ in poller.poll(_POLL_MILLISECONDS):
            if not os.read(descriptor, 64):
                return 128 + signal.SIGKILL


def end_children() -> None:
    """Kill all descendants of this process, and reap them."""
    while True:
        for pid in _children(os.getpid()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children(parent: int) -> list[int]:
    """Return the children of a process; its orphaned grandchildren become children in turn."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError, ValueError), open(f"/proc/{name}/stat", "rb") as file:
                # The name of a program may hold blanks and brackets.
                if int(file.read().rpartition(b")")[2].split()[1]) == parent:
                    found.append(int(name))
    return found


def _become(libc: ctypes.CDLL, request: dict[str, Any], complaints: int) -> None:
    """Turn this process into the command; never return."""
    try:
        _confine(libc, request)
        error = _execute(request["args"], request["env"])
    except OSError as failed:
        error = f"{failed.filename or 'chroot'}: {(failed.strerror or '').lower()}"
    except Exception as failed:  # noqa: BLE001  # this is a fork: no exception may leave it
        error = f"{type(failed).__name__}: {failed}"
    with suppress(OSError):
        os.write(complaints, error.encode(errors="replace")[:4000])
    os._exit(125)


def _confine(libc: ctypes.CDLL, request: dict[str, Any]) -> None:
    os.setsid()
    signal.set_wakeup_fd(-1)
    for one in (*_SIGNALS, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(one, signal.SIG_DFL)
    for limit in request["rlimits"]:
        values = [-1 if limit[kind] == _UNLIMITED else limit[kind] for kind in ("soft", "hard")]
        resource.setrlimit(getattr(resource, limit["type"]), (values[0], values[1]))
    os.umask(0o022)
    os.chroot(request["root"])
    os.chdir("/")
    waits = False
    try:
        os.chdir(request["cwd"])
    except PermissionError:
        waits = True  # a folder that only the user may enter
    kept = request["capabilities"]
    for number in range(_LAST_CAPABILITY + 1):
        # The kernel knows fewer: EINVAL.
        if not kept >> number & 1 and libc.prctl(_PR_DROP_BOUNDING, number, 0, 0, 0) != 0:
            code = ctypes.get_errno()
            if code != errno.EINVAL:
                raise OSError(code, os.strerror(code), "drop capabilities")
    user = request["user"]
    os.setgroups(user["additionalGids"])
    os.setresgid(user["gid"], user["gid"], user["gid"])
    os.setresuid(user["uid"], user["uid"], user["uid"])
    if user["uid"] == 0:
        _set_capabilities(libc, kept)
    if request["noNewPrivileges"]:
        _prctl(libc, _PR_NO_NEW_PRIVS, 1)
    if waits:
        os.chdir(request["cwd"])


def _set_capabilities(libc: ctypes.CDLL, kept: int) -> None:
    libc.prctl(_PR_AMBIENT, _PR_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    low, high = kept & 0xFFFFFFFF, kept >> 32
    data = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)
    if libc.capset(header, data) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "set capabilities")


def _prctl(libc: ctypes.CDLL, option: int, value: int) -> None:
    if libc.prctl(option, value, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "prctl")


def _execute(argv: list[str], entries: list[str]) -> str:
    """Execute the command; return the error in the words of the runtimes."""
    environ = dict(entry.partition("=")[::2] for entry in entries)
    program = argv[0]
    if "/" in program:
        places = [program]
    else:
        places = [f"{folder or '.'}/{program}" for folder in environ.get("PATH", "").split(":")]
    worst = ""
    for place in places:
        try:
            os.execve(place, argv, environ)  # noqa: S606  # the command is what is to be run
        except OSError as error:
            text = (error.strerror or "").lower()
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                worst = worst or f'exec: "{place}": {text}'
            elif "/" in program:
                worst = f'exec: "{program}": stat {program}: no such file or directory'
    return worst or f'exec: "{program}": executable file not found in $PATH'


if __name__ == "__main__":
    sys.exit(main())
