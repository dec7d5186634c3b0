"""``--here``: mounts the caller's folder as the container's working directory.

The folder is mounted read-write at ``/work``, where the process starts.  The process runs as the
folder's owner, so that new files belong to the notebook's user and not to root.
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
    """Return the options of flags, including ``here`` (a folder, or True for the current one)."""
    given = dict(flags)
    here = given.pop("here", None)
    options = RunOptions.of(image, command, **given)
    if not here:
        return options
    return at_work(options, Path.cwd() if here is True else Path(here))


def at_work(options: RunOptions, folder: Path) -> RunOptions:
    """Return the options with the folder mounted; keep a given user and workdir.

    Raises :class:`InvalidArgumentError` if it is not a folder.
    """
    folder = folder.expanduser().absolute()
    if not folder.is_dir():
        raise InvalidArgumentError(f"here: no such folder: {folder}")
    status = folder.stat()
    changes: dict[str, Any] = {
        "mounts": (*options.mounts, MountRequest("bind", WORK, str(folder))),
        "workdir": options.workdir or WORK,
    }
    if not options.user:
        changes["user"] = f"{status.st_uid}:{status.st_gid}"
        if status.st_uid and not any(entry.startswith("HOME=") for entry in options.env):
            # The image does not know this user: without HOME, programs would write to /.
            changes["env"] = (*options.env, "HOME=/tmp")
    return msgspec.structs.replace(options, **changes)
