"""Applications: open one by its Compose file, list those that have containers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jupyter_containers.compose.loading import LoadOptions
from jupyter_containers.engine.applications import labels
from jupyter_containers.engine.applications.application import Application
from jupyter_containers.engine.applications.status import ProjectSummary, summaries
from jupyter_containers.engine.applications.works import Nouns
from jupyter_containers.engine.collection import Collection, Items
from jupyter_containers.errors import InvalidArgumentError, NotFoundError
from jupyter_containers.lazy_modules import json

Source = str | Path | Mapping[str, Any] | Sequence[str | Path] | None


class ApplicationService(Collection[ProjectSummary]):
    """The applications of one store: projects of Compose files."""

    noun = "applications"

    def __init__(self, engine: Nouns) -> None:
        self._engine = engine

    def compose(
        self,
        source: Source = None,
        *,
        project: str = "",
        profiles: Sequence[str] = (),
        env_files: Sequence[str | Path] | None = None,
        folder: str | Path = "",
        environment: Mapping[str, str] | None = None,
    ) -> Application:
        """Return an application from a file, several files, a text or a dictionary.

        Without ``source`` it is the folder's ``compose.yaml``.  A text of several lines is
        a file's text, any other a path.  ``folder`` is the base of relative paths, by default the
        first file's; ``environment`` are the variables of ``${NAME}``, by default this process's.
        Nothing is read before the first verb.
        """
        options = LoadOptions(
            **_read_from(source),
            folder=os.fspath(folder),
            name=project,
            profiles=tuple(profiles),
            env_files=None if env_files is None else tuple(os.fspath(name) for name in env_files),
            environment=dict(os.environ if environment is None else environment),
        )
        return Application(self._engine, options, self._engine.settings.layout.applications)

    def list(self, all: bool = False) -> Items[ProjectSummary]:
        """Return the projects that have running containers, with ``all`` those that have any."""
        return summaries(self._engine.containers.list(all, labels.project_filter()))

    __call__ = list

    def everything(self) -> Items[ProjectSummary]:
        """Return all projects that have containers."""
        return self.list(True)

    def get(self, name: str) -> ProjectSummary:
        """Return the project with this name; raise :class:`NotFoundError`."""
        for found in self.list(True):
            if found.name == name:
                return found
        raise NotFoundError(f"no such project: {name}", hint="see `compose ls -a`")

    def names(self) -> Items[str]:
        """Return the names of all projects; fast enough for completion."""
        return [found.name for found in self.list(True)]


def _read_from(source: Source) -> dict[str, Any]:
    if source is None:
        return {}
    if isinstance(source, Mapping):
        try:
            return {"text": json.dumps(source, default=os.fspath)}
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidArgumentError(f"the application cannot be written: {error}") from error
    if isinstance(source, str) and "\n" in source:
        return {"text": source}
    if isinstance(source, (str, Path)):
        return {"files": (os.fspath(source),)}
    return {"files": tuple(os.fspath(name) for name in source)}
