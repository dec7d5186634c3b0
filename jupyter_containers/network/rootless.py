"""Networks of an ordinary user: bridges inside one network namespace that all containers share.

Vocabulary: the *holder* is a process that does nothing but keep a user namespace and a network
namespace alive; the *uplink* connects the latter to the outside.  Inside them the user has every
right over networks, so bridges, addresses, names, isolation and published ports are those of
:class:`~.bridge.BridgeDriver` and :class:`~.firewall.Firewall`, at work in there.

Lifecycle: :meth:`Holder.start` once a boot → any number of processes use it (:meth:`Holder.of`) →
:meth:`Holder.stop`, or the end of the process; then its uplink ends, and everything in it with it.

A process with threads, as a kernel always is, cannot enter a user namespace: a forked child does.
Containers must be started inside the holder's user namespace (prefix :attr:`Holder.enter`), for
only there has the user any right over their namespaces.

See user_namespaces(7) and setns(2).
"""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import subprocess
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from jupyter_containers import errors
from jupyter_containers.errors import ContainersError, NetworkError, UnsupportedError
from jupyter_containers.network.bridge import BridgeDriver, BridgeStatus
from jupyter_containers.network.firewall import Firewall
from jupyter_containers.network.links import set_up
from jupyter_containers.network.model import Endpoint, Network, PublishedPort
from jupyter_containers.network.namespace import NetworkNamespace
from jupyter_containers.network.netlink import NetlinkSocket
from jupyter_containers.network.usermode import GUEST_ADDRESS, Uplink

__all__ = ["Holder", "RootlessBridge", "RootlessFirewall"]

T = TypeVar("T")

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_LOOPBACK = 1


