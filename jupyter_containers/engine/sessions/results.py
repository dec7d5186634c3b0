"""The result of a cell, and the limit that ended it as a field and a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from jupyter_containers.engine.sessions.outputs import CellError, Output
from jupyter_containers.errors import SessionCellError

StoppedBy = Literal["", "time", "memory", "output", "interrupt", "processes", "disk"]

_SENTENCES: Mapping[StoppedBy, str] = {
    "": "",
    "time": "the time limit was reached, and the cell was interrupted",
    "memory": "the memory limit was reached, and the kernel ended a process of the session",
    "output": "the limit on output was reached, and the rest is not shown",
    "interrupt": "the cell was interrupted",
    "processes": "the limit on processes was reached, and no further one was started",
    "disk": "the limit on disk space was reached, and a file was not written",
}
# What the system calls' errors say: EAGAIN of fork and clone, and Python for a thread.
_NO_PROCESS = ("Resource temporarily unavailable", "can't start new thread")
_NO_SPACE = ("No space left on device", "Disk quota exceeded")


@dataclass(frozen=True, slots=True)
class SessionResult:
    """The result of a cell.

    ``outputs`` are those of nbformat 4; ``duration`` is in seconds.  ``stopped_by`` names the limit
    that ended the cell or cut its output, or ``interrupt``; ``reason`` says it in a sentence.
    ``refused`` are sentences: the connections that an allow list has refused during the cell.
    """

    outputs: list[Output]
    stdout: str
    stderr: str
    error: CellError | None
    duration: float
    execution_count: int
    stopped_by: StoppedBy = ""
    refused: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the cell ended without an error."""
        return self.error is None

    @property
    def reason(self) -> str:
        """The limit that ended the cell, as a sentence; empty without one."""
        return _SENTENCES[self.stopped_by]

    @property
    def text(self) -> str:
        """The value of the last expression as text, empty without one."""
        for output in self.outputs:
            if output["output_type"] == "execute_result":
                return str(output["data"].get("text/plain", ""))
        return ""

    def check(self) -> SessionResult:
        """Return this result; raise :class:`SessionCellError` if the cell failed."""
        if self.error is not None:
            raise SessionCellError(str(self.error), traceback=self.error.traceback)
        return self


def limit_in(error: CellError | None) -> StoppedBy:
    """Return the limit that an error of the operating system names.

    The code of the cell may forge it: the result is the cell's own.
    """
    text = "" if error is None else error.value
    if any(words in text for words in _NO_PROCESS):
        return "processes"
    return "disk" if any(words in text for words in _NO_SPACE) else ""
