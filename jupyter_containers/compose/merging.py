"""Merges one file over another by the specification's rules.

Mappings are merged, lists appended, other values replaced. Fields with special rules are listed
by their patterns. ``!reset`` removes the value of the lower file, ``!override`` replaces it
completely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from jupyter_containers.compose import quantities, shorthand
from jupyter_containers.compose.nodes import Marked
from jupyter_containers.compose.problems import ModelError, Path, dotted

Pattern = tuple[str, ...]
_NAMED = {
    ("services",), ("networks",), ("volumes",), ("secrets",), ("configs",), ("models",),
    ("services", "*", "ulimits"), ("services", "*", "networks"), ("services", "*", "depends_on"),
}  # fmt: skip


def below(pattern: Pattern, key: str) -> Pattern:
    """Return the pattern of a key: names chosen by the user become ``*``."""
    return (*pattern, "*" if pattern in _NAMED else key)


def merge(base: Any, over: Any, path: Path = (), pattern: Pattern = ()) -> Any:
    """Return ``over`` merged over ``base``; neither is changed."""
    rule = _RULES.get(pattern)
    if rule is not None:
        return rule(base, over, path, pattern)
    if over is None:
        return base
    if isinstance(base, dict):
        if not isinstance(over, dict):
            raise ModelError(path, f"cannot override {dotted(path)}: a mapping is below")
        return _mappings(base, over, path, pattern)
    if isinstance(base, list):
        if not isinstance(over, list):
            raise ModelError(path, f"cannot override {dotted(path)}: a list is below")
        return [*base, *over]
    return over


def _mappings(base: Any, over: Any, path: Path, pattern: Pattern) -> Any:
    if not isinstance(base, dict) or not isinstance(over, dict):
        raise ModelError(path, f"cannot override {dotted(path)}: a mapping and another value")
    merged = dict(base)
    tags = over.tags if isinstance(over, Marked) else {}
    for key, value in over.items():
        tag = tags.get(key)
        if tag == "!reset":
            merged.pop(key, None)
        elif tag == "!override" or key not in merged or merged[key] is None or key.startswith("x-"):
            merged[key] = settled(value)
        else:
            merged[key] = merge(merged[key], value, (*path, key), below(pattern, key))
    return merged


def settled(value: Any) -> Any:
    """Return a value that has nothing below it, without the parts marked ``!reset``."""
    if isinstance(value, dict):
        tags = value.tags if isinstance(value, Marked) else {}
        return {key: settled(item) for key, item in value.items() if tags.get(key) != "!reset"}
    if isinstance(value, list):
        return [settled(item) for item in value]
    return value


def _replace(base: Any, over: Any, path: Path, pattern: Pattern) -> Any:
    del base, path, pattern
    return over


def sequence(value: Any) -> list[Any]:
    """Return a mapping or a string as the equivalent list."""
    if isinstance(value, dict):
        entries: list[str] = []
        for key, item in value.items():
            if item is None:
                entries.append(key)
            elif isinstance(item, list):
                entries += [f"{key}={quantities.text_of(one)}" for one in item]
            else:
                entries.append(f"{key}={quantities.text_of(item)}")
        return sorted(entries)
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _sequences(base: Any, over: Any, path: Path, pattern: Pattern) -> Any:
    del path, pattern
    tags = over.tags if isinstance(over, Marked) else {}
    if not tags:
        return [*sequence(base), *sequence(over)]
    kept = [item for item in sequence(base) if str(item).partition("=")[0] not in tags]
    return [*kept, *sequence(settled(over))]


def _hosts(base: Any, over: Any, path: Path, pattern: Pattern) -> Any:
    del path, pattern
    first = sequence(base)
    return [*first, *(item for item in sequence(over) if item not in first)]


def _build(base: Any, over: Any, path: Path, pattern: Pattern) -> Any:
    first, second = (
        {"context": value} if isinstance(value, str) else value or {} for value in (base, over)
    )
    return _mappings(first, second, path, pattern)


def _keyed(default: Callable[[], Any]) -> Callable[[Any, Any, Path, Pattern], Any]:
    def merged(base: Any, over: Any, path: Path, pattern: Pattern) -> Any:
        first, second = (
            {str(name): default() for name in value} if isinstance(value, list) else value or {}
            for value in (base, over)
        )
        return _mappings(first, second, path, pattern)

    return merged


def _logging(base: Any, over: Any, path: Path, pattern: Pattern) -> Any:
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over if over is not None else base
    first, second = base.get("driver"), over.get("driver")
    if first is None or second is None or first == second:
        return _mappings(base, over, path, pattern)
    return over


def _ulimit(base: Any, over: Any, path: Path, pattern: Pattern) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        return _mappings(base, over, path, pattern)
    return over


def _pools(base: Any, over: Any, path: Path, pattern: Pattern) -> Any:
    merged: dict[Any, Any] = {}
    for first in base or ():
        for second in over or ():
            if not isinstance(first, dict) or not isinstance(second, dict):
                raise ModelError(path, f"{dotted(path)} must be a list of mappings")
            if first.get("subnet") == second.get("subnet"):
                merged[first.get("subnet")] = _mappings(first, second, path, pattern)
            else:
                merged.setdefault(second.get("subnet"), second)
    return list(merged.values())


def _gpus(base: Any, over: Any, path: Path, pattern: Pattern) -> Any:
    del path, pattern
    first, second = (
        [{"count": "all"}] if value == "all" else value or [] for value in (base, over)
    )
    return [*first, *second]


def _started() -> dict[str, Any]:
    return {"condition": "service_started", "required": True}


_S = ("services", "*")
_RULES: dict[Pattern, Callable[[Any, Any, Path, Pattern], Any]] = {
    ("networks", "*", "ipam", "config"): _pools,
    **dict.fromkeys(
        (
            ("networks", "*", "labels"),
            ("volumes", "*", "labels"),
            (*_S, "annotations"),
            (*_S, "build", "args"),
            (*_S, "build", "additional_contexts"),
            (*_S, "build", "labels"),
            (*_S, "deploy", "labels"),
            (*_S, "dns"),
            (*_S, "dns_opt"),
            (*_S, "dns_search"),
            (*_S, "env_file"),
            (*_S, "label_file"),
            (*_S, "environment"),
            (*_S, "labels"),
            (*_S, "sysctls"),
            (*_S, "tmpfs"),
        ),
        _sequences,
    ),
    **dict.fromkeys(
        ((*_S, "command"), (*_S, "entrypoint"), (*_S, "healthcheck", "test")), _replace
    ),
    (*_S, "build"): _build,
    (*_S, "build", "extra_hosts"): _hosts,
    (*_S, "extra_hosts"): _hosts,
    (*_S, "depends_on"): _keyed(_started),
    (*_S, "networks"): _keyed(lambda: None),
    (*_S, "models"): _keyed(lambda: None),
    (*_S, "gpus"): _gpus,
    (*_S, "logging"): _logging,
    (*_S, "ulimits", "*"): _ulimit,
}


def _name(item: Any) -> Any:
    return item.partition("=")[0] if isinstance(item, str) else repr(item)


def _volume(item: Any) -> Any:
    if isinstance(item, str):
        return shorthand.volume(item, ())["target"]
    return item.get("target") if isinstance(item, dict) else repr(item)


def _mount(default: str) -> Callable[[Any], Any]:
    def key(item: Any) -> Any:
        if isinstance(item, dict):
            return item.get("target") or f"{default}/{item.get('source')}"
        return f"{default}/{item}"

    return key


_EVERYWHERE = "0.0.0.0"  # noqa: S104  # a default of the file's, compared as text


def _port(item: Any) -> Any:
    if not isinstance(item, dict):
        return str(item)
    return (
        f"{item.get('host_ip', _EVERYWHERE)}:{item.get('published', '')}:"
        f"{item.get('target')}/{item.get('protocol', 'tcp')}"
    )


def _env_file(item: Any) -> Any:
    return item.get("path") if isinstance(item, dict) else item


def _device(item: Any) -> Any:
    if isinstance(item, dict):
        return item.get("target")
    parts = str(item).split(":")
    return parts[1] if len(parts) > 1 else parts[0]


_UNIQUE: dict[Pattern, Callable[[Any], Any]] = {
    **dict.fromkeys(
        (
            ("networks", "*", "labels"),
            ("networks", "*", "ipam", "options"),
            (*_S, "annotations"),
            (*_S, "build", "args"),
            (*_S, "build", "additional_contexts"),
            (*_S, "build", "tags"),
            (*_S, "build", "labels"),
            (*_S, "cap_add"),
            (*_S, "cap_drop"),
            (*_S, "deploy", "labels"),
            (*_S, "dns"),
            (*_S, "dns_opt"),
            (*_S, "dns_search"),
            (*_S, "environment"),
            (*_S, "labels"),
            (*_S, "links"),
            (*_S, "networks", "*", "aliases"),
            (*_S, "networks", "*", "link_local_ips"),
            (*_S, "profiles"),
            (*_S, "sysctls"),
            (*_S, "tmpfs"),
        ),
        _name,
    ),
    (*_S, "configs"): _mount(""),
    (*_S, "secrets"): _mount("/run/secrets"),
    (*_S, "expose"): str,
    (*_S, "env_file"): _env_file,
    (*_S, "ports"): _port,
    (*_S, "volumes"): _volume,
    (*_S, "devices"): _device,
}


def unique(value: Any, path: Path = (), pattern: Pattern = ()) -> Any:
    """Return a model without repeated entries: the last one for the same thing is kept."""
    if isinstance(value, dict):
        return {
            key: unique(item, (*path, key), below(pattern, key))
            if isinstance(item, (dict, list))
            else item
            for key, item in value.items()
        }
    key_of = _UNIQUE.get(pattern) if isinstance(value, list) else None
    if key_of is None:
        return value
    return list(_by_key(value, key_of, path))


def _by_key(items: list[Any], key_of: Callable[[Any], Any], path: Path) -> Iterable[Any]:
    found: dict[Any, Any] = {}
    for index, item in enumerate(items):
        try:
            key = key_of(item)
            found[key if isinstance(key, str) else repr(key)] = item
        except ModelError as problem:
            raise ModelError((*path, index), problem.message, hint=problem.hint) from None
    return found.values()
