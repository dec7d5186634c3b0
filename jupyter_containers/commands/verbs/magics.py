"""Verbs that enable and disable the magics in every kernel.

IPython runs the files in its ``startup`` folders when a kernel starts, and this package installs
one there.  A line in ``ipython_config.py`` would also work, but that file is the user's, and the
line could not be removed reliably.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from jupyter_containers.commands.render.results import Lines, Text
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.words import Parsed
from jupyter_containers.errors import InvalidArgumentError, StorageError, UsageError

FILE = "50-jupyter-containers.py"
# Several environments share a user's profile, and some lack the package: their kernels start
# normally.  The file leaves no name among the user's variables.
_SOURCE = """\
# Made by "jupyter container magics enable"; "jupyter container magics disable" takes it away.
if __import__("importlib.util").util.find_spec("jupyter_containers"):
    get_ipython().extension_manager.load_extension("jupyter_containers")
"""
_SYSTEM = Path("/etc/ipython/startup")


def enable(_: Session, parsed: Parsed) -> Text:
    """Write the file; return a line about its effect."""
    file, whose = _place(parsed)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_SOURCE)
    except OSError as error:
        raise _refused(file, error) from error
    return Text(f"{whose} loads %container when it starts: {file}")


def disable(_: Session, parsed: Parsed) -> Text:
    """Remove the file if it exists."""
    file, _whose = _place(parsed)
    try:
        file.unlink()
    except FileNotFoundError:
        return Text(f"Not enabled: there is no {file}")
    except OSError as error:
        raise _refused(file, error) from error
    return Text(f"Removed {file}: %load_ext jupyter_containers loads the magics")


def listing(_: Session, parsed: Parsed) -> Lines[str]:  # noqa: ARG001  # every verb's signature
    """Return the files that enable the magics for this user and environment."""
    folders = (_profiles().glob("profile_*/startup"), (_environment(), _SYSTEM))
    files = [folder / FILE for group in folders for folder in group]
    return Lines(str(file) for file in sorted(files) if file.exists())


def _place(parsed: Parsed) -> tuple[Path, str]:
    """Return the file, and whose kernels run it."""
    chosen = [flag for flag in ("profile", "sys_prefix", "system") if parsed.flag(flag)]
    if len(chosen) > 1:
        raise UsageError("--profile, --sys-prefix and --system exclude each other")
    if parsed.flag("system"):
        return _SYSTEM / FILE, "Every IPython kernel of this machine"
    if parsed.flag("sys_prefix"):
        return _environment() / FILE, f"Every IPython kernel of {sys.prefix}"
    name = parsed.flag("profile") or "default"
    if os.sep in name:
        raise InvalidArgumentError(f"not the name of an IPython profile: {name!r}")
    of = "" if name == "default" else f" with the profile {name}"
    return (
        _profiles() / f"profile_{name}" / "startup" / FILE,
        f"Every IPython kernel of this user{of}",
    )


def _profiles() -> Path:
    from IPython.paths import get_ipython_dir

    return Path(get_ipython_dir())


def _environment() -> Path:
    return Path(sys.prefix, "etc/ipython/startup")


def _refused(file: Path, error: OSError) -> StorageError:
    return StorageError(
        f"cannot write {file}: {error.strerror}",
        hint="--system and --sys-prefix need write permission; the default is your own profile",
    )
