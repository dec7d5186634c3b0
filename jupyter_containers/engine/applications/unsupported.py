"""Valid fields of a Compose file without support here: refused by name and line, or ignored.

A field is refused if the container would differ from the requested one without it.  Fields that
only concern a swarm are ignored, as by Docker Compose, with a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jupyter_containers.compose.problems import ModelError, Path, dotted
from jupyter_containers.compose.project import Project
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.options.values import check_name

_FIELDS = {
    "credential_spec": "credentials of Windows",
    "cpu_count": "CPUs of Windows (write cpus)",
    "cpu_percent": "CPU shares of Windows (write cpus)",
    "provider": "services of a provider program",
    "models": "models of Docker's model runner",
    "use_api_socket": "the socket of the Docker Engine API in a container",
}
_MOUNTS = {
    "image": "an image as a mount",
    "npipe": "named pipes of Windows",
    "cluster": "volumes of a swarm",
}
_OF_INTERFACES = ("interface_name", "driver_opts")
_OF_SWARM = ("placement", "update_config", "rollback_config", "endpoint_mode", "labels")


def check(project: Project) -> None:
    """Raise :class:`ModelError` at the first unsupported field or invalid name."""
    for section in ("networks", "volumes"):
        for key, model in (project.model.get(section) or {}).items():
            try:
                check_name(str((model or {}).get("name") or key), section[:-1])
            except InvalidArgumentError as error:
                raise ModelError((section, key, "name"), error.message) from error
    for path, what in _refused(project):
        raise ModelError(path, f"{dotted(path)} is not supported here: {what}", at_key=True)


def _refused(project: Project) -> Iterator[tuple[Path, str]]:
    for name, service in project.services.items():
        place: Path = ("services", name)
        for key, what in _FIELDS.items():
            if service.get(key):
                yield (*place, key), what
        if service.get("isolation", "default") != "default":
            yield (*place, "isolation"), "isolation of Windows"
        for index, item in enumerate(service.get("volumes", ())):
            if item["type"] in _MOUNTS:
                yield (*place, "volumes", index), _MOUNTS[item["type"]]
        for network, item in (service.get("networks") or {}).items():
            for key in _OF_INTERFACES:
                if (item or {}).get(key):
                    yield (*place, "networks", network, key), "options of an interface"
        yield from _external(project, place, service)
        yield from _of_resources(place, service)


def _external(
    project: Project, place: Path, service: Mapping[str, Any]
) -> Iterator[tuple[Path, str]]:
    for section, word in (("secrets", "secret"), ("configs", "config")):
        for index, item in enumerate(service.get(section, ())):
            declared = (project.model.get(section) or {}).get(item.get("source")) or {}
            if declared.get("external"):
                yield (*place, section, index), f"an external {word}, which only a swarm has"


def _of_resources(place: Path, service: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    reservations = ((service.get("deploy") or {}).get("resources") or {}).get("reservations") or {}
    where = (*place, "deploy", "resources", "reservations")
    if reservations.get("generic_resources"):
        yield (*where, "generic_resources"), "resources of a swarm"
    for index, item in enumerate(reservations.get("devices") or ()):
        if item.get("driver") != "cdi" and "gpu" not in item.get("capabilities", ()):
            yield (*where, "devices", index), "devices other than GPUs and those of CDI"


def ignored(project: Project) -> list[str]:
    """Return a line for each service with fields that only a swarm has."""
    found = []
    for name, service in project.services.items():
        deploy = service.get("deploy") or {}
        fields = [key for key in _OF_SWARM if deploy.get(key)]
        if fields:
            names = ", ".join(f"deploy.{key}" for key in fields)
            found.append(f"services.{name}: {names}: only a swarm has a use for it; ignored")
    return found
