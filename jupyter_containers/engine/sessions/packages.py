"""Packages installed in a running session, over a network that is open for that alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from jupyter_containers.errors import InvalidArgumentError

Manager = Literal["pip", "apt"]
_HOSTS = {
    "pip": ("pypi.org", "files.pythonhosted.org"),
    "apt": ("deb.debian.org", "security.debian.org", "archive.ubuntu.com", "security.ubuntu.com"),
}
# Where the root is read-only the home folder may be writable; Python finds packages there.
_PIP = (
    'python3 -c "import pip" 2>/dev/null || { echo "the image has no pip" >&2; exit 1; }\n'
    'place="$(python3 -c "import sysconfig; print(sysconfig.get_path(\\"purelib\\"))")"\n'
    'if [ -w "$place" ] || [ -w "$(dirname "$place")" ]; then user=; else user=--user; fi\n'
    "exec python3 -m pip install -q --no-input --disable-pip-version-check "
    '--root-user-action=ignore $user "$@"'
)
_APT = 'apt-get -qq update && exec apt-get -qq install -y --no-install-recommends "$@"'


@dataclass(frozen=True, slots=True)
class Installation:
    """A command that installs packages, and the hosts that it needs."""

    command: tuple[str, ...]
    hosts: tuple[str, ...]
    env: tuple[str, ...]


def installation(packages: Sequence[str], manager: Manager, index: str) -> Installation:
    """Return how to install packages; ``index`` is the URL of another index for pip."""
    if not packages:
        raise InvalidArgumentError("no package is named")
    for package in packages:
        if package.startswith("-"):
            raise InvalidArgumentError(f"no name of a package: {package!r}")
    if manager == "apt":
        if index:
            raise InvalidArgumentError("an index is for pip")
        env = ("DEBIAN_FRONTEND=noninteractive",)
        return Installation(("/bin/sh", "-c", _APT, "apt", *packages), _HOSTS["apt"], env)
    if manager != "pip":
        raise InvalidArgumentError(f"unknown package manager: {manager!r}", hint="pip or apt")
    hosts, given = _HOSTS["pip"], list(packages)
    if index:
        host = urlsplit(index).hostname
        if urlsplit(index).scheme not in ("http", "https") or not host:
            raise InvalidArgumentError(f"invalid index: {index!r}", hint="https://host/simple")
        hosts, given = (host,), ["--index-url", index, *given]
        if index.startswith("http:"):
            given = ["--trusted-host", host, *given]
    return Installation(("/bin/sh", "-c", _PIP, "pip", *given), hosts, ())


def proxy_variables(address: str) -> list[str]:
    """Return the environment variables that programs find a proxy by."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
    local = "localhost,127.0.0.1"
    return [*(f"{name}={address}" for name in names), f"NO_PROXY={local}", f"no_proxy={local}"]
