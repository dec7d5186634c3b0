"""The layers of an image, and the differences between two, as text and as static HTML.

The HTML needs no script: trees fold with ``<details>``, so they also work in a saved notebook.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from jupyter_containers.commands.render.quantities import human_size
from jupyter_containers.commands.render.results import Table
from jupyter_containers.commands.render.table import NO_MATH, Column, Row, text_table
from jupyter_containers.lazy_modules import html
from jupyter_containers.printable import one_line

if TYPE_CHECKING:
    from jupyter_containers.engine.images.layers import (
        FileDifference,
        ImageDifference,
        ImageLayers,
        LayerView,
        SettingDifference,
        WastedPath,
    )
    from jupyter_containers.store.layertree import LayerChange

MOST_ENTRIES = 400  # of two images' differences
# Of all layers together; a live view and ``--files`` have the others.
_SAVED_ENTRIES = 32
_FEWEST_ENTRIES = 1  # of a layer
MOST_WASTED = 10
_LONGEST = 5000  # characters of a path or an instruction; Linux allows paths of 4096 bytes
_LETTERS = {"added": "A", "changed": "C", "removed": "D"}
_SIGNS = {"added": "+", "changed": "~", "removed": "-"}
_COLOURS = {
    "added": "var(--jp-success-color1,#2a8f4d)",
    "changed": "var(--jp-warn-color1,#b7791f)",
    "removed": "var(--jp-error-color1,#d14343)",
}
_BOX = (
    "font-size:var(--jp-ui-font-size1,13px);color:var(--jp-ui-font-color1,inherit);"
    "font-family:var(--jp-code-font-family,monospace);max-width:100%;overflow-x:auto"
)
_LINE = "border-top:1px solid rgba(128,128,128,.3);padding:3px 0"
_DIM = "opacity:.7"

_LAYERS = (
    Column("Number", "LAYER"),
    Column("Size", "SIZE"),
    Column("Added", "ADDED"),
    Column("Changed", "CHANGED"),
    Column("Removed", "REMOVED"),
    Column("Wasted", "WASTED"),
    Column("CreatedBy", "CREATED BY"),
)
_CHANGES = (
    Column("Layer", "LAYER"),
    Column("Kind", "KIND"),
    Column("Size", "SIZE"),
    Column("Path", "PATH"),
)
_WASTED = (Column("Layers", "LAYERS"), Column("Size", "SIZE"), Column("Path", "PATH"))


class Layers(Table["LayerView"]):
    """The layers of an image, lowest first; ``files`` is the table of all their changes."""

    def __init__(self, image: ImageLayers, *, with_files: bool = False) -> None:
        super().__init__(image.layers, _LAYERS, lambda layer: [_layer_row(layer)])
        self.image = image
        self._with_files = with_files

    @property
    def efficiency(self) -> float:
        """The share of bytes that are not wasted, computed as in ``dive``."""
        return self.image.efficiency

    @property
    def wasted_bytes(self) -> int:
        """The total size of paths that several layers write or remove."""
        return self.image.wasted_bytes

    @property
    def files(self) -> Table[tuple[int, LayerChange]]:
        """All changes of all layers, as a table with its own ``to_dataframe``."""
        pairs = [(layer.number, change) for layer in self for change in layer.changes]
        return Table(pairs, _CHANGES, lambda pair: [_change_row(*pair)], "no files")

    @property
    def wasted(self) -> Table[WastedPath]:
        """The paths that several layers write or remove, the largest first."""
        return Table(self.image.wasted, _WASTED, lambda path: [_wasted_row(path)], "nothing")

    def to_dataframe(self) -> Any:
        """Return one row for each layer, sizes in bytes."""
        frame = super().to_dataframe()
        frame["Size"] = [layer.size for layer in self]
        frame["Wasted"] = [layer.wasted for layer in self]
        for kind in _SIGNS:
            frame[kind.capitalize()] = [layer.count(kind) for layer in self]
        return frame

    def __str__(self) -> str:
        lines = [text_table(self.columns, self.rows()), "", self._summary()]
        worst = self.image.wasted[:MOST_WASTED]
        if worst:
            lines += ["", text_table(_WASTED, [_wasted_row(path) for path in worst])]
        if self._with_files:
            for layer in self:
                lines += ["", f"layer {layer.number}: {_shown(layer.created_by)}"]
                lines += [f"{_LETTERS[c.kind]} {_shown(c.path)}" for c in layer.changes]
        return "\n".join(lines)

    __repr__ = __str__

    def _summary(self) -> str:
        image = self.image
        return (
            f"{image.name}: {human_size(image.size)} in {_count(len(self), 'layer')}, efficiency "
            f"{100 * image.efficiency:.2f} %, wasted {human_size(image.wasted_bytes)}"
        )

    def _entries_shown(self) -> list[int]:
        """Return how many changes of each layer a page shows: the largest of all layers.

        A notebook keeps them with every run.
        """
        sizes = (
            (change.size, place) for place, layer in enumerate(self) for change in layer.changes
        )
        largest = sorted(sizes, key=lambda pair: -pair[0])[:_SAVED_ENTRIES]
        counts = Counter(place for _, place in largest)
        return [max(_FEWEST_ENTRIES, counts[place]) for place in range(len(self))]

    def _repr_html_(self) -> str:
        largest = max((layer.size for layer in self), default=0) or 1
        most = self._entries_shown()
        body = "".join(
            _layer_html(layer, layer.size / largest, count)
            for layer, count in zip(self, most, strict=True)
        )
        wasted = ""
        if self.image.wasted:
            shown = "".join(
                f"<div>{human_size(path.size)} in {path.layers} layers · {_safe(path.path)}</div>"
                for path in self.image.wasted[:MOST_WASTED]
            )
            rest = len(self.image.wasted) - MOST_WASTED
            more = f'<div style="{_DIM}">… and {rest} more</div>' if rest > 0 else ""
            wasted = (
                f'<details style="{_LINE}"><summary>wasted: '
                f"{_count(len(self.image.wasted), 'path')}</summary>"
                f'<div style="padding-left:18px">{shown}{more}</div></details>'
            )
        head = f'<div style="padding:3px 0;font-weight:600">{_safe(self._summary())}</div>'
        return f'<div {NO_MATH} style="{_BOX}">{head}{body}{wasted}</div>'


def _layer_row(layer: LayerView) -> Row:
    return {
        "Number": str(layer.number),
        "Size": human_size(layer.size),
        **{kind.capitalize(): str(layer.count(kind)) for kind in _SIGNS},
        "Wasted": human_size(layer.wasted),
        "CreatedBy": _shortened(layer.created_by, 80),
    }


def _change_row(number: int, change: LayerChange) -> Row:
    return {
        "Layer": str(number),
        "Kind": change.kind,
        "Size": human_size(change.size),
        "Path": _shown(change.path) + ("/" if change.is_folder else ""),
    }


def _wasted_row(path: WastedPath) -> Row:
    return {"Layers": str(path.layers), "Size": human_size(path.size), "Path": _shown(path.path)}


def _layer_html(layer: LayerView, share: float, most: int) -> str:
    marks = " ".join(
        f'<span style="color:{_COLOURS[kind]}">{sign}{layer.count(kind)}</span>'
        for kind, sign in _SIGNS.items()
        if layer.count(kind)
    )
    if layer.wasted:
        marks += f' <span style="{_DIM}">{human_size(layer.wasted)} wasted</span>'
    bar = (
        '<span style="display:inline-block;width:80px;height:8px;margin-right:8px;'
        'background:rgba(128,128,128,.25)"><span style="display:block;'
        f'height:8px;width:{100 * share:.1f}%;background:var(--jp-brand-color1,#1976d2)"></span>'
        "</span>"
    )
    summary = (
        f'<summary style="cursor:pointer"><span style="display:inline-block;min-width:1.6em">'
        f"{layer.number}</span>{bar}"
        f'<span style="display:inline-block;min-width:5.5em">{human_size(layer.size)}</span>'
        f"{_safe(_shortened(layer.created_by, 110))} "
        f'<span style="white-space:nowrap">{marks}</span></summary>'
    )
    changes = [(change.path, change.kind, change.size) for change in layer.changes]
    tree = _tree_html(changes, most)
    return (
        f'<details style="{_LINE}">{summary}<div style="padding-left:26px">{tree}</div></details>'
    )


def _tree_html(entries: Sequence[tuple[str, str, int]], most: int = MOST_ENTRIES) -> str:
    """Return paths as a tree of folders; of too many, show the largest and count the others."""
    root: dict[str, Any] = {}
    largest = sorted(entries, key=lambda entry: -entry[2])[:most]
    for path, kind, size in sorted(largest):
        node = root
        *folders, name = path.strip("/").split("/")
        for folder in folders:
            node = node.setdefault(folder, {"": None})
        node.setdefault(name, {"": None})[""] = (kind, size)
    rest = len(entries) - most
    more = f'<div style="{_DIM}">… and {rest} smaller ones</div>' if rest > 0 else ""
    return (_nodes_html(root) or "no files") + more


def _nodes_html(nodes: dict[str, Any]) -> str:
    parts = []
    for name, node in nodes.items():
        if name == "":
            continue
        # A chain of folders without other entries is shown in one line.
        label = name
        while node[""] is None and len(node) == 2:
            (following,) = (key for key in node if key)
            label, node = f"{label}/{following}", node[following]
        line = _entry_html(label, node[""])
        inner = _nodes_html(node)
        total = f" <small>{human_size(_total(node))}</small>"
        parts.append(
            f"<details><summary>{line}/{total}</summary>"
            f'<div style="padding-left:18px">{inner}</div></details>'
            if inner
            else f"<div>{line}</div>"
        )
    return "".join(parts)


def _total(node: dict[str, Any]) -> int:
    """Return the bytes of all changes below a folder."""
    own = node[""][1] if node[""] else 0
    return int(own) + sum(_total(child) for name, child in node.items() if name)


def _entry_html(label: str, change: tuple[str, int] | None) -> str:
    if change is None:
        return _safe(label)
    kind, size = change
    # Most entries are additions: only the others have a colour.
    text = f"{_SIGNS[kind]} {_safe(label)}"
    if kind != "added":
        text = f'<span style="color:{_COLOURS[kind]}">{text}</span>'
    return f"{text} <small>{human_size(size)}</small>" if size else text


class Differences(list[Any]):
    """The files that differ between two images, with differing ``settings`` and sizes."""

    def __init__(self, found: ImageDifference) -> None:
        super().__init__(found.files)
        self.difference = found

    @property
    def settings(self) -> tuple[SettingDifference, ...]:
        """The differences between the configurations."""
        return self.difference.settings

    @property
    def table(self) -> Table[FileDifference]:
        """The files as a table, which has a ``to_dataframe``."""
        columns = (
            Column("Kind", "KIND"),
            Column("Before", "BEFORE"),
            Column("After", "AFTER"),
            Column("Path", "PATH"),
        )
        return Table(self, columns, lambda file: [_difference_row(file)], "no files")

    def to_dataframe(self) -> Any:
        """Return one row for each file, sizes in bytes."""
        frame = self.table.to_dataframe()
        frame["Before"] = [file.size_before for file in self]
        frame["After"] = [file.size_after for file in self]
        return frame

    def __str__(self) -> str:
        lines = [f"{_LETTERS[file.kind]} {_shown(file.path)}" for file in self]
        lines += list(self._setting_lines())
        return "\n".join([*lines, self._summary()])

    __repr__ = __str__

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002  # IPython's signature
        printer.text(str(self))

    def _setting_lines(self) -> Iterator[str]:
        for item in self.settings:
            yield f"{_shown(item.setting)}: {_or_unset(item.before)} → {_or_unset(item.after)}"

    def _summary(self) -> str:
        found = self.difference
        delta = found.size_after - found.size_before
        sign = "-" if delta < 0 else "+"
        return (
            f"{found.first} → {found.second}: {human_size(found.size_before)} → "
            f"{human_size(found.size_after)} ({sign}{human_size(abs(delta))}), "
            f"{_count(len(self), 'file')} and {_count(len(self.settings), 'setting')} differ, "
            f"{_count(found.shared_layers, 'layer')} in common"
        )

    def _repr_html_(self) -> str:
        tree = _tree_html(
            [(file.path, file.kind, file.size_after or file.size_before) for file in self]
        )
        settings = "".join(f"<div>{_safe(line)}</div>" for line in self._setting_lines())
        return (
            f'<div {NO_MATH} style="{_BOX}"><div style="padding:3px 0;font-weight:600">'
            f"{_safe(self._summary())}</div>"
            f'<div style="{_LINE}">{tree}</div>'
            + (f'<div style="{_LINE}">{settings}</div>' if settings else "")
            + "</div>"
        )


def _difference_row(file: FileDifference) -> Row:
    return {
        "Kind": file.kind,
        "Before": human_size(file.size_before),
        "After": human_size(file.size_after),
        "Path": _shown(file.path),
    }


def _or_unset(text: str | None) -> str:
    return "unset" if text is None else _shown(text)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _shortened(text: str, width: int) -> str:
    plain = _shown(" ".join(text.split()))
    return plain if len(plain) <= width else plain[: width - 1] + "…"


def _shown(text: str) -> str:
    return one_line(text, _LONGEST)


def _safe(text: str) -> str:
    return html.escape(_shown(text))


def tree_lines(nodes: Iterable[tuple[str, Sequence[Any]]], indent: str = "") -> Iterator[str]:
    """Yield a tree of (text, children) pairs with its branches drawn."""
    items = list(nodes)
    for number, (text, children) in enumerate(items):
        last = number == len(items) - 1
        yield f"{indent}{'└─' if last else '├─'} {text}"
        yield from tree_lines(children, indent + ("   " if last else "│  "))
