"""The proxy variables of containers and RUN steps.

Docker passes on the client's configuration (``proxies.default`` in ``config.json``) and the values
of the command (``--build-arg``, ``-e``), but nothing of its own environment.  This engine does the
same; if a container trusts the host's CAs, it also passes on the proxies of the environment, except
those with a user name or password: a step could send these anywhere.

The variables are set when a program starts.  They are not in any layer, record, history or cache
key.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jupyter_containers.errors import ContainersError

# The keys of Docker's configuration and the variables that they set, also in capitals.
_OF_CONFIGURATION = {
    "httpProxy": "http_proxy",
    "httpsProxy": "https_proxy",
    "ftpProxy": "ftp_proxy",
    "noProxy": "no_proxy",
    "allProxy": "all_proxy",
}


def configured(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the proxies of the user's ``config.json``; none if the file cannot be read."""
    from jupyter_containers.registry.credential_file import CredentialFile

    home = environ.get("HOME") or str(Path.home())
    folder = environ.get("DOCKER_CONFIG") or str(Path(home, ".docker"))
    try:
        document = CredentialFile(Path(folder, "config.json")).read()
    except ContainersError:
        return {}  # readers that need its credentials report the error
    proxies = document.get("proxies")
    default = proxies.get("default") if isinstance(proxies, dict) else None
    if not isinstance(default, dict):
        return {}
    found: dict[str, str] = {}
    for key, name in _OF_CONFIGURATION.items():
        value = default.get(key)
        if isinstance(value, str) and value:
            found |= {name: value, name.upper(): value}
    return found


def of_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the proxies of the environment that hold no user name and no password."""
    names = [each for name in _OF_CONFIGURATION.values() for each in (name, name.upper())]
    return {
        name: environ[name]
        for name in names
        if environ.get(name) and "@" not in environ[name]
    }  # fmt: skip
