"""From files to a project: read, interpolate, extend, merge, include, check, complete.

The order is the specification's: each file is interpolated, its services extended and its includes
added, and the result is merged over the previous files. Then every field is converted to its long
form, paths become absolute, and the project is completed (default network, names, implied
dependencies) and checked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jupyter_containers.compose import merging, paths, shorthand
from jupyter_containers.compose.completion import complete, project_name
from jupyter_containers.compose.extending import Extender
from jupyter_containers.compose.interpolation import interpolated
from jupyter_containers.compose.problems import ModelError
from jupyter_containers.compose.project import Project
from jupyter_containers.compose.schema import PROJECT
from jupyter_containers.compose.sources import Sources, Text
from jupyter_containers.compose.variables import environment_of
from jupyter_containers.errors import NotFoundError
from jupyter_containers.lazy_dataclasses import dataclass, field

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
OVERRIDES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)
MAX_INCLUDES = 100
MAX_SERVICES = 2000


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """The files to read, and how to read them.

    ``files`` are paths, or None for the default names in a folder; ``text`` replaces them.
    ``environment`` are the variables to interpolate; ``services`` selects some and their
    dependencies.  With ``interpolate`` false, variables are left as written.
    """

    files: tuple[str, ...] | None = None
    text: str | None = None
    folder: str = ""
    name: str = ""
    profiles: tuple[str, ...] = ()
    env_files: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    services: tuple[str, ...] = ()
    interpolate: bool = True


def load(
    options: LoadOptions | None = None, check: Callable[[Project], None] | None = None
) -> Project:
    """Return the project that Compose files describe.

    Raises :class:`ComposeFileError` with the place of the first mistake; ``check`` may raise
    further :class:`~.problems.ModelError`.
    """
    options = options or LoadOptions()
    start = os.path.abspath(options.folder or ".")
    environment = environment_of(options.environment, options.env_files, start)
    files = _files(options, environment, start)
    folder = _folder(options, files, start)
    if folder != start and options.env_files is None:
        environment = environment_of(options.environment, None, folder)
    sources = Sources(folder)
    loader = Loader(sources, environment, options.interpolate)
    with sources.reported():
        texts = (
            [Text("the cell", options.text)]
            if options.text is not None
            else [sources.read(name) for name in files]
        )
        loader.name(texts, options, folder)
        loader.files = files or ("-",)
        model = loader.model(texts, folder)
        project = complete(model, folder, options, loader)
        if check is not None:
            check(project)
        return project


def _files(options: LoadOptions, environment: Mapping[str, str], start: str) -> tuple[str, ...]:
    if options.text is not None:
        return ()
    files = options.files
    if files is None and environment.get("COMPOSE_FILE"):
        separator = environment.get("COMPOSE_PATH_SEPARATOR", os.pathsep)
        files = tuple(environment["COMPOSE_FILE"].split(separator))
    if files:
        return tuple(os.path.join(start, os.path.expanduser(name)) for name in files)
    return _found(start)


def _found(start: str) -> tuple[str, ...]:
    """Return the default files of the nearest folder, upwards, that has any."""
    folder = start
    while True:
        here = [name for name in NAMES if os.path.isfile(os.path.join(folder, name))]
        if here:
            over = [name for name in OVERRIDES if os.path.isfile(os.path.join(folder, name))]
            return tuple(os.path.join(folder, name) for name in (*here[:1], *over[:1]))
        parent = os.path.dirname(folder)
        if parent == folder:
            raise NotFoundError(
                "no configuration file provided: not found", hint=f"{NAMES[0]}, or -f FILE"
            )
        folder = parent


def _folder(options: LoadOptions, files: Sequence[str], start: str) -> str:
    if options.folder:
        return start
    return os.path.dirname(os.path.abspath(files[0])) if files else start


class Loader:
    """Reads models, with the variables and the files of one project."""

    def __init__(self, sources: Sources, environment: Mapping[str, str], interpolate: bool) -> None:
        self.sources, self.environment, self.interpolate = sources, dict(environment), interpolate
        self.warnings: dict[str, None] = {}
        self.files: tuple[str, ...] = ()
        self._open: list[str] = []
        self._count = 0

    def unset(self, name: str) -> None:
        """Record a warning for a variable without a value."""
        self.warnings[f'The "{name}" variable is not set. Defaulting to a blank string.'] = None

    def name(self, texts: Sequence[Text], options: LoadOptions, folder: str) -> None:
        """Determine the project's name, which the files may use as a variable."""
        named = ""
        for text in texts:
            for document in self.sources.documents(text):
                given = document.get("name") if isinstance(document, dict) else None
                if isinstance(given, str):
                    model = interpolated({"name": given}, self.environment, self.unset)
                    named = model["name"]
        self.environment["COMPOSE_PROJECT_NAME"] = project_name(
            options, named, self.environment, folder
        )

    def model(self, texts: Sequence[Text], folder: str) -> dict[str, Any]:
        """Return the merged model of files, checked, in long form, with absolute paths."""
        model: dict[str, Any] = {}
        for text in texts:
            for document in self.sources.documents(text) or [None]:
                one = self._document(document, text, folder)
                model = merging.merge(model, one)
                model = merging.unique(model)
                PROJECT.check(model, ())
        model = shorthand.long_forms(_without_empty(model))
        model = merging.unique(model)
        return paths.resolved(model, folder)

    def _document(self, document: Any, text: Text, folder: str) -> dict[str, Any]:
        if document is None:
            raise ModelError((), "empty compose file")
        if not isinstance(document, dict):
            raise ModelError((), "the top level of a Compose file must be a mapping")
        if "version" in document:
            self.warnings[
                f"{text.name}: the attribute `version` is obsolete, it will be ignored"
            ] = None
        one = self._interpolated(document)
        services = one.get("services")
        if isinstance(services, dict):
            if len(services) > MAX_SERVICES:
                raise ModelError(
                    ("services",), f"{len(services):,} services are more than {MAX_SERVICES:,}"
                )
            one["services"] = Extender(self, text, folder).extended(services)
        includes = one.get("include")
        if includes:
            PROJECT.fields["include"].check(includes, ("include",))
            one = {key: value for key, value in one.items() if key != "include"}
            for index, item in enumerate(includes):
                self._include(one, item, index, folder)
        return one

    def _interpolated(self, document: dict[str, Any]) -> dict[str, Any]:
        if not self.interpolate:
            return dict(document)
        return interpolated(document, self.environment, self.unset)

    def read_file(self, name: str) -> tuple[Text, dict[str, Any]]:
        """Return another file, interpolated, for ``extends``."""
        text = self.sources.read(name)
        found: dict[str, Any] = {}
        for document in self.sources.documents(text):
            if not isinstance(document, dict):
                raise ModelError((), "the top level of a Compose file must be a mapping")
            found = merging.merge(found, self._interpolated(document))
        return text, found

    def _include(self, model: dict[str, Any], item: Any, index: int, folder: str) -> None:
        entry = {"path": item} if isinstance(item, str) else item
        named = [entry["path"]] if isinstance(entry.get("path"), str) else entry.get("path") or []
        if not named:
            raise ModelError(("include", index), "an include needs a path")
        files = [paths.absolute(name, folder) for name in named]
        inner = entry.get("project_directory")
        inner = paths.absolute(inner, folder) if inner else os.path.dirname(files[0])
        if files[0] in self._open:
            circle = " includes ".join([*self._open[self._open.index(files[0]) :], files[0]])
            raise ModelError(("include", index), f"include cycle detected: {circle}")
        self._count += 1
        if self._count > MAX_INCLUDES:
            raise ModelError(("include", index), f"more than {MAX_INCLUDES} files are included")
        env = entry.get("env_file")
        env_files = None
        if env:
            env_files = tuple(
                paths.absolute(name, folder) for name in ([env] if isinstance(env, str) else env)
            )
        outer = self.environment
        self._open.append(files[0])
        try:
            self.environment = environment_of(outer, env_files, inner)
            texts = [self.sources.read(name) for name in files]
            included = self.model(texts, inner)
        finally:
            self.environment = outer
            self._open.pop()
        self._import(model, included, files[0])

    def _import(self, model: dict[str, Any], included: dict[str, Any], name: str) -> None:
        for section in ("services", "networks", "volumes", "secrets", "configs", "models"):
            for key, value in (included.get(section) or {}).items():
                own = model.setdefault(section, {}) or {}
                if not isinstance(own, dict):
                    raise ModelError((section,), f"{section} must be a mapping")
                model[section] = own
                if key in own and own[key] != value:
                    raise ModelError(
                        (section, key),
                        f"{section}.{key} conflicts with imported resource of "
                        f"{os.path.basename(name)}",
                        hint="override it with another file: include with two paths, or -f",
                    )
                own[key] = value


def _without_empty(model: dict[str, Any]) -> dict[str, Any]:
    """Return a model without sections that are null."""
    found: dict[str, Any] = merging.settled(
        {key: value for key, value in model.items() if value is not None}
    )
    return found
