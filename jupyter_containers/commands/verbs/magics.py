"""Verbs that have the magics in every kernel, or no longer.

IPython runs the files of its ``startup`` folders when a kernel begins: one of ours there is the
whole switch.  A line in ``ipython_config.py`` would do as well, but that file is the user's, and
what we wrote into it could not be taken out again with certainty.
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
# Several environments share a user's profile, and some lack the package: those kernels start as
# ever.  No name is left behind among the user's variables.
_SOURCE = """\
# Made by "jupyter container magics enable"; "jupyter container magics disable" takes it away.
if __import__("importlib.util").util.find_spec("jupyter_containers"):
    get_ipython().extension_manager.load_extension("jupyter_containers")
"""
_SYSTEM = Path("/etc/ipython/startup")


def enable(_: Session, parsed: Parsed) -> Text:
    """Write the file; say for whom it counts."""
    file, whose = _place(parsed)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_SOURCE)
    except OSError as error:
        raise _refused(file, error) from error
    return Text(f"{whose} has %container from its start on: {file}")


def disable(_: Session, parsed: Parsed) -> Text:
    """Remove the file, if it is there."""
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
    return _profiles() / f"profile_{name}" / "startup" / FILE, f"Every IPython kernel of yours{of}"


def _profiles() -> Path:
    from IPython.paths import get_ipython_dir

    return Path(get_ipython_dir())


def _environment() -> Path:
    return Path(sys.prefix, "etc/ipython/startup")


def _refused(file: Path, error: OSError) -> StorageError:
    return StorageError(
        f"cannot write {file}: {error.strerror}",
        hint="--system and --sys-prefix need the right to write there; without them it is yours",
    )
