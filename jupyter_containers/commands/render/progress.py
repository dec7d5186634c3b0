"""Event sinks that show progress: one display in a notebook, lines in a terminal.

Lifecycle of a display: empty before the first event → updated at most ten times a second by a
separate thread (events come from worker threads and must not wait for a browser) → closed by the
caller, which leaves the final, static state with every step's log folded.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, TextIO

from jupyter_containers.commands.render.ansi import ansi_to_html, visible_lines
from jupyter_containers.commands.render.results import PRE
from jupyter_containers.commands.render.steps import Step, Steps
from jupyter_containers.commands.render.table import NO_MATH
from jupyter_containers.events import (
    CHECKS,
    WARNING,
    Event,
    TaskFinished,
    TaskOutput,
    TaskProgress,
    TaskStarted,
)
from jupyter_containers.lazy_modules import html
from jupyter_containers.printable import one_line, printable

INTERVAL = 0.1
_LIVE_LINES = 8
_TITLE_CHARACTERS = 4000
_STOPPED_BYTES = 16 * 1024
_MARKS = {"": "▸", "done": "✓", "cached": "✓", "exists": "✓", "failed": "✗", "cancelled": "⊘"}
_COLOURS = {
    "": "var(--jp-brand-color1,#3b78d8)",
    "done": "var(--jp-success-color1,#2a8f4d)",
    "cached": "var(--jp-success-color1,#2a8f4d)",
    "exists": "var(--jp-success-color1,#2a8f4d)",
    "failed": "var(--jp-error-color1,#d14343)",
    "cancelled": "var(--jp-warn-color1,#a07400)",
}


class Handle(Protocol):
    """A display in the notebook's output: shown once, then replaced."""

    def display(self, bundle: dict[str, str], *, raw: bool) -> None:
        """Show the display."""

    def update(self, bundle: dict[str, str], *, raw: bool) -> None:
        """Replace its content."""


class NotebookProgress:
    """Progress as one notebook display; use it as a context manager around the work."""

    def __init__(
        self, handle: Callable[[], Handle] | None = None, interval: float = INTERVAL
    ) -> None:
        self._make_handle = handle or _display_handle
        self._interval = interval
        self._handle: Handle | None = None
        self._steps = Steps()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        # The kernel finds the cell that an output belongs to in the context, not in the thread.
        self._context = contextvars.copy_context()

    def __call__(self, event: Event) -> None:
        """Receive one event (from any thread)."""
        self._steps.receive(event)
        with self._lock:
            if self._thread is None and not self._ended.is_set():
                self._thread = threading.Thread(
                    target=self._context.run, args=(self._refresh,), daemon=True
                )
                self._thread.start()

    def __enter__(self) -> NotebookProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._steps.abandon()
        self.close()

    def close(self) -> None:
        """Show the final state and ignore later events."""
        with self._lock:
            self._ended.set()
            thread = self._thread
        if thread is None:
            return
        thread.join()
        self._show(final=True)

    def _refresh(self) -> None:
        shown = -1
        while True:
            steps, _ = self._steps.snapshot()
            # The seconds of a running step advance even without events.
            if self._steps.version != shown or any(not step.outcome for step in steps):
                shown = self._steps.version
                with contextlib.suppress(OSError, RuntimeError):
                    # A front end that has disconnected must not stop the work.
                    self._show(final=False)
            if self._ended.wait(self._interval):
                return

    def _show(self, final: bool) -> None:
        steps, now = self._steps.snapshot()
        bundle = {
            "text/plain": steps_text(steps, now, final=final),
            "text/html": steps_html(steps, now, final=final),
        }
        if self._handle is None:
            self._handle = self._make_handle()
            self._handle.display(bundle, raw=True)
        else:
            self._handle.update(bundle, raw=True)


def _display_handle() -> Handle:
    from IPython.display import DisplayHandle

    make: Any = DisplayHandle  # IPython's methods carry no annotations
    handle: Handle = make()
    return handle


def steps_text(steps: list[Step], now: float, *, final: bool) -> str:
    """Return the steps as lines of text, without a failed step's output, which is in the error."""
    lines: list[str] = []
    for step in steps:
        lines += [step_line(step, now), *_findings(step)]
        if not final and not step.outcome:
            lines += [f"      {printable(line)}" for line in _tail(step, _LIVE_LINES)]
    return "\n".join(lines)


