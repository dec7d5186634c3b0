"""Converts the short forms of the specification to their long forms."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from typing import Any

from jupyter_containers.compose.problems import ModelError, Path, dotted
from jupyter_containers.lazy_patterns import pattern

_DRIVE = pattern(r"[a-zA-Z]:")
_PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")


def volume(text: str, path: Path) -> dict[str, Any]:
    """Return the long form of ``SOURCE:TARGET:MODE``, without defaults."""
    if not text:
        raise ModelError(path, "invalid empty volume spec")
    if len(text) <= 2:
        return {"type": "volume", "target": text}
    parts = _split_volume(text)
    if len(parts) > 3 or not all(parts):
        word = "too many colons" if all(parts) else "empty section between colons"
        raise ModelError(path, f"invalid spec: {text}: {word}", hint="SOURCE:TARGET:MODE")
    if len(parts) == 1:
        return {"type": "volume", "target": clean(parts[0]), "volume": {}}
    found: dict[str, Any] = {"type": "volume", "source": parts[0], "target": clean(parts[1])}
    bind, inner = _volume_options(parts[2] if len(parts) == 3 else "", found)
    if parts[0][0] in "./~" or _DRIVE.match(parts[0]) or parts[0].startswith("\\\\"):
        found["type"] = "bind"
        found["bind"] = {**bind, "create_host_path": True}
    elif bind:
        found["bind"] = bind
    if inner or found["type"] == "volume":
        found["volume"] = inner
    return found


def _volume_options(text: str, found: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the bind and volume options of the third part; ``ro`` goes into ``found``."""
    bind: dict[str, Any] = {}
    inner: dict[str, Any] = {}
    for option in text.split(","):
        if option in ("ro", "rw"):
            found["read_only"] = option == "ro"
        elif option == "nocopy":
            inner["nocopy"] = True
        elif option in ("z", "Z"):
            bind["selinux"] = option
        elif option in _PROPAGATIONS:
            bind["propagation"] = option
    return bind, inner


def _split_volume(text: str) -> list[str]:
    parts: list[str] = []
    start = 0
    for index, character in enumerate(text):
        if character != ":":
            continue
        # A single letter before a colon is the drive of a Windows path.
        if index - start == 1 and text[start].isalpha():
            continue
        parts.append(text[start:index])
        start = index + 1
    return [*parts, text[start:]]


def _volumes(value: Any, path: Path) -> Any:
    found: list[Any] = []
    for index, item in enumerate(value):
        if isinstance(item, str):
            found.append(volume(item, (*path, index)))
        elif isinstance(item.get("target"), str):
            found.append({**item, "target": clean(item["target"])})
        else:
            found.append(item)
    return found


def clean(path: str) -> str:
    """Return the normal form of a path in a container: ``/a/`` becomes ``/a``."""
    return posixpath.normpath(path) if path else ""


_PORT = pattern(r"(\d+)(?:-(\d+))?\Z")


def ports_of(text: str, path: Path) -> list[dict[str, Any]]:
    """Parse ``[IP:][HOST:]CONTAINER[/PROTOCOL]``; return a mapping for each port of a range."""
    body, slash, protocol = text.partition("/")
    if slash and protocol.lower() not in ("tcp", "udp", "sctp"):
        raise ModelError(path, f"invalid proto: {protocol}", hint="tcp, udp or sctp")
    address = ""
    if body.startswith("["):
        address, closed, body = body[1:].partition("]:")
        if not closed:
            raise ModelError(path, f"invalid IP address: {text}")
        parts = body.rsplit(":", 1)
    else:
        parts = body.rsplit(":", 2)
        if len(parts) == 3:
            address = parts.pop(0)
    if address and not _is_address(address):
        raise ModelError(path, f"invalid IP address: {address}")
    target = parts[-1]
    host = parts[-2] if len(parts) > 1 else ""
    if not target:
        raise ModelError(path, f"no port specified: {text}")
    first, last = _range(target, "containerPort", path)
    host_first, host_last = _range(host, "hostPort", path) if host else (0, 0)
    if (
        host
        and host_last - host_first != last - first
        and not (first == last and host_first != host_last)
    ):
        raise ModelError(path, f"invalid ranges for container and host ports: {target} and {host}")
    found = []
    for number in range(first, last + 1):
        published = str(host_first + number - first) if host else ""
        if host and first == last and host_first != host_last:
            published = f"{host_first}-{host_last}"
        entry: dict[str, Any] = {"mode": "ingress"}
        if address:
            entry["host_ip"] = address
        entry["target"] = number
        if published:
            entry["published"] = published
        entry["protocol"] = protocol.lower() or "tcp"
        found.append(entry)
    # Docker Compose sorts them as strings.
    return sorted(found, key=lambda entry: f"{entry['target']}/{entry['protocol']}")


