"""The listening sockets of a service: its own unix socket, TCP, or a socket opened by systemd.

A unix socket is accessible to its user only (mode 0600).  TCP is for clients with a certificate
(:mod:`.tls`).  A socket passed by systemd (*socket activation*, sd_listen_fds(3)) belongs to
systemd, which keeps listening after the service has ended.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from pathlib import Path

from jupyter_containers.errors import AlreadyExistsError, InvalidArgumentError

BACKLOG = 1024
_FIRST_PASSED = 3  # SD_LISTEN_FDS_START


def bind(path: Path) -> socket.socket:
    """Return a listening socket that only its user can open; replace a dead one.

    Raises :class:`AlreadyExistsError` if another service answers there.
    """
    if len(os.fsencode(path)) > 107:
        raise InvalidArgumentError(
            f"the path of the socket is longer than 107 bytes: {path}", hint="unix:///tmp/…"
        )
    if path.is_socket():
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
            except OSError:
                path.unlink(missing_ok=True)
            else:
                raise AlreadyExistsError(
                    f"a service listens on {path} already", hint="use it, or end it first"
                )
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    except OSError as error:
        listening.close()
        raise InvalidArgumentError(f"cannot listen on {path}: {error.strerror}") from error
    finally:
        os.umask(before)
    listening.listen(BACKLOG)
    listening.setblocking(False)
    return listening


def bind_tcp(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address; raise :class:`InvalidArgumentError`."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(BACKLOG)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise InvalidArgumentError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listening


def passed_socket(environ: MutableMapping[str, str], pid: int) -> socket.socket | None:
    """Return the listening socket that systemd passed to this process, or None.

    Its variables are removed from the environment, so that child processes do not inherit them.
    Raises :class:`InvalidArgumentError` for more than one, and for anything but a unix socket.
    """
    count, to = environ.pop("LISTEN_FDS", ""), environ.pop("LISTEN_PID", "")
    environ.pop("LISTEN_FDNAMES", None)
    if not count or to != str(pid):
        return None
    if count != "1":
        raise InvalidArgumentError(f"one socket is served, and {count[:10]} were passed")
    try:
        listening = socket.socket(fileno=_FIRST_PASSED)
        listens = listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise InvalidArgumentError(f"no socket was passed: {error.strerror}") from error
    if listening.family != socket.AF_UNIX or listening.type != socket.SOCK_STREAM or not listens:
        listening.detach()
        raise InvalidArgumentError("what was passed is no listening unix socket")
    os.set_inheritable(_FIRST_PASSED, False)
    listening.setblocking(False)
    return listening
