"""Loading into a shell and unloading without a trace."""

from __future__ import annotations

import atexit
from typing import Any

from jupyter_containers.magics.config import ContainersConfig
from jupyter_containers.magics.container import ContainerMagics

_NAMES = {"line": ("container",), "cell": ("container", "dockerfile")}


def register(shell: Any) -> None:
    """Register the magics and their configuration; a second time replaces the first."""
    unregister(shell)
    config = ContainersConfig(parent=shell)
    magics = ContainerMagics(shell, config)
    shell.register_magics(magics)
    shell.configurables.append(config)
    shell.events.register("pre_run_cell", magics.cell_begins)
    atexit.register(magics.close)


def unregister(shell: Any) -> None:
    """Remove magics and configuration and close the engine; nothing happens when not loaded."""
    magics = registered(shell)
    if magics is not None:
        magics.close()
        shell.events.unregister("pre_run_cell", magics.cell_begins)
        atexit.unregister(magics.close)
    manager = shell.magics_manager
    manager.registry.pop(ContainerMagics.__name__, None)
    for kind, names in _NAMES.items():
        for name in names:
            manager.magics[kind].pop(name, None)
    shell.configurables[:] = [
        item for item in shell.configurables if not isinstance(item, ContainersConfig)
    ]


def registered(shell: Any) -> ContainerMagics | None:
    """Return the magics loaded into the shell, or None."""
    found = shell.magics_manager.registry.get(ContainerMagics.__name__)
    return found if isinstance(found, ContainerMagics) else None
