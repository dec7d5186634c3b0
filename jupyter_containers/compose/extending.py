"""``extends``: a service inherits the fields of another one, in the same file or another."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from jupyter_containers.compose import merging, paths, shorthand
from jupyter_containers.compose.nodes import marked
from jupyter_containers.compose.problems import ModelError, near
from jupyter_containers.compose.schema import SERVICE
from jupyter_containers.compose.sources import Text

if TYPE_CHECKING:
    from jupyter_containers.compose.loading import Loader

MAX_CHAIN = 100


class Extender:
    """Extends the services of one file."""

    def __init__(self, loader: Loader, text: Text, folder: str) -> None:
        self._loader, self._text, self._folder = loader, text, folder
        self._files: dict[str, tuple[Text, dict[str, Any]]] = {}

    def extended(self, services: dict[str, Any]) -> dict[str, Any]:
        """Return the services merged with those that they extend."""
        done: dict[str, Any] = {}
        found = {
            name: self._one(name, services, self._text.path, self._folder, done, ())
            if isinstance(service, dict) and "extends" in service
            else service
            for name, service in services.items()
        }
        return marked(found, services)

    def _one(
        self,
        name: str,
        services: dict[str, Any],
        file: str,
        folder: str,
        done: dict[str, Any],
        chain: tuple[tuple[str, str], ...],
    ) -> Any:
        service = services[name]
        if not isinstance(service, dict) or service.get("extends") is None:
            return service
        if file == self._text.path and name in done:
            return done[name]
        path = ("services", name, "extends")
        if (file, name) in chain or len(chain) > MAX_CHAIN:
            circle = [one for _, one in chain] + [name]
            raise ModelError(
                ("services", chain[0][1], "extends"), f"extends cycle: {' -> '.join(circle[:20])}"
            )
        given = service["extends"]
        SERVICE.fields["extends"].check(given, path)
        entry = {"service": given} if isinstance(given, str) else given
        other, named = entry["service"], entry.get("file")
        chain = (*chain, (file, name))
        if named is None:
            base = self._base(other, services, name, file)
            base = self._one(other, services, file, folder, done, chain)
        else:
            base = self._from_file(name, other, paths.absolute(named, folder), done, chain)
        own = marked({key: item for key, item in service.items() if key != "extends"}, service)
        merged = merging.merge(base or {}, own, ("services", name), ("services", "*"))
        if file == self._text.path:
            done[name] = merged
        return merged

    def _base(self, other: str, services: dict[str, Any], name: str, file: str) -> Any:
        if other not in services:
            raise ModelError(
                ("services", name, "extends"),
                f'cannot extend service "{name}" in {file}: service "{other}" not found',
                hint=near(other, services),
            )
        return services[other]

    def _from_file(
        self,
        name: str,
        other: str,
        file: str,
        done: dict[str, Any],
        chain: tuple[tuple[str, str], ...],
    ) -> Any:
        if file not in self._files:
            try:
                self._files[file] = self._loader.read_file(file)
            except ModelError as problem:
                raise ModelError(("services", name, "extends"), problem.message) from None
        services = self._files[file][1].get("services") or {}
        self._base(other, services, name, file)
        inner = os.path.dirname(file)
        base = merging.settled(self._one(other, services, file, inner, done, chain))
        SERVICE.check(base or {}, ("services", name))
        long = shorthand.long_forms({"services": {name: base}})["services"][name]
        return paths.resolved_service(long, inner)
