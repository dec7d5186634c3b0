"""Completes a model: names, the default network, implied dependencies.

The result is a :class:`~jupyter_containers.compose.project.Project`, typed and checked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jupyter_containers.compose import consistency, variables
from jupyter_containers.compose.problems import ModelError, near
from jupyter_containers.compose.project import Project
from jupyter_containers.compose.schema import PROJECT, SERVICE_FIELDS
from jupyter_containers.compose.shapes import pairs
from jupyter_containers.errors import InvalidArgumentError, NotFoundError
from jupyter_containers.lazy_patterns import pattern

if TYPE_CHECKING:
    from jupyter_containers.compose.loading import Loader, LoadOptions

_NAME = pattern(r"[a-z0-9][a-z0-9_-]*\Z")
_SECTIONS = ("networks", "volumes", "secrets", "configs")


def complete(
    model: dict[str, Any],
    folder: str,
    options: LoadOptions,
    loader: Loader,
) -> Project:
    """Return the project of a merged model in long form."""
    environment = loader.environment
    name = environment["COMPOSE_PROJECT_NAME"]
    raw = _completed({**model, "name": name}, environment, folder)
    profiles = tuple(options.profiles) or tuple(
        one.strip() for one in environment.get("COMPOSE_PROFILES", "").split(",") if one.strip()
    )
    if not options.interpolate:
        return Project(
            name,
            folder,
            _used_only(raw),
            environment,
            tuple(loader.warnings),
            _profiles(raw),
            _profiles(raw),
        )
    typed = _typed(raw)
    known = _profiles(typed)
    typed["services"] = _enabled(typed["services"], profiles, options.services)
    for section in _SECTIONS:
        typed.setdefault(section, {})
    _chosen(typed, options.services)
    _read_env_files(typed, environment)
    consistency.check(typed, raw["services"])
    shown = _used_only(typed)
    for key, value in model.items():
        if key.startswith("x-"):
            shown[key] = value
    extensions = {
        service: {
            key: value
            for key, value in (raw["services"][service] or {}).items()
            if key.startswith("x-")
        }
        for service in typed["services"]
    }
    return Project(
        name,
        folder,
        shown,
        environment,
        tuple(loader.warnings),
        known,
        profiles,
        extensions,
        loader.files,
        tuple(raw["services"]),
        tuple(
            os.path.abspath(os.path.join(options.folder or ".", name))
            for name in options.env_files or ()
        ),
    )


def project_name(
    options: LoadOptions, named: str, environment: Mapping[str, str], folder: str
) -> str:
    """Return the project's name: the given one, the files' (``named``), or the folder's."""
    given = options.name or environment.get("COMPOSE_PROJECT_NAME", "")
    if given:
        if not _NAME.match(given):
            raise InvalidArgumentError(
                f"invalid project name {given!r}: must consist only of lowercase alphanumeric "
                "characters, hyphens, and underscores as well as start with a letter or number"
            )
        return given
    made = re.sub(r"[^-_a-z0-9]", "", (named or os.path.basename(folder)).lower()).lstrip("_-")
    if not made:
        raise InvalidArgumentError("project name must not be empty", hint="-p NAME")
    return made


def _completed(
    model: dict[str, Any], environment: Mapping[str, str], folder: str
) -> dict[str, Any]:
    found = dict(model)
    found.pop("version", None)
    name = found["name"]
    services = {key: dict(value or {}) for key, value in (found.get("services") or {}).items()}
    for key, service in services.items():
        services[key] = _service(service, environment, folder)
    found["services"] = services
    networks = dict(found.get("networks") or {})
    if any("default" in (service.get("networks") or {}) for service in services.values()):
        networks.setdefault("default", None)
    found["networks"] = networks
    for section in _SECTIONS:
        named: dict[str, Any] = {}
        for key, item in (found.get(section) or {}).items():
            entry = dict(item or {})
            external = entry.get("external") not in (None, False, "false")
            if not entry.get("name"):
                entry["name"] = key if external else f"{name}_{key}"
            named[key] = entry
        if named or section == "networks":
            found[section] = named
        else:
            found.pop(section, None)
    return found


def _service(
    service: dict[str, Any], environment: Mapping[str, str], folder: str
) -> dict[str, Any]:
    if service.get("pull_policy") == "if_not_present":
        service["pull_policy"] = "missing"
    if (
        not service.get("networks")
        and not service.get("network_mode")
        and not service.get("provider")
    ):
        service["networks"] = {"default": None}
    build = service.get("build")
    if isinstance(build, dict):
        build = dict(build)
        build.setdefault("context", folder)
        if not build.get("dockerfile") and not build.get("dockerfile_inline"):
            build["dockerfile"] = "Dockerfile"
        if build.get("args"):
            args = pairs(build["args"], null=True)
            build["args"] = {
                key: environment.get(key) if value is None else value for key, value in args.items()
            }
            build["args"] = {
                key: value for key, value in build["args"].items() if value is not None
            }
        service["build"] = build
    if service.get("secrets"):
        service["secrets"] = [
            {**item, "target": item.get("target") or f"/run/secrets/{item.get('source')}"}
            for item in service["secrets"]
        ]
    if service.get("ports"):
        service["ports"] = [
            {
                **item,
                "mode": item.get("mode") or "ingress",
                "protocol": item.get("protocol") or "tcp",
            }
            for item in service["ports"]
        ]
    _devices(service)
    _implied(service)
    return service


