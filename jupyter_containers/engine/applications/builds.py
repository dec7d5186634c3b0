"""Translate a ``build`` section into the flags of ``build``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from jupyter_containers.compose.project import Project
from jupyter_containers.engine.applications import labels
from jupyter_containers.errors import InvalidArgumentError


def build_flags(project: Project, service: str) -> tuple[str, dict[str, Any]]:
    """Return the build context and the flags that a service's ``build`` section sets."""
    model = project.services[service]
    build: Mapping[str, Any] = model["build"]
    context = build.get("context", project.folder)
    platforms = build.get("platforms") or ([model["platform"]] if model.get("platform") else [])
    own = {
        labels.PROJECT: project.name,
        labels.SERVICE: service,
        labels.VERSION: labels.COMPOSE_VERSION,
    }
    flags: dict[str, Any] = {
        "tag": [project.image(service), *build.get("tags", ())],
        "file": _file(context, build),
        "dockerfile": build.get("dockerfile_inline"),
        "build_args": build.get("args"),
        "labels": {**build.get("labels", {}), **own},
        "target": build.get("target", ""),
        "no_cache": build.get("no_cache"),
        "no_cache_filter": build.get("no_cache_filter"),
        "pull": build.get("pull"),
        "network": build.get("network", ""),
        "add_host": [text.replace("=", ":", 1) for text in build.get("extra_hosts", ())],
        "shm_size": int(build["shm_size"]) if build.get("shm_size") else None,
        "ulimit": _ulimits(build.get("ulimits") or {}),
        "platform": platforms,
        "cache_from": build.get("cache_from"),
        "cache_to": build.get("cache_to"),
        "ssh": _ssh(build.get("ssh")),
        "allow": _entitlements(build),
        "build_contexts": {
            name: _context(project, value)
            for name, value in (build.get("additional_contexts") or {}).items()
        },
        **_secrets(project, build),
    }
    return context, {key: value for key, value in flags.items() if value not in (None, "", [], {})}


def _file(context: str, build: Mapping[str, Any]) -> str | None:
    name = build.get("dockerfile")
    if not name or build.get("dockerfile_inline"):
        return None
    is_local = context.startswith(("/", "."))
    return os.path.join(context, name) if is_local else str(name)


def _ulimits(entries: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}={value.get('soft', 0)}:{value.get('hard', 0)}"
        if isinstance(value, Mapping)
        else f"{name}={value}:{value}"
        for name, value in entries.items()
    ]


def _ssh(entries: Any) -> list[str]:
    if not entries:
        return []
    if isinstance(entries, Mapping):
        return [f"{name}={path}" if path else name for name, path in entries.items()]
    return [str(one) for one in entries]


def _entitlements(build: Mapping[str, Any]) -> list[str]:
    extra = ["security.insecure"] if build.get("privileged") else []
    return [*build.get("entitlements", ()), *extra]


def _context(project: Project, value: str) -> str:
    """Return an additional context; for ``service:NAME`` it is that service's image."""
    if value.startswith("service:"):
        return f"docker-image://{project.image(value[8:])}"
    return value


def _secrets(project: Project, build: Mapping[str, Any]) -> dict[str, Any]:
    texts, values = [], {}
    for item in build.get("secrets", ()):
        source = item["source"]
        name = os.path.basename(item.get("target") or source)
        model = (project.model.get("secrets") or {})[source]
        if model.get("file"):
            texts.append(f"id={name},src={model['file']}")
        elif model.get("environment"):
            values[name] = variable(project, model["environment"], f"secret {source}")
        else:
            raise InvalidArgumentError(
                f"build.secrets only supports environment or file-based secrets: {source!r}"
            )
    return {"secret": texts, "secret_values": values}


def variable(project: Project, name: str, what: str) -> str:
    """Return a variable of the project's environment; raise if it is not set."""
    value = project.environment.get(name)
    if value is None:
        raise InvalidArgumentError(f'environment variable "{name}" required by {what} is not set')
    return value
