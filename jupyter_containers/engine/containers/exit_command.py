"""What conmon starts when a container or a detached exec has ended: record it and clean up.

Lifecycle: :func:`exit_command` is given to conmon at the start of such a container; conmon runs it
after the end, in an almost empty environment, when every kernel may be gone; :func:`main` then
settles the container.  All settings travel in the command, because neither the environment nor the
config file need be the same then.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_containers.runtime.self_exec import self_exec_command

if TYPE_CHECKING:
    from jupyter_containers.engine.context import EngineContext

# While the one who waits in the foreground lives and has not detached, the end is his to record.
_UNATTENDED = 'test -e "$0" || ! kill -0 "$1" 2>/dev/null || exit 0; shift; exec "$@"'
_MARK = "unattended"


def unattended_command(context: EngineContext, container_id: str, bundle: Path) -> tuple[str, ...]:
    """Return the command that settles a container unless this process waits for its end.

    It starts a shell, not a Python, when that is so.  :func:`leave` ends the waiting.
    """
    (bundle / _MARK).unlink(missing_ok=True)
    settle = exit_command(context, container_id)
    return ("/bin/sh", "-c", _UNATTENDED, str(bundle / _MARK), str(os.getpid()), *settle)


def leave(bundle: Path) -> None:
    """Tell the container's exit command that nobody waits for the end any more."""
    with contextlib.suppress(FileNotFoundError):  # it has been removed meanwhile
        (bundle / _MARK).touch()


def exit_command(context: EngineContext, container_id: str) -> tuple[str, ...]:
    """Return the command that settles a container of this store, and restarts it when due."""
    return (*_command(context), container_id)


def notify_command(context: EngineContext, container_id: str) -> tuple[str, ...]:
    """Return the command that writes down a container's new health, to be given as last word."""
    return (*_command(context), container_id)


def exec_end_command(context: EngineContext, container_id: str, exec_id: str) -> tuple[str, ...]:
    """Return the command that writes down the end of a detached exec.

    To be given one more word, the folder of its exit code.
    """
    return (*_command(context), container_id, exec_id)


def _command(context: EngineContext) -> tuple[str, ...]:
    return self_exec_command(__name__, context.settings_text)


def main() -> int:
    """Settle one container, or write down its health or the end of an exec in it.

    0 also when somebody else did it first.
    """
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
