"""Credentials that a client sends for one request: ``X-Registry-Auth``, ``X-Registry-Config``."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING

from jupyter_containers.api.bodies import Fields, decode
from jupyter_containers.api.call import Call
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.oci.reference import Reference

if TYPE_CHECKING:
    from jupyter_containers.registry import Credential


class Login(Fields):
    """A user's credentials for one registry (``AuthConfig``)."""

    username: str = ""
    password: str = ""
    serveraddress: str = ""
    identitytoken: str = ""
    email: str = ""
    auth: str = ""
    registrytoken: str = ""


class _Logins(Fields):
    logins: dict[str, Login]


def lent(call: Call, image: str) -> dict[str, Credential]:
    """Return the credentials in a request for the registry of an image, by registry."""
    text = call.headers.get("X-Registry-Auth", "")
    login = decode(_decoded(text), Login) if text else Login()
    return _credentials({Reference.parse(image).registry: login})


def lent_for_build(call: Call) -> dict[str, Credential]:
    """Return the credentials in the request of a build, by registry."""
    text = call.headers.get("X-Registry-Config", "")
    if not text:
        return {}
    found = decode(b'{"logins":' + _decoded(text) + b"}", _Logins).logins
    return _credentials({registry_of(name): login for name, login in found.items()})


def registry_of(address: str) -> str:
    """Return the registry of a client's server address, which for Docker Hub has a path."""
    name = address.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return "docker.io" if name in ("", "index.docker.io", "registry-1.docker.io") else name


def _credentials(logins: Mapping[str, Login]) -> dict[str, Credential]:
    from jupyter_containers.registry import Credential

    found = {}
    for registry, login in logins.items():
        username, password = login.username, login.password
        if login.auth and not username:
            pair = _decoded(login.auth).decode("utf-8", "replace")
            username, _, password = pair.partition(":")
        if username:
            found[registry] = Credential(username, password)
    return found


def _decoded(text: str) -> bytes:
    try:
        padded = text + "=" * (-len(text) % 4)
        return base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidArgumentError("the credentials of the request cannot be read") from error