def _is_address(text: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _range(text: str, word: str, path: Path) -> tuple[int, int]:
    found = _PORT.match(text)
    first = int(found[1]) if found else -1
    last = int(found[2] or found[1]) if found else -1
    if found is None or last > 65535 or first > last:
        raise ModelError(path, f"invalid {word}: {text}", hint="a number up to 65535, or a range")
    return first, last


def _ports(value: Any, path: Path) -> Any:
    found: list[Any] = []
    for index, item in enumerate(value):
        if isinstance(item, dict):
            entry = dict(item)
            if isinstance(entry.get("published"), int):
                entry["published"] = str(entry["published"])
            found.append(entry)
        elif isinstance(item, float):
            raise ModelError((*path, index), f"{dotted(path)}: invalid port {item}")
        else:
            found += ports_of(str(item), (*path, index))
    return found


def _files(value: Any, path: Path) -> Any:
    del path
    return [{"source": item} if isinstance(item, str) else item for item in value]


def _depends_on(value: Any, path: Path) -> Any:
    del path
    if isinstance(value, list):
        return {name: {"condition": "service_started", "required": True} for name in value}
    return {
        name: {**item, "required": item.get("required", True)} if isinstance(item, dict) else item
        for name, item in value.items()
    }


def _names(value: Any, path: Path) -> Any:
    del path
    return dict.fromkeys(value) if isinstance(value, list) else value


def _env_files(value: Any, path: Path) -> Any:
    del path
    items = [value] if isinstance(value, str) else value
    found = []
    for item in items:
        entry = {"path": item} if isinstance(item, str) else dict(item)
        entry.setdefault("required", True)
        found.append(entry)
    return found


def _devices(value: Any, path: Path) -> Any:
    found = []
    for index, item in enumerate(value):
        if isinstance(item, dict):
            found.append(item)
            continue
        parts = item.split(":")
        if len(parts) > 3:
            raise ModelError(
                (*path, index), f"confusing device mapping, please use long syntax: {item}"
            )
        target = parts[1] if len(parts) > 1 else parts[0]
        permissions = parts[2] if len(parts) > 2 else "rwm"
        found.append({"source": parts[0], "target": target, "permissions": permissions})
    return found


def _gpus(value: Any, path: Path) -> Any:
    del path
    return [{"count": "all"}] if value == "all" else value


def _build(value: Any, path: Path) -> Any:
    entry = {"context": value} if isinstance(value, str) else dict(value)
    if isinstance(entry.get("secrets"), list):
        entry["secrets"] = _files(entry["secrets"], path)
    return entry


def _external(value: Any, path: Path) -> Any:
    if not isinstance(value, dict) or "external" not in value:
        return value
    old = value["external"]
    if not isinstance(old, dict):
        return value
    if "name" in value and "name" in old and value["name"] != old["name"]:
        raise ModelError(path, f"{dotted(path)}: name and external.name conflict; only use name")
    entry = {**value, "external": True}
    if "name" in old:
        entry["name"] = old["name"]
    return entry


def _single(value: Any, path: Path) -> Any:
    del path
    return [value] if isinstance(value, str) else value


_LONG: dict[str, Callable[[Any, Path], Any]] = {
    "build": _build,
    "configs": _files,
    "depends_on": _depends_on,
    "devices": _devices,
    "env_file": _env_files,
    "gpus": _gpus,
    "models": _names,
    "networks": _names,
    "ports": _ports,
    "secrets": _files,
    "volumes": _volumes,
    **dict.fromkeys(
        ("dns", "label_file", "tmpfs"),
        _single,
    ),
}


def long_forms(model: dict[str, Any]) -> dict[str, Any]:
    """Return a checked model with every field in its long form."""
    found = dict(model)
    if "services" in model:
        found["services"] = {
            name: {
                key: _LONG[key](value, ("services", name, key))
                if key in _LONG and value is not None
                else value
                for key, value in (service or {}).items()
            }
            for name, service in (model["services"] or {}).items()
        }
    for section in ("networks", "volumes", "secrets", "configs"):
        if model.get(section):
            found[section] = {
                name: _external(value, (section, name)) for name, value in model[section].items()
            }
    return found
