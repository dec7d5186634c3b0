"""The output of ``config``: a project as JSON or YAML, with dollar signs doubled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jupyter_containers.compose.nodes import scalar
from jupyter_containers.compose.project import Project
from jupyter_containers.lazy_modules import json
from jupyter_containers.lazy_patterns import pattern

_FIRST = ("name", "services", "networks", "volumes", "secrets", "configs", "models")
_OLD_WORDS = frozenset(
    [
        "y",
        "Y",
        "yes",
        "Yes",
        "YES",
        "n",
        "N",
        "no",
        "No",
        "NO",
        "on",
        "On",
        "ON",
        "off",
        "Off",
        "OFF",
    ]  # booleans of YAML 1.1
)
_SPECIAL = pattern(r"[\[\]{},#&*!|>'\"%@`]|[-?:](\s|\Z)|\s")
_SEXAGESIMAL = pattern(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?\Z")


def document(project: Project, *, escaped: bool = True) -> dict[str, Any]:
    """Return the JSON document of a project; as in Docker Compose, without models."""
    found = {key: project.model[key] for key in sorted(project.model) if key != "models"}
    found = {
        key: value
        for key, value in found.items()
        if value or key in ("services", "name") or key.startswith("x-")
    }
    return _escaped(found) if escaped else found


def to_json(project: Project, *, escaped: bool = True) -> str:
    """Return a project as JSON, indented by two spaces."""
    return json.dumps(document(project, escaped=escaped), indent=2, ensure_ascii=False)


def to_yaml(project: Project, *, escaped: bool = True) -> str:
    """Return a project as YAML."""
    model = document(project, escaped=escaped)
    if project.model.get("models"):
        model["models"] = _escaped_if(project.model["models"], escaped)
    found: dict[str, Any] = {key: model[key] for key in _FIRST if key in model}
    found["services"] = {
        name: {**_shown(service), **_escaped_if(project.extensions.get(name, {}), escaped)}
        for name, service in sorted(model["services"].items())
    }
    if "networks" in found:
        found["networks"] = {
            name: {k: v for k, v in (item or {}).items() if (k, v) != ("ipam", {})}
            for name, item in found["networks"].items()
        }
    found.update((key, _sorted(value)) for key, value in model.items() if key.startswith("x-"))
    return "\n".join(_lines(found, 0)) + "\n"


def plain_yaml(project: Project) -> str:
    """Return a project that was read without interpolation, with sorted keys."""
    found = {key: value for key, value in project.model.items() if value or key == "services"}
    return "\n".join(_lines(_sorted(found), 0)) + "\n"


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(item) for key, item in sorted(value.items())}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _shown(service: Mapping[str, Any]) -> dict[str, Any]:
    """Return a service without the empty fields that only JSON shows."""
    found = {key: value for key, value in service.items() if value is not None}
    if "deploy" in found:
        found["deploy"] = {key: value for key, value in found["deploy"].items() if value != {}}
    if "develop" in found:
        watch = [
            {k: v for k, v in item.items() if (k, v) != ("exec", {"command": None})}
            for item in found["develop"].get("watch", ())
        ]
        found["develop"] = {**found["develop"], "watch": watch} if watch else {}
    return found


def _escaped_if(value: Any, escaped: bool) -> Any:
    return _escaped(value) if escaped else value


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, Mapping):
        return {key.replace("$", "$$"): _escaped(item) for key, item in value.items()}
    return [_escaped(item) for item in value] if isinstance(value, list) else value


def _lines(value: Any, indent: int) -> Iterator[str]:
    pad = " " * indent
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _entry(f"{pad}{_scalar(key)}:", item, indent)
    else:
        for item in value:
            if isinstance(item, (Mapping, list)) and item:
                first, *rest = _lines(item, indent + 2)
                yield f"{pad}- {first[indent + 2 :]}"
                yield from rest
            else:
                yield from _entry(f"{pad}-", item, indent)


def _entry(head: str, value: Any, indent: int) -> Iterator[str]:
    if isinstance(value, (Mapping, list)) and value:
        yield head
        yield from _lines(value, indent + 2)
    elif isinstance(value, Mapping):
        yield f"{head} {{}}"
    elif isinstance(value, list):
        yield f"{head} []"
    elif isinstance(value, str) and "\n" in value and _can_be_block(value):
        body = value.rstrip("\n")
        count = len(value) - len(body)
        sign = "-" if not count else "" if count == 1 else "+"
        yield f"{head} |{sign}"
        for line in (value[:-1] if count else value).split("\n"):
            yield f"{' ' * (indent + 2)}{line}" if line else ""
    else:
        yield f"{head} {_scalar(value)}"


def _can_be_block(text: str) -> bool:
    return (
        text[0] not in " \n\t"
        and text.isprintable() is False
        and all(character.isprintable() or character in "\n\t" for character in text)
    )


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return repr(value)
    if not value or any(not character.isprintable() for character in value):
        return json.dumps(value, ensure_ascii=False)
    if value in _OLD_WORDS or not isinstance(scalar(value), str) or _SEXAGESIMAL.match(value):
        return f'"{value}"'
    if _needs_quotes(value):
        return "'" + value.replace("'", "''") + "'"
    return value


def _needs_quotes(text: str) -> bool:
    return bool(
        _SPECIAL.match(text)
        or ": " in text
        or " #" in text
        or text != text.strip()
        or text.endswith(":")
        or text.startswith(("---", "..."))
        or text == "<<"
        or text == "="
        or type(scalar(text)) is not str
    )
