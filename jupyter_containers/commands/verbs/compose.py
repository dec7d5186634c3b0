"""Verbs of Compose files: config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_containers.commands.render.results import Text
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.verbs.listing import read_text
from jupyter_containers.commands.words import Parsed
from jupyter_containers.errors import FlagError, NotFoundError, UsageError

if TYPE_CHECKING:
    from jupyter_containers.compose import Project

_LISTS = (
    "show_services",
    "images",
    "networks",
    "volumes",
    "show_profiles",
    "environment",
    "variables",
)


def config(session: Session, parsed: Parsed) -> Text | None:
    """Return a project as YAML or JSON, or names from it."""
    form = parsed.flag("format", "yaml")
    if form not in ("yaml", "json"):
        raise FlagError(f"unsupported format {form!r}", hint="yaml or json")
    wanted = [key for key in (*_LISTS, "hash") if parsed.flag(key)]
    if len(wanted) > 1:
        raise UsageError("only one of the lists can be printed at a time")
    plain = bool(parsed.flag("no_interpolate") or parsed.flag("variables"))
    project = _load(session, parsed, interpolate=not plain)
    _warn(session, project)
    text = _listed(project, wanted[0], parsed) if wanted else _whole(project, form, plain=plain)
    if parsed.flag("output"):
        _write(parsed.flag("output"), text)
        return None
    return None if parsed.flag("quiet") else Text(text.rstrip("\n"))


def _load(session: Session, parsed: Parsed, *, interpolate: bool) -> Project:
    from jupyter_containers.compose import LoadOptions, load

    files = tuple(parsed.flag("files", ()))
    text = None
    if "-" in files or (not files and isinstance(session.stdin, bytes)):
        if len(files) > 1:
            raise UsageError("the input cannot be merged with files", hint="give one of them")
        text, files = read_text(session, "a Compose file"), ()
    env_files = parsed.flag("env_files")
    return load(
        LoadOptions(
            files=files or None,
            text=text,
            folder=parsed.flag("folder", ""),
            name=parsed.flag("project", ""),
            profiles=tuple(parsed.flag("profiles", ())),
            env_files=tuple(env_files) if env_files else None,
            services=tuple(parsed.operands.get("services", ())),
            interpolate=interpolate,
        )
    )


def _warn(session: Session, project: Project) -> None:
    from jupyter_containers.events import warn

    if project.warnings:
        with session.progress() as emit:
            for number, text in enumerate(project.warnings):
                warn(emit, text, of=str(number))


def _whole(project: Project, form: str, *, plain: bool) -> str:
    from jupyter_containers.compose import rendering

    if form == "json":
        return rendering.to_json(project, escaped=not plain)
    return rendering.plain_yaml(project) if plain else rendering.to_yaml(project)


def _listed(project: Project, key: str, parsed: Parsed) -> str:
    services = project.services
    if key == "hash":
        names = list(services) if parsed.flag("hash") == "*" else parsed.flag("hash").split(",")
        for name in names:
            if name not in services:
                raise NotFoundError(f"no such service: {name}")
        return "\n".join(f"{name} {project.hash(name)}" for name in sorted(names))
    if key == "variables":
        return _variables(project)
    if key == "environment":
        return "\n".join(f"{name}={value}" for name, value in sorted(project.environment.items()))
    lists: dict[str, Any] = {
        "show_services": list(services),
        "images": [project.image(name) for name in services],
        "networks": list(project.model.get("networks", ())),
        "volumes": list(project.model.get("volumes", ())),
        "show_profiles": list(project.profiles),
    }
    return "\n".join(lists[key])


def _variables(project: Project) -> str:
    from jupyter_containers.compose.interpolation import used

    rows = [("NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE")]
    for variable in used(project.model).values():
        required = "true" if variable.required else "false"
        rows.append((variable.name, required, variable.default, variable.alternative))
    widths = [max(len(row[column]) for row in rows) + 4 for column in range(4)]
    return "\n".join(
        "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.rstrip("\n") + "\n")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
