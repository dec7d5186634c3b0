"""Links to published ports for a browser that reaches only the notebook server.

jupyter-server-proxy serves a port of the machine at ``<server>/proxy/<port>/``.  A link is offered
only if it is installed and the kernel's server is known, for TCP ports on this machine's loopback
address or on all of its addresses.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from jupyter_containers.lazy_modules import html
from jupyter_containers.lazy_patterns import pattern

_PORT = pattern(r"(?:(?P<ip>[^>]+):(?P<outer>\d+)->)?(?P<inner>\d+)/(?P<protocol>tcp|udp|sctp)")
_PUBLISHED = pattern(r"(127\.0\.0\.1|0\.0\.0\.0):(\d+)->\d+/tcp")


class Link(str):
    """A text that becomes a link on a page."""

    __slots__ = ("href",)

    def __new__(cls, text: str, href: str) -> Link:
        """Return the text with its address."""
        link = super().__new__(cls, text)
        link.href = href
        return link

    href: str

    def _repr_html_(self) -> str:
        return f'<a href="{html.escape(self.href)}" target="_blank">{html.escape(str(self))}</a>'


def linked(port: str, base: str) -> str:
    """Return a published port as a link below the server's ``base``, or unchanged."""
    match = _PUBLISHED.fullmatch(port)
    return Link(port, f"{base}proxy/{match[2]}/") if match and base else port


def together(ports: Sequence[str]) -> list[str]:
    """Return ports as Docker lists them: adjacent ones as a range, remapped ones last.

    ``127.0.0.1:90->90/tcp`` and ``127.0.0.1:91->91/tcp`` become ``127.0.0.1:90-91->90-91/tcp``.
    """
    ranges: dict[tuple[str, str], list[list[int]]] = {}
    others = []
    matches = [(port, _PORT.fullmatch(port)) for port in ports]
    for port, match in sorted(matches, key=lambda item: int(item[1]["inner"]) if item[1] else 0):
        if match is None or (match["outer"] and match["outer"] != match["inner"]):
            others.append(port)
            continue
        number, place = int(match["inner"]), (match["ip"] or "", match["protocol"])
        known = ranges.setdefault(place, [])
        if known and known[-1][1] + 1 == number:
            known[-1][1] = number
        else:
            known.append([number, number])
    found = []
    for (address, protocol), spans in ranges.items():
        for first, last in spans:
            span = str(first) if first == last else f"{first}-{last}"
            found.append(
                f"{address}:{span}->{span}/{protocol}" if address else f"{span}/{protocol}"
            )
    return [*found, *others]


def browsable(port: str, base: str) -> tuple[str, str]:
    """Return a short text for a port and its URL for a browser, empty if there is none.

    The URL uses the server's proxy if it has one, otherwise the machine's own address.
    """
    outer, arrow, inner = port.partition("->")
    if not arrow:
        return port, ""
    host, _, number = outer.rpartition(":")
    shown = f"{number}→{inner.removesuffix('/tcp')}"
    if not inner.endswith("/tcp") or not number.isdigit():
        return shown, ""
    link = linked(port, base)
    if isinstance(link, Link):
        return shown, link.href
    reachable = "127.0.0.1" if host in ("", "0.0.0.0", "[::]", "::") else host  # noqa: S104  # read
    return shown, f"http://{reachable}:{number}/"


def proxy_base(environ: Mapping[str, str] | None = None) -> str:
    """Return the base URL of the notebook server if it proxies ports, else an empty string."""
    environ = os.environ if environ is None else environ
    if "ipykernel" not in sys.modules or not _has_proxy():
        return ""
    # A hub sets it; a server writes it to a file named after its process, the kernel's parent.
    return environ.get("JUPYTERHUB_SERVICE_PREFIX") or _base_of_parent()


def _has_proxy() -> bool:
    import importlib.util

    if importlib.util.find_spec("jupyter_server_proxy") is not None:
        return True
    from jupyter_core.paths import jupyter_config_path

    name = "jupyter_server_config.d/jupyter-server-proxy.json"
    return any(Path(folder, name).is_file() for folder in jupyter_config_path())


def _base_of_parent() -> str:
    import json

    from jupyter_core.paths import jupyter_runtime_dir

    for kind in ("jpserver", "nbserver"):
        try:
            text = Path(jupyter_runtime_dir(), f"{kind}-{os.getppid()}.json").read_text()
            base = str(json.loads(text).get("base_url") or "/")
        except (OSError, ValueError):
            continue
        return base if base.endswith("/") else f"{base}/"
    return "/"
