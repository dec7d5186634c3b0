"""The results of verbs: ordinary Python values that render themselves.

A terminal prints ``str(value)``, a notebook shows ``_repr_html_``.  All are lists or plain objects,
so loops and comprehensions work.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any, Generic, Self, TypeVar

from jupyter_containers.commands.render.ansi import ansi_to_html, visible_lines
from jupyter_containers.commands.render.table import (
    DOCKERS_NARROWEST,
    NO_MATH,
    Column,
    Row,
    html_table,
    text_table,
)
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.lazy_modules import html, json
from jupyter_containers.printable import escaped, printable

T = TypeVar("T")
KEPT_BYTES, SHOWN_BYTES, _REPR_BYTES = 16 * 1024 * 1024, 1024 * 1024, 4096

PRE = (
    "margin:0;white-space:pre-wrap;overflow-wrap:anywhere;background:none;"
    "font-family:var(--jp-code-font-family,monospace);"
    "font-size:var(--jp-code-font-size,13px);color:var(--jp-content-font-color1,inherit)"
)


def pre(text: str) -> str:
    """Return a text as HTML that looks like a terminal."""
    return f'<pre {NO_MATH} style="{PRE}">{html.escape(printable(text))}</pre>'


class Showable:
    """A value that a notebook may show as a live widget instead of its HTML."""

    _show: Callable[[], None] | None = None

    def shown_by(self, show: Callable[[], None]) -> Self:
        """Make notebooks show it by calling ``show``; return self."""
        self._show = show
        return self

    def _ipython_display_(self) -> None:
        if self._show is None:
            raise NotImplementedError  # for IPython: use the default display
        self._show()


class Plain:
    """A value that is shown as its own text everywhere."""

    __slots__ = ()

    def __repr__(self) -> str:
        return printable(str(self))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002  # IPython's signature
        printer.text(repr(self))

    def _repr_html_(self) -> str:
        return pre(str(self))


class Table(Showable, Plain, list[T], Generic[T]):
    """A list of values that is shown as a table; one value may fill several rows.

    ``frame`` are the attributes of a value that become columns of a DataFrame.
    """

    def __init__(
        self,
        items: Iterable[T],
        columns: Sequence[Column],
        rows_of: Callable[[T], Iterable[Row]],
        empty: str = "",
        frame: Sequence[str] = (),
    ) -> None:
        super().__init__(items)
        self._frame = tuple(frame)
        self.columns = tuple(columns)
        self._rows_of = rows_of
        self._empty = empty

    def rows(self) -> list[Row]:
        """Return the rows as texts by field name."""
        return [row for item in self for row in self._rows_of(item)]

    def __str__(self) -> str:
        return text_table(self.columns, self.rows(), DOCKERS_NARROWEST)

    def _repr_html_(self) -> str:
        return html_table(self.columns, self.rows(), self._empty)

    def to_dataframe(self) -> Any:
        """Return a pandas DataFrame: a row for each value, its attributes as the columns.

        Sizes are bytes, times are timestamps, CPU is percent as a float (``ps``, ``images``,
        ``stats``, ``history``, ``system df``, ``volume ls``, ``network ls``); other tables have
        their texts under the fields' names.  Raises :class:`UnsupportedError` if pandas is not
        installed.
        """
        from jupyter_containers.engine.frames import frame_of, pandas_module

        if self._frame:
            return frame_of(self, self._frame)
        pd = pandas_module()
        fields = {column.field: column.heading for column in self.columns}
        return pd.DataFrame(
            [{name: row.get(name, "") for name in fields} for row in self.rows()], columns=[*fields]
        )


class Lines(Plain, list[T], Generic[T]):
    """A list of names, IDs or numbers, shown one per line; an empty list shows nothing."""

    def _ipython_display_(self) -> None:
        if self:
            raise NotImplementedError  # for IPython: use the default display

    def __str__(self) -> str:
        return "\n".join(str(item) for item in self)


class Text(Plain, str):
    """A text that is shown without quotes."""

    __slots__ = ()


class Document(Plain, list[dict[str, Any]]):
    """A list of descriptions in Docker's schema, shown as JSON (``inspect``)."""

    def __str__(self) -> str:
        return escaped(json.dumps(list(self), indent=4, ensure_ascii=False, default=str))

    def _repr_html_(self) -> str:
        from jupyter_containers.commands.render.tree import html_tree

        return html_tree(self[0] if len(self) == 1 else list(self))


class JSONObject(Plain, dict[str, Any]):
    """One object, shown as JSON (``manifest inspect``)."""

    def __str__(self) -> str:
        return escaped(json.dumps(self, indent=3, ensure_ascii=False))

    def _repr_html_(self) -> str:
        from jupyter_containers.commands.render.tree import html_tree

        return html_tree(dict(self))


class Facts(Plain, dict[str, Any]):
    """Facts by name, shown one per line, nested facts indented (``info``, ``version``)."""

    def __str__(self) -> str:
        return "\n".join(_fact_lines(self, ""))


