"""Docker's and Podman's configuration files for registries, and the resulting routes.

Vocabulary: a *rule* is a ``[[registry]]`` table of containers-registries.conf(5), version 2: for
the references under its *prefix* it gives another *location*, mirrors, or blocks them.  A *route*
is the result for one repository: the endpoint, the mirrors before it, and the trust policy.

Reads ``daemon.json`` (``registry-mirrors`` of Docker Hub, ``insecure-registries``) and
``registries.conf`` with the ``*.conf`` of ``registries.conf.d`` beside it, if they exist.  Rules
for short names and search orders are ignored: names are parsed as in Docker.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jupyter_containers.errors import DeniedError, InvalidArgumentError, RegistryError
from jupyter_containers.filesystems import check_place
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.lazy_modules import json
from jupyter_containers.registry.endpoint import Endpoint, Pulls, mirrors_for

_MAX_CHARACTERS = 1024 * 1024
_PULLS: Mapping[str, Pulls] = {"all": "all", "digest-only": "digest-only", "tag-only": "tag-only"}


@dataclass(frozen=True, slots=True)
class Place:
    """A location of images: ``host[:port][/path]``, and the kinds of pull it serves."""

    location: str
    insecure: bool = False
    pulls: Pulls = "all"

    @property
    def host(self) -> str:
        """The host, with its port if there is one."""
        return self.location.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Rule:
    """The configuration of the references under ``prefix``; ``origin`` is the file."""

    prefix: str
    place: Place
    mirrors: tuple[Place, ...] = ()
    blocked: bool = False
    origin: str = ""

    def match(self, name: str) -> str:
        """Return the part of ``registry/repository`` that the prefix matches, or an empty text."""
        if self.prefix.startswith("*."):
            host = name.partition("/")[0]
            return host if host.endswith(self.prefix[1:]) else ""
        rest = name.removeprefix(self.prefix)
        return self.prefix if name.startswith(self.prefix) and rest[:1] in ("", "/") else ""


@dataclass(frozen=True, slots=True)
class RegistryFiles:
    """The merged configuration of all files; of several rules with one prefix the last wins."""

    hub_mirrors: tuple[str, ...] = ()
    insecure: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()

    def rule_for(self, name: str) -> Rule | None:
        """Return the rule with the longest prefix of ``registry/repository``."""
        known = {rule.prefix: rule for rule in self.rules}.values()
        fitting = [rule for rule in known if rule.match(name)]
        return max(fitting, key=lambda rule: len(rule.prefix), default=None)


@dataclass(frozen=True, slots=True)
class Route:
    """The route to one repository: mirrors for reading first, ``main`` last and for writing."""

    main: Endpoint
    mirrors: tuple[Endpoint, ...] = ()
    insecure: tuple[str, ...] = field(default=())


def route(
    registry: str,
    repository: str,
    *,
    insecure: Sequence[str] = (),
    mirrors: Sequence[str] = (),
    files: RegistryFiles,
    push: bool = False,
) -> Route:
    """Return the route to a repository (or, if it is empty, to the registry as a whole).

    ``insecure`` and ``mirrors`` are the settings; they precede the files.  A ``push`` goes to the
    registry in the name: mirrors and other locations are for pulling, as with Podman.  Raises
    :class:`DeniedError` if a file blocks it.
    """
    name = f"{registry}/{repository}" if repository else registry
    rule = files.rule_for(name)
    trusted = [*insecure, *files.insecure]
    own = [Endpoint.of_mirror(each) for each in mirrors_for(registry, mirrors)]
    if rule is None:
        own += [Endpoint.of_mirror(each) for each in mirrors_for(registry, files.hub_mirrors)]
        return Route(Endpoint.of_registry(registry), tuple(own), tuple(trusted))
    if rule.blocked:
        raise DeniedError(
            f"{rule.prefix} is blocked by {rule.origin}", hint="remove `blocked = true` there"
        )
    trusted += [place.host for place in (rule.place, *rule.mirrors) if place.insecure]
    if push:
        return Route(Endpoint.of_registry(registry), (), tuple(trusted))
    prefix = rule.match(name)
    found = [_endpoint(place, prefix) for place in rule.mirrors]
    own += found or [Endpoint.of_mirror(each) for each in mirrors_for(registry, files.hub_mirrors)]
    main = _endpoint(rule.place, prefix)
    return Route(main, tuple(own), tuple(trusted))


def _endpoint(place: Place, prefix: str) -> Endpoint:
    host, _, path = (place.location or prefix).partition("/")
    old = prefix.partition("/")[2]
    made = Endpoint.of_registry(host)
    return Endpoint(made.registry, made.host, "", "", old, path, place.pulls)


def read_registry_files(paths: Iterable[Path]) -> RegistryFiles:
    """Return the configuration in the files at ``paths``; missing files are skipped.

    A name that ends in ``.json`` is Docker's, any other is a ``registries.conf``.  Raises
    :class:`RegistryError` for a file that cannot be read.
    """
    mirrors: list[str] = []
    insecure: list[str] = []
    rules: list[Rule] = []
    for path in paths:
        if path.suffix == ".json":
            document = _read(path, json.loads)
            mirrors += _texts(document, "registry-mirrors", path)
            insecure += _texts(document, "insecure-registries", path)
            continue
        for each in (path, *sorted(path.with_name(f"{path.name}.d").glob("*.conf"))):
            rules += _rules(_read(each, _toml), each)
    return RegistryFiles(tuple(mirrors), tuple(insecure), tuple(rules))


def _toml(text: str) -> dict[str, Any]:
    import tomllib

    return tomllib.loads(text)


def _read(path: Path, parse: Any) -> dict[str, Any]:
    if path.exists():
        check_place(
            path, "a registry configuration file", f"chmod go-w {path}, and the folders above"
        )
    try:
        text = path.read_text()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    except (OSError, ValueError) as error:
        raise RegistryError(f"cannot read {path}: {error}") from error
    if len(text) > _MAX_CHARACTERS:
        raise RegistryError(f"{path} is over 1 MiB: not a registry configuration file")
    try:
        document = parse(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise RegistryError(f"{path} is damaged: {error}", hint="correct the file") from error
    if not isinstance(document, dict):
        raise RegistryError(f"{path} does not hold an object")
    return document


def _texts(document: Mapping[str, Any], key: str, path: Path) -> list[str]:
    value = document.get(key) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise RegistryError(f"{path}: {key} is not a list of texts")
    return value


def _rules(document: Mapping[str, Any], path: Path) -> list[Rule]:
    if "registries" in document:
        raise RegistryError(
            f"{path} has the old form of version 1",
            hint="write [[registry]] tables: containers-registries.conf(5)",
        )
    try:
        return [_rule(table, path) for table in document.get("registry") or ()]
    except (AttributeError, TypeError, KeyError) as error:
        raise RegistryError(f"{path}: a [[registry]] table is malformed: {error!r}") from error


def _rule(table: Mapping[str, Any], path: Path) -> Rule:
    location = str(table.get("location") or "").rstrip("/")
    prefix = str(table.get("prefix") or location).rstrip("/")
    if not prefix:
        raise RegistryError(f"{path}: a [[registry]] table has neither prefix nor location")
    by_digest = bool(table.get("mirror-by-digest-only"))
    mirrors = tuple(
        _place(entry, path, "digest-only" if by_digest else "all")
        for entry in table.get("mirror") or ()
    )
    place = Place(location, bool(table.get("insecure")))
    return Rule(prefix, place, mirrors, bool(table.get("blocked")), str(path))


def _place(entry: Mapping[str, Any], path: Path, pulls: Pulls) -> Place:
    wanted = str(entry.get("pull-from-mirror") or pulls)
    location = str(entry.get("location") or "").rstrip("/")
    if not location or "://" in location or wanted not in _PULLS:
        raise InvalidArgumentError(
            f"{path}: a mirror with location {location!r} and pull-from-mirror {wanted!r}",
            hint='write location = "host[:port][/path]"',
        )
    return Place(location, bool(entry.get("insecure")), _PULLS[wanted])
