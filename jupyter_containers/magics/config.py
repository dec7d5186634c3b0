"""The settings that a notebook's configuration may override (``c.ContainersConfig.root = …``)."""

from __future__ import annotations

from typing import Any

from traitlets import Bool, Int, List, TraitType, Unicode
from traitlets.config import Configurable

from jupyter_containers.settings import meanings


def _trait(kind: Any, meaning: str) -> TraitType[Any, Any]:
    """Return the trait of a setting; None leaves it to the settings' other sources."""
    if kind is bool:
        return Bool(None, allow_none=True, help=meaning).tag(config=True)
    if kind is int:
        return Int(None, allow_none=True, help=meaning).tag(config=True)
    if kind == tuple[str, ...]:
        return List(Unicode(), None, allow_none=True, help=meaning).tag(config=True)
    return Unicode(None, allow_none=True, help=meaning).tag(config=True)


class ContainersConfig(Configurable):
    """Overrides of the settings; None leaves a setting to environment, config file or default.

    Each setting of :class:`jupyter_containers.settings.Settings` is a trait here.
    ``%config ContainersConfig.root = "…"`` counts from the next command on.
    """

    # The namespace of a class body is a dictionary that may be filled.
    locals().update({name: _trait(*found) for name, found in meanings().items()})

    docker_magic = Bool(False, help="Offer %docker and %%docker as other names.").tag(config=True)

    def overrides(self) -> dict[str, Any]:
        """Return the settings that are given here."""
        values = {name: getattr(self, name) for name in meanings()}
        return {name: value for name, value in values.items() if value is not None}
