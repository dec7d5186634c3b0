"""Resolution of a model's relative paths against the project's folder."""

from __future__ import annotations

import os
from typing import Any

_REMOTE = ("https://", "http://", "git://", "ssh://", "github.com/", "git@", "file://")
_SECTIONS = ("configs", "secrets")


def absolute(path: str, folder: str) -> str:
    """Return a path below ``folder``; ``~`` is the caller's home."""
    if path == "~" or path.startswith("~/"):
        path = os.path.expanduser(path)
    if len(path) > 2 and path[0].isalpha() and path[1] == ":" and path[2] in "\\/":
        return path  # a path of Windows
    return os.path.normpath(os.path.join(folder, path))


def is_remote(context: str) -> bool:
    """Return whether a build's context is remote."""
    return context.startswith(_REMOTE) or "://" in context


def resolved_service(service: dict[str, Any], folder: str) -> dict[str, Any]:
    """Return a service in the long form with absolute paths."""
    found = dict(service)
    build = service.get("build")
    if isinstance(build, dict):
        found["build"] = _build(build, folder)
    if service.get("env_file"):
        found["env_file"] = [
            {**item, "path": absolute(item["path"], folder)} for item in service["env_file"]
        ]
    if service.get("label_file"):
        found["label_file"] = [absolute(item, folder) for item in service["label_file"]]
    if service.get("volumes"):
        found["volumes"] = [
            {**item, "source": absolute(item["source"], folder)}
            if item.get("type") == "bind" and item.get("source")
            else item
            for item in service["volumes"]
        ]
    develop = service.get("develop")
    if isinstance(develop, dict) and develop.get("watch"):
        watch = [{**item, "path": absolute(item["path"], folder)} for item in develop["watch"]]
        found["develop"] = {**develop, "watch": watch}
    return found


def _build(build: dict[str, Any], folder: str) -> dict[str, Any]:
    found = dict(build)
    context = build.get("context")
    if isinstance(context, str) and context and not is_remote(context):
        found["context"] = absolute(context, folder)
    others = build.get("additional_contexts")
    if others:
        pairs = (
            dict(item.partition("=")[::2] for item in others)
            if isinstance(others, list)
            else others
        )
        texts = {name: "" if value is None else str(value) for name, value in pairs.items()}
        found["additional_contexts"] = {
            name: value
            if is_remote(value) or value.startswith("service:")
            else absolute(value, folder)
            for name, value in texts.items()
        }
    return found


def resolved(model: dict[str, Any], folder: str) -> dict[str, Any]:
    """Return a model in the long form with absolute paths."""
    found = dict(model)
    if model.get("services"):
        found["services"] = {
            name: resolved_service(service, folder) for name, service in model["services"].items()
        }
    for section in _SECTIONS:
        if model.get(section):
            found[section] = {
                name: {**item, "file": absolute(item["file"], folder)}
                if isinstance(item, dict) and item.get("file")
                else item
                for name, item in model[section].items()
            }
    if model.get("volumes"):
        found["volumes"] = {name: _volume(item, folder) for name, item in model["volumes"].items()}
    return found


def _volume(item: Any, folder: str) -> Any:
    options = item.get("driver_opts") if isinstance(item, dict) else None
    if not isinstance(options, dict) or item.get("driver") != "local":
        return item
    if options.get("o") != "bind" or not isinstance(options.get("device"), str):
        return item
    return {**item, "driver_opts": {**options, "device": absolute(options["device"], folder)}}
