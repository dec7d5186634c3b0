"""Credentials in the files of Docker and Podman, and nowhere else.

Vocabulary: a *credential helper* is a program ``docker-credential-<name>`` that keeps secrets in a
keychain; ``credHelpers`` names one for a registry, ``credsStore`` one for all.  Without a helper, a
secret is only base64-encoded in the file's ``auths``, as with Docker.

Files, in order of precedence: ``$REGISTRY_AUTH_FILE``, Docker's ``$DOCKER_CONFIG/config.json``
(default ``~/.docker``), Podman's ``$XDG_RUNTIME_DIR/containers/auth.json``.  A login is written to
the first of the first two that is set.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from jupyter_containers.errors import RegistryError
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.lazy_modules import json, subprocess
from jupyter_containers.oci.reference import DEFAULT_REGISTRY
from jupyter_containers.registry.credential_file import CredentialFile

HUB_KEY = "https://index.docker.io/v1/"
HELPER_TIMEOUT = 60.0
_TOKEN_USER = "<token>"  # noqa: S105  # the user name that marks an identity token
_HUB_NAMES = ("docker.io", "index.docker.io", "registry-1.docker.io")


@dataclass(frozen=True, slots=True)
class Credential:
    """A proof of identity for a registry: name and secret, or an identity token."""

    username: str
    secret: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


class CredentialSource(Protocol):
    """A source of credentials for a client."""

    def get(self, registry: str) -> Credential | None:
        """Return the credential for ``registry``, or None if there is none.

        Raises :class:`RegistryError` if it cannot be read.
        """


@dataclass(frozen=True, slots=True)
class FixedCredentials:
    """Credentials held in memory: to try a login before it is stored, and for anonymous access."""

    known: Mapping[str, Credential] = field(default_factory=dict)

    def get(self, registry: str) -> Credential | None:
        """Return the credential for ``registry``, or None."""
        return self.known.get(registry)


@dataclass(frozen=True, slots=True)
class RepositoryCredentials:
    """Stored credentials, restricted to one repository."""

    store: CredentialStore
    repository: str

    def get(self, registry: str) -> Credential | None:
        """Return the nearest credential for the repository in ``registry``, or None."""
        return self.store.get(registry, self.repository)


class CredentialStore:
    """The user's stored credentials; files are read on every call, because others write them."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ

    def get(self, registry: str, repository: str = "") -> Credential | None:
        """Return the credential for ``registry``, or None if there is none.

        Podman also keeps credentials for one namespace or one ``repository`` of a registry: the
        most specific wins.  Raises :class:`RegistryError` if a file or a helper cannot be read.
        """
        for file in self._files():
            document = file.read()
            near = _from_namespaces(document, registry, repository)
            if near is not None:
                return near
            helper = _helper_of(document, registry)
            if helper:
                found = self._helper_get(helper, registry)
            else:
                found = _from_auths(document, registry)
            if found is not None:
                return found
        return None

    def store(self, registry: str, credential: Credential) -> str:
        """Store a credential; return where: a path, or the name of a helper.

        Raises :class:`RegistryError` if it cannot be written.
        """
        file = self._own_file()
        helper = _helper_of(file.read(), registry)
        if helper:
            self._helper_store(helper, registry, credential)
            entry: dict[str, str] = {}  # as Docker does: the key alone shows who is logged in
        else:
            entry = _entry(credential)

        def change(document: dict[str, Any]) -> bool:
            auths = document.setdefault("auths", {})
            for key in _keys_in(auths, registry):
                del auths[key]
            auths[server_key(registry)] = entry
            return True

        file.update(change)
        return f"docker-credential-{helper}" if helper else str(file.path)

    def erase(self, registry: str) -> bool:
        """Delete a credential; return False if there was none.

        Raises :class:`RegistryError` if it cannot be deleted.
        """
        file = self._own_file()
        helper = _helper_of(file.read(), registry)
        erased = False
        if helper and self._helper_get(helper, registry) is not None:
            self._helper("erase", helper, server_key(registry))
            erased = True

        def change(document: dict[str, Any]) -> bool:
            auths = document.get("auths", {})
            keys = _keys_in(auths, registry)
            for key in keys:
                del auths[key]
            return bool(keys)

        return file.update(change) or erased

    def registries(self) -> list[str]:
        """Return the registries with stored credentials, including helpers', sorted by name.

        Raises :class:`RegistryError` if a file cannot be read.
        """
        found: set[str] = set()
        for file in self._files():
            auths = file.read().get("auths")
            if isinstance(auths, dict):
                found.update(_host_of(key) for key in auths)
        return sorted(found - {""})

    def _own_file(self) -> CredentialFile:
        explicit = self._environ.get("REGISTRY_AUTH_FILE")
        return CredentialFile(Path(explicit)) if explicit else CredentialFile(self._docker_path())

    def _docker_path(self) -> Path:
        folder = self._environ.get("DOCKER_CONFIG")
        home = Path(self._environ.get("HOME") or Path.home())
        return Path(folder or home / ".docker", "config.json")

    def _files(self) -> list[CredentialFile]:
        runtime = self._environ.get("XDG_RUNTIME_DIR") or f"/run/containers/{os.getuid()}"
        podman = (
            Path(runtime, "containers", "auth.json")
            if self._environ.get("XDG_RUNTIME_DIR")
            else Path(runtime, "auth.json")
        )
        explicit = self._environ.get("REGISTRY_AUTH_FILE")
        paths = [Path(explicit)] if explicit else []
        return [CredentialFile(path) for path in (*paths, self._docker_path(), podman)]

    def _helper_get(self, helper: str, registry: str) -> Credential | None:
        answer = self._helper("get", helper, server_key(registry))
        if answer is None:
            return None
        try:
            document = json.loads(answer)
            username, secret = str(document["Username"]), str(document["Secret"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            # The response itself may contain the secret, so neither it nor its error is shown.
            raise RegistryError(
                f"docker-credential-{helper} gave no valid answer for {registry}"
            ) from error.with_traceback(None)
        if username == _TOKEN_USER:
            return Credential("", identity_token=secret)
        return Credential(username, secret) if username or secret else None

    def _helper_store(self, helper: str, registry: str, credential: Credential) -> None:
        username, secret = credential.username, credential.secret
        if credential.identity_token:
            username, secret = _TOKEN_USER, credential.identity_token
        message = {"ServerURL": server_key(registry), "Username": username, "Secret": secret}
        self._helper("store", helper, json.dumps(message))

    def _helper(self, verb: str, helper: str, message: str) -> str | None:
        program = f"docker-credential-{helper}"
        if not re.fullmatch(r"[A-Za-z0-9._-]+", helper):
            raise RegistryError(f"not a credential helper's name: {helper!r}")
        try:
            done = subprocess.run(
                [program, verb],
                input=message,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=HELPER_TIMEOUT,
                check=False,
                env=dict(self._environ),
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise RegistryError(
                f"the credential helper {program} is not installed",
                hint=f"install it, or remove {helper!r} from {self._docker_path()}",
            ) from error
        except subprocess.TimeoutExpired:
            raise RegistryError(f"{program} did not answer in {HELPER_TIMEOUT:.0f} s") from None
        except OSError as error:
            raise RegistryError(f"cannot start {program}: {error.strerror}") from error
        if done.returncode == 0:
            return done.stdout
        said = (done.stdout.strip() or done.stderr.strip()).splitlines()
        reason = said[0][:200] if said else f"exit code {done.returncode}"
        if verb in ("get", "erase") and "not found" in reason.lower():
            return None
        raise RegistryError(f"{program} {verb} failed: {reason}")


def server_key(registry: str) -> str:
    """Return the name under which Docker keeps a registry's credential."""
    return HUB_KEY if registry == DEFAULT_REGISTRY else registry


def _host_of(key: str) -> str:
    host = key.partition("://")[2] or key
    host = host.partition("/")[0]
    return DEFAULT_REGISTRY if host in _HUB_NAMES else host


def _keys_in(table: Any, registry: str) -> list[str]:
    """Return the keys for ``registry``; its own form first, older forms after it."""
    if not isinstance(table, dict):
        return []
    own = server_key(registry)
    # Podman also has keys for one namespace ("quay.io/team"); they are not the registry's.
    same = [k for k in table if k != own and _host_of(k) == registry and not _has_namespace(k)]
    return [own, *same] if own in table else same


def _has_namespace(key: str) -> bool:
    path = (key.partition("://")[2] or key).partition("/")[2].strip("/")
    return path not in ("", "v1", "v2")


def _helper_of(document: dict[str, Any], registry: str) -> str:
    helpers: Any = document.get("credHelpers")
    for key in _keys_in(helpers, registry):
        if isinstance(helpers[key], str):
            return str(helpers[key])
    general = document.get("credsStore")
    return general if isinstance(general, str) else ""


def _from_auths(document: dict[str, Any], registry: str) -> Credential | None:
    auths: Any = document.get("auths")
    for key in _keys_in(auths, registry):
        entry = auths[key]
        if isinstance(entry, dict):
            found = _credential(entry, key)
            if found is not None:
                return found
    return None


def _from_namespaces(document: dict[str, Any], registry: str, repository: str) -> Credential | None:
    """Return the entry of containers-auth.json(5) for the repository or its nearest namespace."""
    auths: Any = document.get("auths")
    parts = repository.split("/") if repository and isinstance(auths, dict) else []
    for count in range(len(parts), 0, -1):
        key = "/".join([registry, *parts[:count]])
        if isinstance(auths.get(key), dict):
            return _credential(auths[key], key)
    return None


def _credential(entry: dict[str, Any], key: str) -> Credential | None:
    username = str(entry.get("username") or "")
    secret = str(entry.get("password") or "")
    encoded = entry.get("auth")
    if encoded:
        try:
            text = base64.b64decode(str(encoded), validate=True).decode()
        except (binascii.Error, ValueError):
            raise RegistryError(
                f"the stored credential for {key} is damaged", hint="log in again"
            ) from None
        username, _, secret = text.partition(":")
        secret = secret.rstrip("\0")
    token = str(entry.get("identitytoken") or "")
    if not (username or token):
        return None
    return Credential(username, secret, token)


def _entry(credential: Credential) -> dict[str, str]:
    pair = f"{credential.username}:{credential.secret}".encode()
    entry = {"auth": base64.b64encode(pair).decode()}
    if credential.identity_token:
        entry["identitytoken"] = credential.identity_token
    return entry
