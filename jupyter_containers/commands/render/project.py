"""How a project's work and output look: Compose's progress lines, and output headed by names."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from jupyter_containers.commands.render.progress import PlainProgress
from jupyter_containers.commands.render.results import Table
from jupyter_containers.commands.render.table import text_table
from jupyter_containers.events import (
    WARNING,
    Event,
    TaskFinished,
    TaskOutput,
    TaskProgress,
    TaskStarted,
)
from jupyter_containers.lazy_modules import json
from jupyter_containers.printable import printable

if TYPE_CHECKING:
    from jupyter_containers.engine.applications.lines import ProjectLine

Write = Callable[[str, bytes], None]
_OWN = ("Container ", "Network ", "Volume ", "Image ")
_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
_NARROWEST = 20


class _Stream:
    """Text for a front end's standard error."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def write(self, text: str) -> int:
        """Write a text."""
        self._write("stderr", text.encode())
        return len(text)

    def flush(self) -> None:
        """Do nothing: nothing is held back."""


class ProjectProgress:
    """Progress as ``compose --progress plain`` prints it: a line for each thing that happens."""

    def __init__(self, write: Write, *, as_json: bool = False) -> None:
        self._write, self._as_json = write, as_json
        self._lock = threading.Lock()
        self._last: dict[str, str] = {}
        self._others = PlainProgress(_Stream(write))  # type: ignore[arg-type]  # all that it uses

    def __call__(self, event: Event) -> None:
        """Receive one event (from any thread)."""
        if not event.task.startswith(_OWN):
            self._others(event)
            return
        text = ""
        match event:
            case TaskProgress(status=status):
                text = status
            case TaskFinished(detail=detail):
                text = detail
            case TaskStarted() | TaskOutput():
                return
        with self._lock:
            if not text or self._last.get(event.task) == text:
                return
            self._last[event.task] = text
            line = f" {event.task}  {text}"
            if self._as_json:
                line = json.dumps({"id": event.task, "text": text}, separators=(",", ":"))
            self._write("stderr", f"{printable(line)}\n".encode())

    def __enter__(self) -> ProjectProgress:
        return self

    def __exit__(self, *_: object) -> None:
        """End the display: every line of it has been written."""


def warnings_only(emit: Callable[[Event], None]) -> Callable[[Event], None]:
    """Return a sink that passes on warnings and nothing else."""

    def sink(event: Event) -> None:
        if event.task.startswith(WARNING):
            emit(event)

    return sink


class LinePrinter:
    """Lines of several containers, each headed by its name in its colour."""

    def __init__(
        self,
        write: Write,
        names: Iterable[str],
        *,
        colours: bool = True,
        prefix: bool = True,
        timestamps: bool = False,
    ) -> None:
        self._write, self._prefix, self._timestamps = write, prefix, timestamps
        self._names: dict[str, int] = {}
        self._width = 0
        self._colours = colours
        for name in sorted(names):
            self._number(name)

    def _number(self, name: str) -> int:
        self._width = max(self._width, len(name))
        return self._names.setdefault(name, len(self._names))

    def __call__(self, line: ProjectLine) -> None:
        """Print one line."""
        if line.stream in ("status", "notice"):
            text = f"{line.text}\n"
            self._write("stderr" if line.stream == "notice" else "stdout", text.encode())
            return
        self._write(line.stream, self.data(line))

    def data(self, line: ProjectLine) -> bytes:
        """Return a line with its head."""
        text = line.data if line.data.endswith(b"\n") else line.data + b"\n"
        if self._timestamps:
            text = f"{line.timestamp} ".encode() + text
        return self.head(line.source).encode() + text

    def head(self, source: str) -> str:
        """Return what stands before the lines of a container."""
        if not self._prefix:
            return ""
        number = self._number(source)
        head = f"{source.ljust(self._width)}  | "
        if not self._colours:
            return head
        return f"\x1b[{_COLOURS[number % len(_COLOURS)]}m{head}\x1b[0m"


class WideTable(Table):  # type: ignore[type-arg]  # of any values
    """A table whose columns take 20 places at least, as Compose prints some."""

    def __str__(self) -> str:
        return text_table(self.columns, self.rows(), _NARROWEST)
