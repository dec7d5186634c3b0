"""Checks across a project: references, names used twice, contradicting values, cycles."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from jupyter_containers.compose.problems import ModelError, near

Model = dict[str, Any]
_AMOUNTS = ("cpus", "memory", "pids")
_LIMITS = (
    ("mem_limit", ("resources", "limits", "memory")),
    ("mem_reservation", ("resources", "reservations", "memory")),
    ("cpus", ("resources", "limits", "cpus")),
    ("pids_limit", ("resources", "limits", "pids")),
    ("scale", ("replicas",)),
)


def check(project: Model, declared: Collection[str]) -> None:
    """Raise :class:`ModelError` if a typed project contradicts itself.

    ``declared`` are all services, including those of disabled profiles.
    """
    for section, word in (("secrets", "secret"), ("configs", "config")):
        for name, item in project.get(section, {}).items():
            _source(section, word, name, item)
    for name, item in project.get("volumes", {}).items():
        _external("volumes", name, item)
    names: dict[str, str] = {}
    for name, service in project["services"].items():
        _service(name, service, project, declared)
        own = service.get("container_name")
        if own and names.setdefault(own, name) != name:
            raise ModelError(
                ("services", name, "container_name"),
                f'container name "{own}" is already in use by service {names[own]}',
            )
    cycle(project["services"])


def _source(section: str, word: str, name: str, item: Model) -> None:
    given = [key for key in ("file", "environment", "content", "external") if item.get(key)]
    if not given and not item.get("driver"):
        wanted = (
            "`file` or `environment`" if word == "secret" else "`file`, `content` or `environment`"
        )
        raise ModelError((section, name), f'{word} "{name}" must declare either {wanted}')
    if len([key for key in given if key != "external"]) > 1:
        raise ModelError(
            (section, name),
            f"{section}.{name}: {'|'.join(given)} attributes are mutually exclusive",
        )


def _external(section: str, name: str, item: Model) -> None:
    if not item.get("external"):
        return
    extra = [key for key in item if key not in ("name", "external") and item[key] != {}]
    if extra:
        raise ModelError(
            (section, name, extra[0]),
            f'{section}.{name}: conflicting parameters "external" and "{extra[0]}" specified',
        )


def _service(name: str, service: Model, project: Model, declared: Collection[str]) -> None:
    path = ("services", name)
    build = service.get("build")
    if not build and not service.get("image") and not service.get("provider"):
        raise ModelError(
            path, f'service "{name}" has neither an image nor a build context specified'
        )
    if build:
        _build(name, build, service, project)
    test = (service.get("healthcheck") or {}).get("test")
    if test and test[0] not in ("CMD", "CMD-SHELL", "NONE"):
        raise ModelError(
            (*path, "healthcheck", "test"),
            'healthcheck.test must start either by "CMD", "CMD-SHELL" or "NONE"',
        )
    if service.get("network_mode") and service.get("networks"):
        raise ModelError(
            (*path, "networks"),
            f"service {name} declares mutually exclusive `network_mode` and `networks`",
        )
    for word in ("networks", "secrets", "configs", "models"):
        for used in _used(service.get(word)):
            _known(name, used, word, project)
    _ports(name, service)
    _volumes(name, service, project)
    _dependencies(name, service, project, declared)
    _twice(name, service)
    if service.get("container_name") and scale(service) > 1:
        raise ModelError(
            (*path, "container_name"),
            f"services.{name}: can't set container_name and have {scale(service)} containers",
            hint="a container's name is unique",
        )
    if scale(service) < 0:
        raise ModelError(
            (*path, "scale"), f"services.{name}.scale: must be greater than or equal to 0"
        )
    _targets(name, service)
    _watch(name, service)


def scale(service: Model) -> int:
    """Return the number of a service's containers."""
    found = service.get("scale", (service.get("deploy") or {}).get("replicas", 1))
    return int(found)


def _used(value: Any) -> list[str]:
    if isinstance(value, list):
        return [item.get("source", "") for item in value]
    return list(value or ())


def _known(name: str, used: str, section: str, project: Model) -> None:
    if used not in project.get(section, {}):
        raise ModelError(
            ("services", name, section, used),
            f'service "{name}" refers to undefined {section[:-1]} {used}',
            hint=near(used, project.get(section, {})) or f"declare it under {section}:",
        )