def _devices(service: dict[str, Any]) -> None:
    if service.get("gpus"):
        service["gpus"] = [_counted(item) for item in service["gpus"]]
    deploy = service.get("deploy") or {}
    reservations = (deploy.get("resources") or {}).get("reservations") or {}
    if reservations.get("devices"):
        devices = [_counted(item) for item in reservations["devices"]]
        resources = {**deploy["resources"], "reservations": {**reservations, "devices": devices}}
        service["deploy"] = {**deploy, "resources": resources}


def _counted(item: dict[str, Any]) -> dict[str, Any]:
    return item if "count" in item or "device_ids" in item else {**item, "count": "all"}


def _implied(service: dict[str, Any]) -> None:
    """Add the dependencies that links, shared namespaces and volumes imply."""
    needed: dict[str, bool] = {}
    for link in service.get("links") or ():
        needed.setdefault(str(link).partition(":")[0], True)
    for word in ("network_mode", "ipc", "pid", "uts", "cgroup"):
        value = service.get(word)
        if isinstance(value, str) and value.startswith("service:"):
            needed.setdefault(value[8:], True)
    for value in service.get("volumes_from") or ():
        if not str(value).startswith("container:"):
            needed.setdefault(str(value).partition(":")[0], False)
    if not needed:
        return
    known = dict(service.get("depends_on") or {})
    for name, restart in needed.items():
        entry: dict[str, Any] = {"condition": "service_started", "required": True}
        if restart:
            entry["restart"] = True
        known.setdefault(name, entry)
    service["depends_on"] = known


def _typed(raw: dict[str, Any]) -> dict[str, Any]:
    for name, service in raw["services"].items():
        for index, item in enumerate(service.get("environment") or ()):
            key = str(item).partition("=")[0]
            if key != key.rstrip():
                raise ModelError(
                    ("services", name, "environment", index),
                    f"services.{name}.environment: environment variable {key} is declared with a "
                    "trailing space",
                )
    typed: dict[str, Any] = PROJECT.shaped(raw, ())
    typed.setdefault("services", {})
    return typed


def _profiles(model: dict[str, Any]) -> tuple[str, ...]:
    found = {one for service in model["services"].values() for one in service.get("profiles") or ()}
    return tuple(sorted(found))


def _enabled(
    services: dict[str, Any], profiles: Sequence[str], chosen: Sequence[str]
) -> dict[str, Any]:
    """Return the services that have no profile or a chosen one, and those in ``named``."""
    active = {*profiles}
    for name in chosen:
        if name in services:
            active.update(services[name].get("profiles", ()))
    return {
        name: service
        for name, service in services.items()
        if not service.get("profiles") or "*" in active or active & {*service["profiles"]}
    }


def _chosen(project: dict[str, Any], names: Sequence[str]) -> None:
    """Keep the named services and their dependencies."""
    if not names:
        return
    services = project["services"]
    kept: dict[str, None] = {}
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in services:
            if name in names:
                raise NotFoundError(f"no such service: {name}", hint=near(name, services))
            continue
        if name not in kept:
            kept[name] = None
            pending += services[name].get("depends_on") or ()
    project["services"] = {name: services[name] for name in services if name in kept}


def _read_env_files(project: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Add the variables and labels of ``env_file`` and ``label_file`` to the services."""
    for service in project["services"].values():
        own = {
            key: environment.get(key) if value is None else value
            for key, value in service.get("environment", {}).items()
        }
        given = {key: value for key, value in own.items() if value is not None}
        values: dict[str, Any] = {}
        for entry in service.pop("env_file", ()):
            if entry.get("required", True) or os.path.exists(entry["path"]):
                form = entry.get("format", "")
                values = variables.read(entry["path"], {**given, **environment}, form, values)
        _put(service, "environment", {**values, **own})
        labels: dict[str, Any] = {}
        for path in service.pop("label_file", ()):
            try:
                labels = variables.read(path, {}, "", labels)
            except NotFoundError as error:
                raise NotFoundError(error.message.replace("env file", "label file")) from None
        _put(service, "labels", {**labels, **service.get("labels", {})})


def _put(service: dict[str, Any], key: str, values: dict[str, Any]) -> None:
    if not values:
        service.pop(key, None)
        return
    fresh = key not in service
    service[key] = dict(sorted(values.items()))
    if fresh:
        order = list(SERVICE_FIELDS)
        items = sorted(service.items(), key=lambda item: order.index(item[0]))
        service.clear()
        service.update(items)


def _used_only(project: dict[str, Any]) -> dict[str, Any]:
    """Return a project without unused networks, volumes, secrets and configs."""
    found = dict(project)
    services = project["services"].values()
    used = {
        "networks": {name for service in services for name in service.get("networks") or ()},
        "volumes": {
            volume.get("source")
            for service in services
            for volume in service.get("volumes") or ()
            if volume.get("type") == "volume"
        },
        "secrets": {
            item.get("source")
            for service in services
            for item in (
                *(service.get("secrets") or ()),
                *((service.get("build") or {}).get("secrets") or ()),
            )
        },
        "configs": {
            item.get("source") for service in services for item in service.get("configs") or ()
        },
        "models": {name for service in services for name in service.get("models") or ()},
    }
    for section, names in used.items():
        kept = {key: item for key, item in (project.get(section) or {}).items() if key in names}
        if kept:
            found[section] = kept
        else:
            found.pop(section, None)
    return found
