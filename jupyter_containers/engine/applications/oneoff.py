"""``run``: a container of a service for one command, beside those that ``up`` creates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jupyter_containers.compose.project import Project, service_hash
from jupyter_containers.engine.applications import labels
from jupyter_containers.engine.applications.translation import (
    Surroundings,
    command_of,
    container_flags,
)
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.lazy_modules import secrets
from jupyter_containers.options.values import as_sequence

if TYPE_CHECKING:
    from jupyter_containers.options.mounts import MountRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWish:
    """The options of ``run`` besides the service and its command."""

    name: str = ""
    env: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    service_ports: bool = False
    use_aliases: bool = False
    user: str = ""
    workdir: str = ""
    entrypoint: Sequence[str] | None = None
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    remove: bool = False
    detach: bool = False
    tty: bool | None = None
    interactive: bool | None = None


def oneoff_flags(
    project: Project,
    service: str,
    command: Sequence[str] | None,
    wish: RunWish,
    *,
    image_id: str,
    ids: Mapping[str, str],
    files: tuple[MountRequest, ...],
) -> tuple[Sequence[str] | None, dict[str, Any]]:
    """Return the command and the flags of a one-off container."""
    slug = secrets.token_hex(32)
    model = project.services[service]
    name = wish.name or f"{project.name}-{service}-run-{slug[:12]}"
    own = labels.container_labels(
        project, service, config_hash=service_hash(model), image_id=image_id, slug=slug
    )
    around = Surroundings(
        name=name,
        labels={**own, **wish.labels},
        ids=ids,
        files=files,
        aliased=wish.use_aliases,
    )
    flags = container_flags(project, service, around)
    flags.pop("restart", None)
    if not wish.service_ports:
        flags.pop("publish", None)
    changes: dict[str, Any] = {
        "publish": [*flags.get("publish", ()), *wish.publish],
        "env": [*flags.get("env", ()), *wish.env],
        "volume": list(wish.volumes),
        "user": wish.user,
        "workdir": wish.workdir,
        "cap_add": [*as_sequence(flags.get("cap_add")), *wish.cap_add],
        "cap_drop": [*as_sequence(flags.get("cap_drop")), *wish.cap_drop],
        "rm": wish.remove,
        "detach": wish.detach,
    }
    flags |= {key: value for key, value in changes.items() if value}
    for key, value in (("tty", wish.tty), ("interactive", wish.interactive)):
        if value is not None:
            flags[key] = value
    if wish.entrypoint is not None:
        flags["entrypoint"] = tuple(wish.entrypoint) or ("",)
        return command or None, flags
    return command or command_of(model), flags
