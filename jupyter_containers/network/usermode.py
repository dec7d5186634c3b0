"""slirp4netns: the uplink of an ordinary user's network namespace.

It relays packets between the namespace and sockets of the host, so it needs no privilege, and it
can open and close ports of the host at any time.  (pasta is faster, but its ports are fixed when it
starts.)
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from jupyter_containers.errors import AlreadyExistsError, NetworkError, UnsupportedError
from jupyter_containers.lazy_modules import json, shutil, socket, subprocess
from jupyter_containers.network.model import PublishedPort

__all__ = ["GUEST_ADDRESS", "Uplink", "host_address"]

GUEST_ADDRESS = "10.0.2.100"  # slirp4netns' own choice for the namespace's end
_SECONDS = 10
_PAUSES = (0.0, 0.02, 0.1, 0.3)
_TUN = "/dev/net/tun"
# The program's sandbox options, the strongest first; it supports both since 0.4.0.
_CONFINED = (("--enable-sandbox", "--enable-seccomp"), ("--enable-seccomp",), ())


def host_address() -> str:
    """Return the address of this machine in its network, empty if it has none.

    A user's namespace reaches the machine's own programs there: the way to its loopback is closed,
    as those programs expect.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as looking:
        try:
            looking.connect(("198.51.100.1", 9))  # sends nothing: only selects a route
        except OSError:
            return ""
        return str(looking.getsockname()[0])


class Uplink:
    """A slirp4netns that connects a shared namespace; ``control`` is its socket."""

    __slots__ = ("control",)

    def __init__(self, control: Path) -> None:
        self.control = control

    def start(self, pid: int, alive: int) -> str:
        """Connect the namespace of process ``pid``, until the descriptor ``alive`` is at its end.

        Returns when packets pass: why the program's sandbox is weaker than possible, or an empty
        text. Raises :class:`UnsupportedError` if slirp4netns or its device is missing.
        """
        program = _program("slirp4netns")
        withheld = _sandbox_restriction()
        weaker = withheld
        for flags in _CONFINED[1:] if withheld else _CONFINED:
            said = self._launch([program, *flags], pid, alive)
            if not said:
                return weaker
            if not os.access(_TUN, os.R_OK | os.W_OK):
                break
            weaker = withheld or _last_line(said)
        raise _failure("slirp4netns", said)

    def _launch(self, command: list[str], pid: int, alive: int) -> str:
        """Start the program; return its error output if it ended before packets passed."""
        ready, written = os.pipe2(os.O_CLOEXEC)
        argv = [*command, "--configure", "--mtu=65520", "--disable-host-loopback"]
        argv += [f"--api-socket={self.control}", f"--exit-fd={alive}", f"--ready-fd={written}"]
        with suppress(FileNotFoundError):
            self.control.unlink()
        log = self.control.with_suffix(".log")
        try:
            with open(log, "wb") as errors:
                child = subprocess.Popen(
                    [*argv, str(pid), "tap0"],
                    stdin=subprocess.DEVNULL,
                    stdout=errors,
                    stderr=errors,
                    pass_fds=(alive, written),
                    start_new_session=True,
                )
            os.close(written)
            written = -1
            if os.read(ready, 1):
                return ""
            child.wait()
            return log.read_text(errors="replace").strip() or "it ended without an error message"
        finally:
            os.close(ready)
            if written >= 0:
                os.close(written)

    def open_port(self, port: PublishedPort) -> None:
        """Forward a port of the host to the same port of the namespace.

        Raises :class:`AlreadyExistsError` if it is taken.  The port was free a moment ago, so it is
        retried briefly.
        """
        for pause in _PAUSES:
            time.sleep(pause)
            answer = self._ask(
                "add_hostfwd",
                proto=port.protocol,
                host_addr=port.host_ip,
                host_port=port.host_port,
                guest_addr=GUEST_ADDRESS,
                guest_port=port.host_port,
            )
            if "error" not in answer:
                return
        raise AlreadyExistsError(
            f"port {port.host_port} cannot be taken ({port.host_ip}/{port.protocol})",
            hint="publish another port; below 1024: sysctl net.ipv4.ip_unprivileged_port_start",
        )

    def is_open(self, port: PublishedPort) -> bool:
        """Return whether the port of the host is already forwarded."""
        wanted = (port.protocol, port.host_ip, port.host_port)
        return any(
            (entry["proto"], entry["host_addr"], entry["host_port"]) == wanted
            for entry in self._list_forwarded()
        )

    def close_ports(self, ports: Collection[tuple[str, int]]) -> None:
        """Stop forwarding the ports (protocol and number); idempotent."""
        for entry in self._list_forwarded():
            if (entry["proto"], entry["host_port"]) in ports:
                self._ask("remove_hostfwd", id=entry["id"])

    def _list_forwarded(self) -> list[dict[str, Any]]:
        answer = self._ask("list_hostfwd")
        # slirp4netns 1.2.0 returns the list bare, unlike its other responses.
        entries: list[dict[str, Any]] = answer.get("return", answer).get("entries", [])
        return entries

    def _ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        request: dict[str, Any] = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                sock.settimeout(_SECONDS)
                sock.connect(str(self.control))
                sock.sendall(json.dumps(request).encode())
                sock.shutdown(socket.SHUT_WR)
                answer = b""
                while data := sock.recv(65536):
                    answer += data
        except OSError as error:
            raise NetworkError(f"slirp4netns does not answer: {error.strerror or error}") from error
        found: dict[str, Any] = json.loads(answer or b"{}")
        return found


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise UnsupportedError(
            f"networks without root need {name}, which is not installed",
            capability=name,
            provided_by=f"apt-get install {name}",
        )
    return found


def _sandbox_restriction(resolver: str = "/etc/resolv.conf") -> str:
    """Return why the program's sandbox cannot work with ``/etc`` and ``/run`` alone, or ``""``."""
    target = os.path.realpath(resolver)
    if target.startswith(("/etc/", "/run/")):
        return ""
    return f"{resolver} leads to {target}, outside /etc and /run"


def _last_line(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no reason given"


def _failure(program: str, said: str) -> Exception:
    if not os.access(_TUN, os.R_OK | os.W_OK):
        return UnsupportedError(
            f"networks without root need {_TUN}, which this user cannot open",
            capability=_TUN,
            provided_by=f"as root: modprobe tun; chmod 666 {_TUN}",
        )
    reason = _last_line(said)
    if "in use" in said or "bind" in said.lower():
        return AlreadyExistsError(f"a port cannot be taken: {reason}")
    return NetworkError(f"{program} failed: {reason}")
