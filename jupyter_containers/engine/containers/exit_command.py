"""The command that conmon runs after the end of a container or a detached exec.

Lifecycle: conmon receives :func:`exit_command` at the start of such a container and runs it after
the end, in an almost empty environment, possibly when no kernel is running any more; :func:`main`
then settles the container.  All settings are arguments of the command, because environment and
config file may have changed by then.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_containers.lazy_modules import import_msgspec, json
from jupyter_containers.runtime.self_exec import self_exec_command

if TYPE_CHECKING:
    from jupyter_containers.engine.context import EngineContext

# Exit while the attending process lives and has not left the container: it records the end.
_UNATTENDED = 'test -e "$0" || ! kill -0 "$1" 2>/dev/null || exit 0; shift; exec "$@"'
_MARK = "unattended"


def unattended_command(context: EngineContext, container_id: str, bundle: Path) -> tuple[str, ...]:
    """Return the command that settles a container unless this process waits for its end.

    In that case it starts only a shell, no Python.  :func:`leave` ends the waiting.
    """
    (bundle / _MARK).unlink(missing_ok=True)
    settle = exit_command(context, container_id)
    return ("/bin/sh", "-c", _UNATTENDED, str(bundle / _MARK), str(os.getpid()), *settle)


def leave(bundle: Path) -> None:
    """Mark a container as left, so that its exit command settles it."""
    with contextlib.suppress(FileNotFoundError):  # the container has been removed
        (bundle / _MARK).touch()


def exit_command(context: EngineContext, container_id: str) -> tuple[str, ...]:
    """Return the command that settles a container of this store and restarts it when due."""
    return (*_command(context), container_id)


def notify_command(context: EngineContext, container_id: str) -> tuple[str, ...]:
    """Return the command that records a container's health, to be appended as the last argument."""
    return (*_command(context), container_id)


def exec_end_command(context: EngineContext, container_id: str, exec_id: str) -> tuple[str, ...]:
    """Return the command that records the end of a detached exec.

    The caller appends one more argument, the folder of the exit code.
    """
    return (*_command(context), container_id, exec_id)


def _command(context: EngineContext) -> tuple[str, ...]:
    return self_exec_command(__name__, context.settings_text)


def main() -> int:
    """Settle one container, or record its health or the end of an exec in it.

    Returns 0, also if another process has already done it.
    """
    gc.disable()  # it would take a quarter of this short program's time
    import_msgspec()
    from jupyter_containers.engine.containers.lifecycle import Lifecycle
    from jupyter_containers.engine.containers.restarts import wait_for_restart
    from jupyter_containers.engine.context import EngineContext
    from jupyter_containers.engine.networks.catalog import Networks
    from jupyter_containers.engine.networks.connections import Connections
    from jupyter_containers.oci.state import Status
    from jupyter_containers.settings import load_settings

    text, container_id, *more = sys.argv[1:]
    context = EngineContext(
        load_settings({"JUPYTER_CONTAINERS_CONFIG": "/dev/null"}, json.loads(text))
    )
    try:
        lifecycle = Lifecycle(context, Connections(context, Networks(context)))
        if len(more) == 1:
            lifecycle.note_health(container_id, more[0])
            return 0
        if more:
            lifecycle.note_detached_end(container_id, more[0], Path(more[1]))
            return 0
        settled = lifecycle.settle(container_id)
        while settled is not None and settled.state.status is Status.RESTARTING:
            seconds = lifecycle.claim_restart(container_id)
            if seconds is None:
                return 0
            command = exit_command(context, container_id)
            if seconds > 0:
                wait_for_restart(seconds, command)
                continue
            lifecycle.restart(container_id)
            return 0
    finally:
        context.close()
    return 0
