"""``--here``: the caller's folder as the container's workplace.

The folder is mounted read-write at ``/work``, where the process starts.  It runs as the folder's
owner, so that what it makes there belongs to whom the notebook belongs, and not to root.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.options import MountRequest, RunOptions

WORK = "/work"


def run_options(image: str, command: str | Sequence[str] | None, flags: Any) -> RunOptions:
    """Return the options that flags mean, with ``here`` (a folder, or True for the current one)."""
    given = dict(flags)
    here = given.pop("here", None)
    options = RunOptions.of(image, command, **given)
    if not here:
        return options
    return at_work(options, Path.cwd() if here is True else Path(here))


def at_work(options: RunOptions, folder: Path) -> RunOptions:
    """Return the options with the folder as workplace; a user and workdir that are given stay.

    Raises :class:`InvalidArgumentError` for what is no folder.
    """
    folder = folder.expanduser().absolute()
    if not folder.is_dir():
        raise InvalidArgumentError(f"here: there is no folder {folder}")
    status = folder.stat()
    changes: dict[str, Any] = {
        "mounts": (*options.mounts, MountRequest("bind", WORK, str(folder))),
        "workdir": options.workdir or WORK,
    }
    if not options.user:
        changes["user"] = f"{status.st_uid}:{status.st_gid}"
        if status.st_uid and not any(entry.startswith("HOME=") for entry in options.env):
            # The image does not know this user: without a home, programs would write to /.
            changes["env"] = (*options.env, "HOME=/tmp")
    return msgspec.structs.replace(options, **changes)
