"""The isolation of RUN steps: in containers, or by chroot where none can be made.

The words are those of ``buildah build --isolation``: ``oci`` is a container of an OCI runtime,
``chroot`` a process that has only its own root directory (see :mod:`.chroot`).
"""

from __future__ import annotations

from typing import Literal

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.runtime import chroot

Isolation = Literal["oci", "chroot"]
NAMES = ("auto", "oci", "chroot")


def choose(context: EngineContext, wish: str = "") -> Isolation:
    """Return the isolation of a build; ``wish`` precedes the setting.

    ``auto`` is ``chroot`` only if nothing can be mounted here, and root may change its root
    directory.  Raises :class:`UnsupportedError` if a wish for ``chroot`` cannot be fulfilled.
    """
    wish = context.settings.build_isolation if wish in ("", "default") else wish
    if wish not in NAMES:
        raise InvalidArgumentError(f"no such isolation: {wish!r}", hint=", ".join(NAMES))
    if wish == "oci":
        return "oci"
    refusal = chroot.refusal()
    if wish == "chroot":
        if refusal is not None:
            raise refusal
        return "chroot"
    return "chroot" if context.driver.refusal is not None and refusal is None else "oci"


def chosen_isolation(context: EngineContext) -> Isolation | UnsupportedError:
    """Return the isolation of RUN steps here, or the error that they raise."""
    try:
        found = choose(context)
    except UnsupportedError as error:
        return error
    if found == "oci" and context.driver.refusal is not None:
        return refused_steps(context)
    return found


def refused_steps(context: EngineContext) -> UnsupportedError:
    """Return the error for RUN steps where neither containers nor chroot are possible."""
    refusal = context.driver.refusal
    assert refusal is not None  # something can be mounted
    by_chroot = chroot.refusal()
    further = f"; or {by_chroot.provided_by}" if by_chroot is not None else ""
    return UnsupportedError(
        refusal.message, capability=refusal.capability, provided_by=refusal.provided_by + further
    )
