"""``%container``, ``%%container``, ``%%dockerfile``, ``%%compose``: the engine in notebook cells.

Load with ``%load_ext jupyter_containers``.  Loading is cheap: the engine is made by the first
command that needs it, lives with the loaded extension and is closed by ``%unload_ext``.
"""

from __future__ import annotations

from typing import Any

__all__ = ["load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(shell: Any) -> None:
    """Register the magics; called by IPython for ``%load_ext``, again for ``%reload_ext``."""
    from jupyter_containers.magics.registration import register

    register(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Take the magics away and close the engine; called by IPython for ``%unload_ext``."""
    from jupyter_containers.magics.registration import unregister

    unregister(shell)
