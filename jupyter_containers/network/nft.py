"""nftables commands, run by ``nft -f -``.

One *script* is one atomic transaction: all of its commands happen, or none.  It acts on the network
namespace of the calling thread.  A script takes 4 ms; in this process, through libnftables, it took
0.3 ms, but that library ends its process with a segmentation fault when the packet filter holds
tables that a newer nftables made (seen with 1.0.6), and a notebook's kernel must survive that.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time

from jupyter_containers.errors import NetworkError, UnsupportedError

__all__ = ["Nft", "NftError"]

_SECONDS = 30
# What the kernel answers when somebody else changed the packet filter since the script was begun:
# nothing of the script happened.
_OVERTAKEN = "Interrupted system call"
_ATTEMPTS = 20


class NftError(NetworkError):
    """The kernel (or nft's parser) refused a script; nothing of it happened."""

    @property
    def exists(self) -> bool:
        """True when something that was to be created exists already."""
        return "File exists" in self.message

    @property
    def missing(self) -> bool:
        """True when something that was named does not exist."""
        return "No such file or directory" in self.message or "does not exist" in self.message


class Nft:
    """Runs scripts with ``program``, looked for in the administrator's folders too."""

    __slots__ = ("_program",)

    def __init__(self, program: str = "nft") -> None:
        # A notebook server's PATH often lacks these.
        folders = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
        self._program = shutil.which(program, path=folders) or program

    def run(self, script: str, *, handles: bool = False) -> str:
        """Return what the script printed (``list`` and ``get`` do), with rule handles if wanted.

        Raises :class:`NftError`, or :class:`UnsupportedError` when nftables is not installed.
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
        # nft quotes the command under its message; the first line says what is wrong.
        lines = result.stderr.splitlines()
        reasons = [line for line in lines if "Error:" in line] or [result.stderr.strip()]
        reason = "; ".join(line.split("Error:", 1)[-1].strip() for line in reasons[:2])
        refused = "not permitted" in result.stderr
        raise NftError(
            f"nftables: {reason or 'refused'}",
            hint="changing the host's packet filter needs root" if refused else "",
        )

    def try_run(self, script: str, *, handles: bool = False) -> str | None:
        """Return what the script printed, or None when something it names does not exist."""
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
