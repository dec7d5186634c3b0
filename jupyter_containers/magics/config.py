"""The settings that a notebook's configuration can override (``c.ContainersConfig.root = …``)."""

from __future__ import annotations

from typing import Any

from traitlets import Bool, Int, List, TraitType, Unicode
from traitlets.config import Configurable

from jupyter_containers.settings import meanings


def _trait(kind: Any, meaning: str) -> TraitType[Any, Any]:
    """Return the trait of a setting; None means that the other sources decide."""
    if kind is bool:
        return Bool(None, allow_none=True, help=meaning).tag(config=True)
    if kind is int:
        return Int(None, allow_none=True, help=meaning).tag(config=True)
    if kind == tuple[str, ...]:
        return List(Unicode(), None, allow_none=True, help=meaning).tag(config=True)
    return Unicode(None, allow_none=True, help=meaning).tag(config=True)


class ContainersConfig(Configurable):
    """Overrides of the settings; None means the value of environment, config file or default.

    Each setting of :class:`jupyter_containers.settings.Settings` is a trait here.
    ``%config ContainersConfig.root = "…"`` takes effect with the next command.
    """

    # The namespace of a class body is a dictionary, so traits can be added to it.
    locals().update({name: _trait(*found) for name, found in meanings().items()})

    docker_magic = Bool(False, help="Add the aliases %docker and %%docker.").tag(config=True)

    def overrides(self) -> dict[str, Any]:
        """Return the settings that have a value here."""
        values = {name: getattr(self, name) for name in meanings()}
        return {name: value for name, value in values.items() if value is not None}