class Holder:
    """The namespaces of one user's networks, kept by process ``pid``; files are in ``folder``."""

    __slots__ = ("folder", "pid")

    def __init__(self, folder: Path, pid: int) -> None:
        self.folder, self.pid = folder, pid

    @classmethod
    def start(cls, folder: Path) -> Holder:
        """Return new namespaces with a way out; ``folder`` must be the user's own.

        Raises :class:`UnsupportedError` where the host does not let users make namespaces, or
        has no slirp4netns.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        alive, kept = os.pipe2(os.O_CLOEXEC)
        try:
            # It keeps the pipe's other end, so that the uplink notices its end, however it comes.
            process = subprocess.Popen(
                ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", _HOLD],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(kept,),
                start_new_session=True,
            )
            os.close(kept)
            kept = -1
            assert process.stdout is not None  # asked for above
            assert process.stderr is not None
            if process.stdout.readline() != b"ready\n":
                raise UnsupportedError(
                    f"this host lets users make no namespaces: {process.stderr.read().decode()}",
                    capability="user namespaces",
                    provided_by="as root: sysctl user.max_user_namespaces=15000",
                )
            holder = cls(folder, process.pid)
            try:
                holder.run(_loopback_up)
                holder.uplink.start(process.pid, alive)
            except BaseException:
                holder.stop()
                raise
        finally:
            os.close(alive)
            if kept >= 0:
                os.close(kept)
        (folder / "holder").write_text(f"{process.pid} {_began(process.pid)}")
        return holder

    @classmethod
    def of(cls, folder: Path) -> Holder | None:
        """Return the holder that another process started, if it is still there."""
        try:
            pid, began = (folder / "holder").read_text().split()
        except (OSError, ValueError):
            return None
        return cls(folder, int(pid)) if began and _began(int(pid)) == began else None

    @property
    def uplink(self) -> Uplink:
        """The program that carries packets in and out."""
        return Uplink(self.folder / "uplink.sock")

    @property
    def enter(self) -> tuple[str, ...]:
        """The words that start a program inside the holder's user namespace."""
        return ("nsenter", "-t", str(self.pid), "-U", "--preserve-credentials")

    def stop(self) -> None:
        """End the holder; the namespaces end when the last container in them has."""
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            return

    def run(self, function: Callable[[], T]) -> T:
        """Return ``function()`` called inside the namespaces; the result must be picklable.

        Errors of ours come back as what they are.
        """
        reading, writing = os.pipe2(os.O_CLOEXEC)
        with warnings.catch_warnings():
            # The child makes system calls and ends; it waits for no lock another thread may hold.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            os.close(reading)
            self._answer(writing, function)
        os.close(writing)
        with open(reading, "rb") as pipe:
            data = pipe.read()
        os.waitpid(child, 0)
        if not data:
            raise NetworkError("the child in the user's network namespace ended unexpectedly")
        kind, value = pickle.loads(data)  # noqa: S301  # written by our own child
        if kind == "value":
            result: T = value
            return result
        raise _error(kind, *value)

    def _answer(self, writing: int, function: Callable[[], object]) -> None:
        try:
            try:
                self._join()
                answer: tuple[str, Any] = ("value", function())
            except ContainersError as error:
                answer = (type(error).__name__, (error.message, error.hint))
            except Exception as error:  # noqa: BLE001  # told to the parent
                answer = ("NetworkError", (f"{type(error).__name__}: {error}", ""))
            with open(writing, "wb") as pipe:
                pipe.write(pickle.dumps(answer))
        finally:
            os._exit(0)

    def _join(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        for name, flag in (("user", _CLONE_NEWUSER), ("net", _CLONE_NEWNET)):
            fd = os.open(f"/proc/{self.pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
            if libc.setns(fd, flag) != 0:
                reason = os.strerror(ctypes.get_errno())
                raise NetworkError(f"cannot enter the user's {name} namespace: {reason}")
            os.close(fd)


_HOLD = "echo ready; exec sleep 2147483647"


def _loopback_up() -> None:
    with NetlinkSocket() as route:
        route.send(set_up(_LOOPBACK))


def _began(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _error(kind: str, message: str, hint: str) -> ContainersError:
    found = getattr(errors, kind, NetworkError)
    if issubclass(found, UnsupportedError):
        return UnsupportedError(message, capability="networks without root", provided_by=hint)
    try:
        error: ContainersError = found(message, hint=hint)
    except TypeError:
        error = NetworkError(message, hint=hint)
    return error


class RootlessBridge:
    """The protocol of :class:`~.bridge.BridgeDriver`, at work inside a holder's namespaces."""

    __slots__ = ("_driver", "_holder")

    def __init__(self, holder: Holder, firewall: Firewall) -> None:
        self._holder, self._driver = holder, BridgeDriver(firewall)

    def ensure_bridge(self, network: Network) -> BridgeStatus:
        """The network's bridge is up; see :meth:`.BridgeDriver.ensure_bridge`."""
        return self._holder.run(lambda: self._driver.ensure_bridge(network))

    def attach(
        self,
        namespace: NetworkNamespace,
        endpoint: Endpoint,
        network: Network,
        *,
        default_route: bool = True,
    ) -> None:
        """The endpoint's interface is up in a namespace made inside the holder's user namespace."""
        self._holder.run(
            lambda: self._driver.attach(namespace, endpoint, network, default_route=default_route)
        )

    def detach(self, host_interface: str) -> None:
        """The pair is gone; idempotent."""
        self._holder.run(lambda: self._driver.detach(host_interface))

    def route(
        self, namespace: NetworkNamespace, former: Endpoint | None, endpoint: Endpoint | None
    ) -> None:
        """The way out of a container is by ``endpoint``."""
        self._holder.run(lambda: self._driver.route(namespace, former, endpoint))

    def remove_bridge(self, network: Network) -> None:
        """The bridge and its rules are gone; idempotent."""
        self._holder.run(lambda: self._driver.remove_bridge(network))

    def host_routes(self) -> tuple[str, ...]:
        """Return the routes inside; the host's own need not be avoided."""
        return self._holder.run(self._driver.host_routes)

    def host_routes6(self) -> tuple[str, ...]:
        """Return the IPv6 routes inside."""
        return self._holder.run(self._driver.host_routes6)

    def uplink_mtu(self) -> int:
        """Return the MTU of the host's own uplink: what is larger would only be split there."""
        return self._driver.uplink_mtu()


class RootlessFirewall:
    """The protocol of :class:`~.firewall.Firewall`, inside a holder's namespaces.

    A published port is a port of the uplink's program on the host and an element of the map
    inside.  That program holds the port: a reservation must be given up before.
    """

    holds_ports = True

    __slots__ = ("_firewall", "_holder")

    def __init__(self, holder: Holder, firewall: Firewall) -> None:
        self._holder, self._firewall = holder, firewall

    def ensure_network(self, network: Network) -> bool:
        """Return True when the table or the network had to be set up; idempotent."""
        return self._holder.run(lambda: self._firewall.ensure_network(network))

    def remove_network(self, network: Network) -> None:
        """The network is unknown to the table."""
        self._holder.run(lambda: self._firewall.remove_network(network))

    def publish(self, container_id: str, ports: Sequence[PublishedPort]) -> None:
        """The ports lead to the container: all of them, or none when an error is raised."""
        if not ports:
            return
        inside = [msgspec.structs.replace(port, host_ip=GUEST_ADDRESS) for port in ports]
        # The uplink first: it tells what is taken, and then what is in the map is only a leftover.
        opened: list[PublishedPort] = []
        try:
            for port in ports:
                self._holder.uplink.open_port(port)
                opened.append(port)
            self._holder.run(lambda: self._firewall.publish(container_id, inside))
        except BaseException:
            self._close(opened)
            raise

    def unpublish(self, container_id: str) -> None:
        """No port leads to the container."""
        ports = self.current().get(container_id, ())
        self._holder.run(lambda: self._firewall.unpublish(container_id))
        self._close(ports)

    def _close(self, ports: Iterable[PublishedPort]) -> None:
        numbers = {(port.protocol, port.host_port) for port in ports}
        self._holder.uplink.close_ports(numbers)

    def current(self) -> dict[str, tuple[PublishedPort, ...]]:
        """Return the published ports by container id; the address is that of the uplink inside."""
        return self._holder.run(self._firewall.current)

    def sweep(self, alive: Iterable[str]) -> tuple[str, ...]:
        """Return the container ids, not among ``alive``, whose ports were still published."""
        dead = sorted(set(self.current()) - set(alive))
        for container_id in dead:
            self.unpublish(container_id)
        return tuple(dead)