def step_line(step: Step, now: float) -> str:
    """Return one step as a line of text."""
    seconds = step.elapsed(now)
    # A finding takes no time, and its time means nothing.
    clock = f"{seconds:.1f}s" if seconds >= 0.05 and not _warns(step) else ""
    facts = [word for word in (_state(step), step.amount, clock) if word]
    return " · ".join([f"{_mark(step)} {one_line(step.title, _TITLE_CHARACTERS)}", *facts])


def _warns(step: Step) -> bool:
    return step.task == CHECKS or step.task.startswith(WARNING)


def _mark(step: Step) -> str:
    return "!" if _warns(step) else _MARKS.get(step.outcome, "▸")


def _findings(step: Step) -> list[str]:
    """Return the findings of the build checks in full, indented."""
    said = printable(step.log.text).splitlines() if step.task == CHECKS and step.outcome else []
    return [f"  {line}" for line in said]


def _state(step: Step) -> str:
    if not step.outcome:
        return step.status
    said = step.outcome == "done" or (step.outcome == "exists" and step.detail)
    word = "" if said else step.outcome.upper()
    return ": ".join(part for part in (word, one_line(step.detail, _TITLE_CHARACTERS)) if part)


def _tail(step: Step, count: int) -> list[str]:
    return [visible_lines(line) for line in step.log.last_lines(count)] if step.log else []


_BOX = (
    "font-family:var(--jp-ui-font-family,system-ui,sans-serif);"
    "font-size:var(--jp-ui-font-size1,13px);color:var(--jp-ui-font-color1,inherit);line-height:1.6;"
    "max-width:72em"
)
_LOG = (
    PRE + ";margin:2px 0 6px 20px;padding:4px 8px;max-height:22em;overflow:auto;"
    "border-left:2px solid var(--jp-border-color2,rgba(128,128,128,.4))"
)
_DIM = "color:var(--jp-ui-font-color2,inherit);opacity:.85"
_MARK = "flex:none;width:1em"  # all marks have the same width, so titles do not move
_LINE = "display:flex;align-items:baseline;column-gap:.8em"
_TITLE = (
    "min-width:0;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;"
    "font-family:var(--jp-code-font-family,monospace)"
)
_FACTS = f"{_DIM};flex:none;max-width:45%;overflow:hidden;text-overflow:ellipsis;white-space:nowrap"
_CLOCK = f"{_DIM};margin-left:auto;white-space:nowrap;font-variant-numeric:tabular-nums"


def steps_html(steps: list[Step], now: float, *, final: bool) -> str:
    """Return the steps as static HTML: logs folded, findings of checks open.

    In a viewer that drops all styles, the words are still separated and in order.
    """
    lines = "".join(_step_html(step, now, final) for step in steps)
    return f'<div {NO_MATH} style="{_BOX}">{lines}</div>'


def _step_html(step: Step, now: float, final: bool) -> str:
    line = _line_html(step, now)
    if not step.outcome and step.fraction is not None:
        line += _bar(step.fraction)
    if not step.log:
        return line
    if not final and not step.outcome:
        tail = "\n".join(_tail(step, _LIVE_LINES))
        return f'{line}<pre style="{_LOG}">{ansi_to_html(tail)}</pre>'
    # The last output of a failed step is in the error that follows.
    is_open = " open" if step.task == CHECKS else ""
    # An interrupt of a flood of output must take effect immediately.
    text = step.log.shortened(_STOPPED_BYTES) if step.outcome == "cancelled" else step.log.text
    log = ansi_to_html(visible_lines(text))
    return (
        f'<details{is_open}><summary style="cursor:pointer;display:block">{line}</summary>'
        f'<pre style="{_LOG}">{log}</pre></details>'
    )


