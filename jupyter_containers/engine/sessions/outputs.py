"""The outputs of a cell in nbformat: collected, bounded, forwarded live."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from typing import Any

from jupyter_containers.engine.sessions.frames import Frame
from jupyter_containers.lazy_dataclasses import dataclass, field

MOST_OUTPUT_BYTES = 32 << 20
Output = dict[str, Any]
Live = Callable[[Output], None]
"""Called with each output as it comes: an nbformat output, or ``{"output_type": "clear_output"}``.

``transient`` holds a display's ID; ``output_type`` is ``update_display_data`` for a replacement.
"""


@dataclass(frozen=True, slots=True)
class CellError:
    """The exception that ended a cell: class name, message and the lines of its traceback."""

    name: str
    value: str
    traceback: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}: {self.value}" if self.value else self.name


@dataclass(slots=True)
class Collector:
    """Collects the outputs of one run; ``limit`` bounds the bytes that are kept and shown."""

    live: Live
    limit: int
    change: Callable[[Mapping[str, Any]], dict[str, Any]] = dict
    error: CellError | None = None
    dropped: int = 0
    _outputs: list[Output] = field(default_factory=list)
    _pieces: list[str] = field(default_factory=list)  # of the text that is last
    _size: int = 0
    _clear: bool = False
    _displays: dict[str, list[Output]] = field(default_factory=dict)
    _decoders: dict[str, codecs.IncrementalDecoder] = field(default_factory=dict)

    @property
    def outputs(self) -> list[Output]:
        """The outputs so far."""
        if self._pieces:
            self._outputs[-1]["text"] += "".join(self._pieces)
            self._pieces.clear()
        return self._outputs

    def take(self, frame: Frame) -> None:
        """Add one frame; a type that shows nothing is ignored."""
        if frame.type == "stream":
            self._stream(frame)
        elif frame.type == "display":
            self._display(frame)
        elif frame.type == "result":
            shown = self._bundle(frame, "execute_result")
            self._add(shown | {"execution_count": frame.get("count", 0)})
        elif frame.type == "error":
            found: list[Any] = frame.get("traceback", [])
            lines = tuple(map(str, found))
            self.fail(CellError(frame.get("name", ""), frame.get("value", ""), lines))
        elif frame.type == "clear":
            self._clear = True
            if not frame.get("wait", False):
                self._clear_now(wait=False)

    def fail(self, error: CellError) -> None:
        """Add an error."""
        self.error = error
        self._add(
            {
                "output_type": "error",
                "ename": error.name,
                "evalue": error.value,
                "traceback": list(error.traceback) or [str(error)],
            }
        )

    def text(self, name: str) -> str:
        """Return what was written to ``stdout`` or ``stderr``."""
        return "".join(
            output["text"]
            for output in self.outputs
            if output["output_type"] == "stream" and output["name"] == name
        )

    def _stream(self, frame: Frame) -> None:
        name = "stderr" if frame.get("name", "") == "stderr" else "stdout"
        decoder = self._decoders.setdefault(name, codecs.getincrementaldecoder("utf-8")("replace"))
        if text := decoder.decode(frame.body):
            self._add({"output_type": "stream", "name": name, "text": text})

    def _display(self, frame: Frame) -> None:
        shown = self._bundle(frame, "display_data")
        display_id = frame.get("display_id", "")
        if frame.get("update", False):
            for output in self._displays.get(display_id, ()):
                output.update(data=shown["data"], metadata=shown["metadata"])
            kind = {"output_type": "update_display_data", "transient": {"display_id": display_id}}
            if self._fits(shown):
                self.live(shown | kind)
            return
        if display_id:
            self._displays.setdefault(display_id, []).append(shown)
        self._add(shown, {"transient": {"display_id": display_id}} if display_id else {})

    def _bundle(self, frame: Frame, kind: str) -> Output:
        data = self.change(frame.get("data", {}))
        about: dict[str, Any] = frame.get("metadata", {})
        metadata = {key: value for key, value in about.items() if key in data}
        return {"output_type": kind, "data": data, "metadata": metadata}

    def _add(self, output: Output, more: Mapping[str, Any] | None = None) -> None:
        if self._clear:
            self._clear_now(wait=True)
        if output["output_type"] != "error" and not self._fits(output):
            return
        self.live({**output, **(more or {})})
        last = self._outputs[-1] if self._outputs else {}
        if output["output_type"] == "stream" and last.get("name") == output["name"]:
            self._pieces.append(output["text"])
        else:
            self.outputs.append(output)

    def _clear_now(self, *, wait: bool) -> None:
        self._clear = False
        self.outputs.clear()
        self._displays.clear()
        self.live({"output_type": "clear_output", "wait": wait})

    def _fits(self, output: Output) -> bool:
        """Count an output; return whether it is within the limit, reporting the first excess."""
        size = _size(output["text"] if output["output_type"] == "stream" else output["data"])
        if self._size + size > self.limit:
            if not self.dropped:
                text = f"\n[the output is longer than {self.limit} bytes; the rest is not shown]\n"
                note: Output = {"output_type": "stream", "name": "stderr", "text": text}
                self.outputs.append(note)
                self.live(note)
            self.dropped += size
            return False
        self._size += size
        return True


def _size(value: Any) -> int:
    """Return the approximate bytes of a JSON value."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(len(str(key)) + _size(item) for key, item in value.items())
    if isinstance(value, list):
        return sum(map(_size, value)) + len(value)
    return 8
