"""Passwords of the registries that run here, to keep other users of the machine from pushing.

A registry's container has the hash of its password in a file.  The record here has the password, in
the store's database, which no other user can read.  The engine sends it to the registry's port
while that container runs, so push and pull need no login.
"""

from __future__ import annotations

import base64
import ctypes
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from jupyter_containers.errors import UnsupportedError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import secrets
from jupyter_containers.store.faults import storage_errors

if TYPE_CHECKING:
    from jupyter_containers.engine.records import ContainerRecord
    from jupyter_containers.registry import Credential, CredentialSource

USER = "jupyter"
# The path of the hash in the registry's container.
INSIDE = "/etc/docker/registry/htpasswd"
_BASE64 = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# The password is random, so the cheapest hash is enough against guessing.
_COST = "$2b$04$"
_LOOPBACK = ("localhost", "127.", "[::1]")


class RegistryLogin(msgspec.Struct, frozen=True):
    """The login of one registry; ``id`` is that of its container."""

    id: str
    password: str
    username: str = USER

    @property
    def headers(self) -> dict[str, str]:
        """The authorization header of an HTTP request to the registry (RFC 7617)."""
        pair = f"{self.username}:{self.password}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def new_password(folder: Path, name: str) -> tuple[str, Path]:
    """Return a random password, and the file with its hash for the registry ``name``.

    Raises :class:`UnsupportedError` if the C library has no bcrypt.
    """
    password = secrets.token_urlsafe(24)
    file = folder / f"{name}.htpasswd"
    text = f"{USER}:{_hash_password(password)}\n"
    with storage_errors("write the password of the registry"):
        folder.mkdir(mode=0o755, exist_ok=True)
        file.write_text(text)
        file.chmod(0o644)  # the container's user may be any; the store's root is closed to others
    return password, file


def _hash_password(password: str) -> str:
    """Return the bcrypt hash of a password by crypt(5); the registry accepts no other kind."""
    # 16 bytes in 22 characters: the last four bits of the last one are 0.
    salt = "".join(secrets.choice(_BASE64) for _ in range(21)) + secrets.choice(".Oeu")
    for library in ("libcrypt.so.2", "libcrypt.so.1", None):
        try:
            crypt = ctypes.CDLL(library).crypt
        except (OSError, AttributeError):
            continue
        crypt.restype = ctypes.c_char_p
        found = crypt(password.encode(), (_COST + salt).encode())
        if found and found.startswith(_COST.encode()):
            return str(found.decode())
    raise UnsupportedError(
        "the C library here has no bcrypt, which the registry's password file needs",
        capability="crypt(5) with bcrypt",
        provided_by="apt-get install libcrypt1; or registry start --no-auth, if everyone who"
        " reaches the port may push",
    )


@dataclass(frozen=True, slots=True)
class LocalLogins:
    """The credentials of registries that run here, consulted before ``others``."""

    logins: tuple[RegistryLogin, ...]
    containers: Iterable[ContainerRecord]
    others: CredentialSource

    def get(self, registry: str) -> Credential | None:
        """Return the credential for ``registry``, or None when there is none."""
        from jupyter_containers.registry import Credential

        known = {login.id: login for login in self.logins}
        for record in self.containers:
            login = known.get(record.id)
            # After the container's end, another program may own the port: never send it the
            # password.
            if (
                login
                and record.state.status.alive
                and registry in set(_addresses(record, registry))
            ):
                return Credential(login.username, login.password)
        return self.others.get(registry)


def _addresses(record: ContainerRecord, registry: str) -> Iterator[str]:
    host, _, _ = registry.rpartition(":")
    for port in record.ports:
        if host.startswith(_LOOPBACK) or host == port.host_ip:
            yield f"{host}:{port.host_port}"