def _line_html(step: Step, now: float) -> str:
    colour = _COLOURS["cancelled"] if _warns(step) else _COLOURS.get(step.outcome, _COLOURS[""])
    title = html.escape(one_line(step.title, _TITLE_CHARACTERS))
    facts = " · ".join(word for word in (_state(step), step.amount) if word)
    seconds = step.elapsed(now)
    cells = [
        f'<span style="color:{colour};{_MARK}">{_mark(step)}</span>',
        f'<span style="{_TITLE}" title="{title}">{title}</span>',
    ]
    if facts:
        cells.append(f'<span style="{_FACTS}">{html.escape(facts)}</span>')
    if step.log and step.outcome:
        cells.append(f'<span style="{_DIM};text-decoration:underline dotted">log</span>')
    if seconds >= 0.05 and not _warns(step):
        cells.append(f'<span style="{_CLOCK}">{seconds:.1f}s</span>')
    return f'<div style="{_LINE}">{" ".join(cells)}</div>'


def _bar(fraction: float) -> str:
    return (
        '<div style="height:4px;max-width:30em;margin:2px 0 2px 20px;border-radius:2px;'
        'background:var(--jp-border-color2,rgba(128,128,128,.3))">'
        f'<div style="height:4px;border-radius:2px;width:{fraction * 100:.0f}%;'
        f'background:{_COLOURS[""]}"></div></div>'
    )


class PlainProgress:
    """Progress as plain lines: a step's beginning, its output, its end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._steps = Steps()
        self._lock = threading.Lock()
        self._partial: dict[str, bytes] = {}

    def __call__(self, event: Event) -> None:
        """Receive one event (from any thread)."""
        step = self._steps.receive(event)
        _, now = self._steps.snapshot()
        with self._lock, contextlib.suppress(OSError, ValueError):
            match event:
                case TaskFinished(task) if task.startswith(WARNING):
                    self._write(one_line(step.title, _TITLE_CHARACTERS))  # Docker's message, once
                case TaskStarted(task) if task.startswith(WARNING):
                    return
                case TaskStarted():
                    self._write(f"▸ {one_line(step.title, _TITLE_CHARACTERS)}")
                case TaskOutput():
                    self._write_output(event)
                case TaskFinished():
                    self._write_output(None, event.task)
                    self._write(step_line(step, now))
                case TaskProgress():
                    return

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()

    def _write_output(self, event: TaskOutput | None, task: str = "") -> None:
        if event is None:
            rest = self._partial.pop(task, b"")
            whole = [rest] if rest else []
        else:
            data = self._partial.get(event.task, b"") + event.data
            *whole, self._partial[event.task] = data.split(b"\n")
        for line in whole:
            text = visible_lines(line.decode("utf-8", "replace"))
            self._write(f"  | {printable(text)}")

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *_: object) -> None:
        """End the display; all lines have been written already."""


class TerminalProgress:
    """Progress that redraws its last lines in a terminal; finished steps stay above."""

    def __init__(self, stream: TextIO, width: int = 80, interval: float = INTERVAL) -> None:
        self._stream = stream
        self._width = width
        self._interval = interval
        self._steps = Steps()
        self._lock = threading.Lock()
        self._drawn = 0
        self._printed: set[str] = set()
        self._last = 0.0

    def __call__(self, event: Event) -> None:
        """Receive one event (from any thread)."""
        self._steps.receive(event)
        with self._lock, contextlib.suppress(OSError, ValueError):
            _, now = self._steps.snapshot()
            if isinstance(event, TaskFinished | TaskStarted) or now - self._last >= self._interval:
                self._last = now
                self._draw(final=False)

    def __enter__(self) -> TerminalProgress:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Draw the last state and leave the cursor below it."""
        if kind is not None:
            self._steps.abandon()
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._draw(final=True)

    def _draw(self, final: bool) -> None:
        steps, now = self._steps.snapshot()
        text = f"\x1b[{self._drawn}A\x1b[J" if self._drawn else ""
        live: list[str] = []
        for step in steps:
            if step.task in self._printed:
                continue
            if step.outcome or final:
                self._printed.add(step.task)
                # The output of a failed step is in the error that follows.
                text += "".join(f"{line}\n" for line in (step_line(step, now), *_findings(step)))
                continue
            live.append(step_line(step, now))
            live += [f"  | {line}" for line in strip_lines(step, 5)]
        live = [line[: self._width - 1] for line in live]
        self._drawn = len(live)
        self._stream.write(text + "".join(f"{line}\n" for line in live))
        self._stream.flush()


def strip_lines(step: Step, count: int) -> list[str]:
    """Return the last lines of a step's output without escape sequences."""
    return [printable(line) for line in _tail(step, count)]