def _build(name: str, build: Model, service: Model, project: Model) -> None:
    path = ("services", name, "build")
    if build.get("dockerfile") and build.get("dockerfile_inline"):
        raise ModelError(
            path, f'service "{name}" declares mutualy exclusive dockerfile and dockerfile_inline'
        )
    for used in _used(build.get("secrets")):
        _known(name, used, "secrets", project)
    for context, value in (build.get("additional_contexts") or {}).items():
        if value.startswith("service:"):
            other = project["services"].get(value[8:])
            if other is None or not other.get("build"):
                raise ModelError(
                    (*path, "additional_contexts", context),
                    f'service "{name}" declares {"non-buildable" if other else "unknown"} service '
                    f'"{value[8:]}" as additional contexts {context}',
                )
    platform, platforms = service.get("platform"), build.get("platforms")
    if platform and platforms and platform not in platforms:
        raise ModelError(
            (*path, "platforms"),
            f'service "{name}" build.platforms MUST include service.platform "{platform}"',
        )


def _ports(name: str, service: Model) -> None:
    for index, port in enumerate(service.get("ports", ())):
        if not port.get("target"):
            raise ModelError(
                ("services", name, "ports", index),
                f"service ports services.{name}.ports[{index}] is missing a target port",
            )


def _volumes(name: str, service: Model, project: Model) -> None:
    for index, volume in enumerate(service.get("volumes", ())):
        path = ("services", name, "volumes", index)
        if not volume.get("target"):
            raise ModelError(
                path, f"service volume services.{name}.volumes[{index}] is missing a mount target"
            )
        if volume["type"] == "bind" and not volume.get("source"):
            raise ModelError(
                path, 'invalid mount config for type "bind": field Source must not be empty'
            )
        source = volume.get("source")
        if volume["type"] == "volume" and source and source not in project.get("volumes", {}):
            raise ModelError(
                path,
                f'service "{name}" refers to undefined volume {source}',
                hint=near(source, project.get("volumes", {})) or "declare it under volumes:",
            )


def _dependencies(name: str, service: Model, project: Model, declared: Collection[str]) -> None:
    for other, wanted in (service.get("depends_on") or {}).items():
        if other not in project["services"] and (
            wanted.get("required", True) or other not in declared
        ):
            raise ModelError(
                ("services", name, "depends_on", other),
                f'service "{name}" depends on undefined service "{other}"',
                hint=near(other, project["services"]),
            )


def _twice(name: str, service: Model) -> None:
    for key, place in _LIMITS:
        value: Any = service.get("deploy") or {}
        for step in place:
            value = value.get(step, 0 if step in _AMOUNTS else None) if value else None
        given = service.get(key)
        if given is not None and value is not None and str(given) != str(value):
            raise ModelError(
                ("services", name, key),
                f"services.{name}: can't set distinct values on '{key}' and "
                f"'deploy.{'.'.join(place)}'",
            )


def _targets(name: str, service: Model) -> None:
    found: dict[str, str] = {}
    entries = [
        *(
            ("tmpfs", index, item.partition(":")[0])
            for index, item in enumerate(service.get("tmpfs", ()))
        ),
        *(
            ("volumes", index, item["target"])
            for index, item in enumerate(service.get("volumes", ()))
        ),
        *(
            ("configs", index, item.get("target") or f"/{item.get('source')}")
            for index, item in enumerate(service.get("configs", ()))
        ),
        *(
            ("secrets", index, item.get("target", ""))
            for index, item in enumerate(service.get("secrets", ()))
        ),
    ]
    for word, index, target in entries:
        place = f"services.{name}.{word}[{index}]"
        first = found.setdefault(target, place)
        if first != place:
            raise ModelError(
                ("services", name, word, index),
                f"{place}: target {target} already mounted as {first}",
            )


def _watch(name: str, service: Model) -> None:
    for index, item in enumerate((service.get("develop") or {}).get("watch", ())):
        if item["action"] in ("sync", "sync+restart", "sync+exec") and not item.get("target"):
            raise ModelError(
                ("services", name, "develop", "watch", index),
                f"services.{name}.develop.watch: target is required for non-rebuild actions",
            )


def cycle(services: Model) -> None:
    """Raise :class:`ModelError` for a cycle of dependencies between services."""
    state: dict[str, int] = {}
    for root in services:
        if root in state:
            continue
        trail = [(root, iter(services[root].get("depends_on") or ()))]
        state[root] = 1
        while trail:
            name, others = trail[-1]
            other = next((one for one in others if one in services), None)
            if other is None:
                state[name] = 2
                trail.pop()
            elif state.get(other) == 1:
                names = [one for one, _ in trail]
                circle = [*names[names.index(other) :], other]
                shown = " -> ".join(
                    circle if len(circle) < 20 else [*circle[:10], "…", *circle[-5:]]
                )
                raise ModelError(
                    ("services", name, "depends_on"), f"dependency cycle detected: {shown}"
                )
            elif other not in state:
                state[other] = 1
                trail.append((other, iter(services[other].get("depends_on") or ())))
