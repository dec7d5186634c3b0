"""``%container``, ``%%container``, ``%%dockerfile``, ``%%compose``: the engine in notebook cells.

Load with ``%load_ext jupyter_containers``.  Loading is cheap: the first command that needs the
engine creates it, and ``%unload_ext`` closes it.
"""

from __future__ import annotations

from typing import Any

__all__ = ["load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(shell: Any) -> None:
    """Register the magics; called by IPython for ``%load_ext``, again for ``%reload_ext``."""
    from jupyter_containers.magics.registration import register

    register(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Remove the magics and close the engine; called by IPython for ``%unload_ext``."""
    from jupyter_containers.magics.registration import unregister

    unregister(shell)
