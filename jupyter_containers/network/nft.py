"""nftables commands, run by ``nft -f -``.

One *script* is one atomic transaction: all of its commands take effect, or none.  It acts on the
calling thread's network namespace.  A script takes 4 ms; in this process, through libnftables, it
took 0.3 ms, but that library ends its process with a segmentation fault when the packet filter
holds tables that a newer nftables made (seen with 1.0.6), and a notebook's kernel must survive
that.
"""

from __future__ import annotations

import os
import random
import signal
import time

from jupyter_containers.errors import NetworkError, UnsupportedError
from jupyter_containers.lazy_modules import shutil, subprocess

__all__ = ["Nft", "NftError"]

_SECONDS = 30
# The kernel's error if another process changed the packet filter since the script began: nothing of
# the script took effect.
_OVERTAKEN = "Interrupted system call"
_ATTEMPTS = 20


class NftError(NetworkError):
    """The kernel (or nft's parser) refused a script; nothing of it took effect."""

    @property
    def exists(self) -> bool:
        """True if an object to create already exists."""
        return "File exists" in self.message

    @property
    def missing(self) -> bool:
        """True if a named object does not exist."""
        return "No such file or directory" in self.message or "does not exist" in self.message


class Nft:
    """Runs scripts with ``program``, which is also searched in the administrator's folders."""

    __slots__ = ("_program",)

    def __init__(self, program: str = "nft") -> None:
        # A notebook server's PATH often lacks these.
        folders = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
        self._program = shutil.which(program, path=folders) or program

    def run(self, script: str, *, handles: bool = False) -> str:
        """Run a script; return its output (of ``list`` and ``get``), optionally with rule handles.

        Raises :class:`NftError`, or :class:`UnsupportedError` if nftables is not installed.
        """
        for attempt in range(_ATTEMPTS):
            result = self._run(script, handles=handles)
            if result.returncode == 0:
                return result.stdout
            if _OVERTAKEN not in result.stderr:
                break
            time.sleep(random.uniform(0, 0.005 * (attempt + 1)))  # noqa: S311  # jitter only
        if result.returncode < 0:
            raise NftError(
                f"nft was ended by {signal.Signals(-result.returncode).name}",
                hint="does the packet filter hold tables of a newer nftables? update nftables here",
            )
        # nft quotes the command below its message; the first line holds the error.
        lines = result.stderr.splitlines()
        reasons = [line for line in lines if "Error:" in line] or [result.stderr.strip()]
        reason = "; ".join(line.split("Error:", 1)[-1].strip() for line in reasons[:2])
        refused = "not permitted" in result.stderr
        raise NftError(
            f"nftables: {reason or 'refused'}",
            hint="changing the host's packet filter needs root" if refused else "",
        )

    def try_run(self, script: str, *, handles: bool = False) -> str | None:
        """Run a script; return its output, or None if a named object does not exist."""
        try:
            return self.run(script, handles=handles)
        except NftError as error:
            if error.missing:
                return None
            raise

    def _run(self, script: str, *, handles: bool) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [self._program, *(["-a"] if handles else []), "-f", "-"],
                input=script,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise UnsupportedError(
                "bridge networks need nftables, which is not installed",
                capability="nftables",
                provided_by="apt install nftables",
            ) from error
        except subprocess.TimeoutExpired as error:
            raise NetworkError(f"nft did not end within {_SECONDS} s") from error
