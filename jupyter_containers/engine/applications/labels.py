"""Docker Compose's labels, which identify a project's containers, networks and volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jupyter_containers.compose.project import Project

# The version of Docker Compose whose behaviour and labels are followed.
COMPOSE_VERSION = "2.40.3"

_PREFIX = "com.docker.compose."
PROJECT = f"{_PREFIX}project"
SERVICE = f"{_PREFIX}service"
NUMBER = f"{_PREFIX}container-number"
CONFIG_HASH = f"{_PREFIX}config-hash"
ONEOFF = f"{_PREFIX}oneoff"
IMAGE = f"{_PREFIX}image"
FOLDER = f"{_PREFIX}project.working_dir"
FILES = f"{_PREFIX}project.config_files"
ENV_FILES = f"{_PREFIX}project.environment_file"
DEPENDENCIES = f"{_PREFIX}depends_on"
VERSION = f"{_PREFIX}version"
NETWORK = f"{_PREFIX}network"
VOLUME = f"{_PREFIX}volume"
REPLACES = f"{_PREFIX}replace"
SLUG = f"{_PREFIX}slug"


def container_labels(
    project: Project,
    service: str,
    *,
    config_hash: str,
    image_id: str,
    number: int = 0,
    slug: str = "",
) -> dict[str, str]:
    """Return the labels of a service's container; ``number`` 0 is a one-off container."""
    model = project.services[service]
    labels = {
        **model.get("labels", {}),
        CONFIG_HASH: config_hash,
        DEPENDENCIES: dependencies_text(model.get("depends_on") or {}),
        IMAGE: image_id,
        ONEOFF: "False" if number else "True",
        PROJECT: project.name,
        FILES: ",".join(project.files),
        FOLDER: project.folder,
        SERVICE: service,
        VERSION: COMPOSE_VERSION,
    }
    if number:
        labels[NUMBER] = str(number)
    if slug:
        labels[SLUG] = slug
    if project.env_files:
        labels[ENV_FILES] = ",".join(project.env_files)
    return labels


def dependencies_text(depends_on: Mapping[str, Mapping[str, Any]]) -> str:
    """Return ``db:service_healthy:false,cache:service_started:true``."""
    return ",".join(
        f"{name}:{entry.get('condition', 'service_started')}:"
        f"{'true' if entry.get('restart') else 'false'}"
        for name, entry in depends_on.items()
    )


def read_dependencies(text: str) -> dict[str, tuple[str, bool]]:
    """Parse the label; return condition and restart by service."""
    found: dict[str, tuple[str, bool]] = {}
    for item in filter(None, text.split(",")):
        name, condition, restart = (*item.split(":"), "", "")[:3]
        found[name] = (condition or "service_started", restart == "true")
    return found


def resource_labels(
    project: str, kind: str, key: str, own: Mapping[str, str], config_hash: str
) -> dict[str, str]:
    """Return the labels of a network or volume; ``kind`` is :data:`NETWORK` or :data:`VOLUME`."""
    return {
        **own,
        CONFIG_HASH: config_hash,
        kind: key,
        PROJECT: project,
        VERSION: COMPOSE_VERSION,
    }


def project_filter(*projects: str) -> dict[str, Sequence[str]]:
    """Return the ``ps`` filter for a project's containers, or for those of any project."""
    return {"label": [f"{PROJECT}={name}" for name in projects] or [PROJECT]}
