"""Network namespaces that live as long as they are used, without a file system entry.

A namespace is *created* in a short-lived thread and kept as an open descriptor of this process.
``path`` passes it to a runtime (``/proc/<pid>/fd/<n>``); from then on the container's processes
keep it alive.  When they end, and this process has closed its descriptor or died, the kernel
removes the namespace with every interface in it: there is nothing to sweep.

See namespaces(7), setns(2) and the ``linux.namespaces[].path`` field of the OCI runtime spec.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import weakref
from collections.abc import Callable
from typing import TypeVar

from jupyter_containers.errors import NetworkError
from jupyter_containers.network.links import set_up
from jupyter_containers.network.netlink import NetlinkSocket
from jupyter_containers.network.sysctl import write_sysctl

__all__ = ["NetworkNamespace"]

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_LOOPBACK = 1  # the index of lo in every namespace


class NetworkNamespace:
    """An open network namespace; :meth:`close` (or garbage collection) closes the descriptor."""

    __slots__ = ("__weakref__", "_finalizer", "fd")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._finalizer = weakref.finalize(self, os.close, fd)

    @classmethod
    def create(cls) -> NetworkNamespace:
        """Return a new namespace with only the loopback interface, which is up.

        Interfaces added later have no IPv6 address until one is assigned: a link-local address
        would only let a neighbour send router advertisements.
        """
        return _in_thread(lambda: cls(_new_namespace()))

    @classmethod
    def from_pid(cls, pid: int) -> NetworkNamespace:
        """Return the network namespace of process ``pid``; raise :class:`NetworkError`."""
        try:
            return cls(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            raise NetworkError(f"process {pid} has no network namespace to enter") from error

    @property
    def path(self) -> str:
        """The namespace as a path for the runtime spec, valid until :meth:`close`."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def run(self, function: Callable[[], T]) -> T:
        """Call ``function`` in a thread inside this namespace; return its result."""

        def enter_and_call() -> T:
            _call("setns", self.fd, _CLONE_NEWNET)
            return function()

        return _in_thread(enter_and_call)

    def close(self) -> None:
        """Close the descriptor; the namespace exists while processes are in it."""
        self._finalizer()

    def __enter__(self) -> NetworkNamespace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _new_namespace() -> int:
    _call("unshare", _CLONE_NEWNET)
    # A kernel without IPv6 has no such file.
    with contextlib.suppress(OSError):
        write_sysctl("ipv6/conf/default/disable_ipv6", "1")
    with NetlinkSocket() as route:
        route.send(set_up(_LOOPBACK))
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _call(name: str, *arguments: int) -> None:
    # os.setns and os.unshare came with Python 3.12.
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        raise NetworkError(
            f"{name} of a network namespace failed: {os.strerror(ctypes.get_errno())}",
            hint="networks need root, or a host that lets users make namespaces:"
            " jupyter container doctor says what is missing",
        )


def _in_thread(function: Callable[[], T]) -> T:
    """Run ``function`` in a new thread and return its result.

    A thread cannot safely return to its former namespace, so no thread is used twice.  An interrupt
    waits for the thread (these calls take milliseconds) and is raised then.
    """
    results: list[T] = []
    failures: list[BaseException] = []

    def work() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001  # handed to the caller's thread below
            failures.append(error)

    thread = threading.Thread(target=work, name="network-namespace", daemon=True)
    thread.start()
    try:
        thread.join()
    except KeyboardInterrupt:
        thread.join()
        raise
    if failures:
        raise failures[0]
    return results[0]