def _fact_lines(facts: dict[str, Any], indent: str) -> list[str]:
    lines: list[str] = []
    for name, value in facts.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}:", *_fact_lines(value, indent + " ")]
        elif isinstance(value, (list, tuple)):
            lines.append(f"{indent}{name}: {' '.join(str(item) for item in value)}")
        else:
            lines.append(f"{indent}{name}: {value}")
    return lines


class Log(list[T], Generic[T]):
    """The lines of a container's output (``time``, ``stream``, ``data``), shown as text.

    The last 16 MB of a long log are kept and the last megabyte is shown; ``left_out`` is the number
    of bytes before the kept ones.
    """

    def __init__(
        self, lines: Iterable[T], timestamps: bool = False, details: str | None = None
    ) -> None:
        kept, self.left_out = _last_of(lines)
        super().__init__(kept)
        self.timestamps, self.details = timestamps, details

    @property
    def data(self) -> bytes:
        """The raw bytes, with timestamps before the lines if requested."""
        return b"".join(log_bytes(line, self.timestamps, self.details) for line in self)

    def stream(self, name: str) -> bytes:
        """Return the output on ``stdout`` or ``stderr``."""
        return b"".join(
            log_bytes(line, self.timestamps, self.details)
            for line in self
            if getattr(line, "stream", "") == name
        )

    def __str__(self) -> str:
        return visible_lines(self.data.decode("utf-8", "replace"))

    def _shown(self) -> str:
        return _shortened(self.data, self.left_out)

    def __repr__(self) -> str:
        return printable(self._shown()).rstrip("\n")

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002  # IPython's signature
        printer.text(repr(self))

    def _repr_html_(self) -> str:
        return f'<pre style="{PRE}">{ansi_to_html(self._shown())}</pre>'


def _last_of(lines: Iterable[T]) -> tuple[list[T], int]:
    """Return the last lines up to 16 MB, and the number of bytes before them."""
    kept: deque[T] = deque()
    size = left_out = 0
    for line in lines:
        kept.append(line)
        size += len(getattr(line, "data", b""))
        while size > KEPT_BYTES and len(kept) > 1:
            length = len(getattr(kept.popleft(), "data", b""))
            size, left_out = size - length, left_out + length
    return list(kept), left_out


def _shortened(data: bytes, left_out: int = 0) -> str:
    """Return as much of the end of an output as a page can show, with a note about the rest."""
    left_out += max(0, len(data) - SHOWN_BYTES)
    text = visible_lines(data[-SHOWN_BYTES:].decode("utf-8", "replace"))
    if not left_out:
        return text
    # Starts at the beginning of a line.
    text = text[text.find("\n") + 1 :]
    return f"… {left_out / 1e6:.1f} MB before this are not shown …\n{text}"


def log_bytes(line: Any, timestamps: bool, details: str | None = None) -> bytes:
    """Return one log line's bytes, after its timestamp and details if requested."""
    data: bytes = line.data
    if details is not None:
        data = f"{details} ".encode() + data
    return f"{_log_time(line)} ".encode() + data if timestamps else data


def _log_time(line: Any) -> str:
    """Return a line's time in Docker's format: UTC, nine decimal places."""
    moment = line.time
    if isinstance(moment, str):
        return moment
    text = getattr(line, "timestamp", "")
    digits = re.search(r"\.(\d{1,9})", text)
    fraction = digits[1] if digits else f"{moment.microsecond:06d}"
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{fraction:0<9}Z"


def _bytes_text(data: bytes) -> str:
    """Return the representation of bytes, shortened if they are long."""
    if len(data) <= _REPR_BYTES:
        return repr(data)
    return f"<{len(data)} bytes, the last: {data[-_REPR_BYTES // 4 :]!r}>"


@dataclass(frozen=True, slots=True, repr=False)
class Outcome:
    """The exit code and the output of a foreground process.

    ``results`` are the requested results by name.  ``shown`` is true if the output is already on
    the page, so that the value does not show it again.
    """

    exit_code: int
    stdout: bytes = b""
    stderr: bytes = b""
    container_id: str = ""
    oom_killed: bool = False
    results: Mapping[str, Any] = field(default_factory=dict)
    shown: Callable[[], bool] = field(default=lambda: False, repr=False, compare=False)

    @property
    def output(self) -> str:
        """Standard output as text, undecodable bytes replaced."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def lines(self) -> list[str]:
        """Standard output's lines."""
        return self.output.splitlines()

    def __str__(self) -> str:
        return self.output

    def _repr_html_(self) -> str:
        rest = "" if self.exit_code == 0 else f"\n(exit code {self.exit_code})"
        text = _shortened(self.stdout) + _shortened(self.stderr)
        return f'<pre style="{PRE}">{ansi_to_html(text)}{html.escape(rest)}</pre>'

    def __repr__(self) -> str:
        shown = f"stdout={_bytes_text(self.stdout)}, stderr={_bytes_text(self.stderr)}"
        return (
            f"Outcome(exit_code={self.exit_code}, {shown}, container_id={self.container_id!r},"
            f" oom_killed={self.oom_killed})"
        )

    def _ipython_display_(self) -> None:
        if self.shown():
            return
        import IPython.display

        display: Any = IPython.display.display  # IPython's functions carry no annotations
        bundle = {"text/plain": repr(self), "text/html": self._repr_html_()}
        display(bundle, raw=True)
