"""The layers of an image as expandable trees, with search and the largest first.

The kernel keeps the changes; a page gets those of a folder when it is expanded, so an image of a
hundred thousand files opens at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.widgets.gallery import Gallery
from jupyter_containers.widgets.live import LiveWidget
from jupyter_containers.widgets.messages import (
    Entries,
    Found,
    LayerLine,
    LayersFromView,
    LayersHello,
    Open,
    Search,
    TreeEntry,
    WastedPath,
)

if TYPE_CHECKING:
    from jupyter_containers.commands.render.layers import Layers
    from jupyter_containers.store.layertree import LayerChange

MOST_ENTRIES = 500
_MOST_WORDS = 200


@dataclass(slots=True)
class _Node:
    name: str
    path: str
    kind: Literal["", "added", "changed", "removed"] = ""
    folder: bool = False
    size: int = 0
    hidden: int = 0


class ChangeTree:
    """The changes of one layer by folder; for a search, those whose path has its words."""

    def __init__(self, changes: Iterable[LayerChange], words: str = "") -> None:
        self._inside: dict[str, dict[str, _Node]] = {}
        self.found = 0
        wanted = words.lower().split()
        for change in changes:
            path = change.path.lower()
            if all(word in path for word in wanted):
                self.found += not change.is_folder or change.kind == "removed"
                self._add(change)

    def entries(self, folder: str, by_size: bool, first: int = 0) -> tuple[list[TreeEntry], int]:
        """Return a folder's entries (``""`` is the root) from ``first`` on, and their total."""
        inside = list(self._inside.get(folder, {}).values())
        if by_size:
            inside.sort(key=lambda node: (-max(node.size, node.hidden), node.name))
        else:
            inside.sort(key=lambda node: node.name)
        shown = [
            TreeEntry(node.name, node.path, node.kind, node.folder, node.size, node.hidden)
            for node in inside[first : first + MOST_ENTRIES]
        ]
        return shown, len(inside)

    def _add(self, change: LayerChange) -> None:
        path, node = change.path, self._node(change.path)
        node.kind, node.folder = change.kind, node.folder or change.is_folder
        while path:
            node = self._node(path)
            if change.kind == "removed":
                node.hidden += change.size
            else:
                node.size += change.size
            path = path.rpartition("/")[0]

    def _node(self, path: str) -> _Node:
        parent, _, name = path.rpartition("/")
        inside = self._inside.setdefault(parent, {})
        if name not in inside:
            inside[name] = _Node(_text(name), path.encode("utf-8", "surrogateescape").hex())
            if parent:
                self._node(parent).folder = True
        return inside[name]


class LayersWidget(LiveWidget):
    """All layers of one image."""

    module = "layers"
    from_view = LayersFromView

    def __init__(
        self, layers: Layers, gallery: Gallery, cell: Callable[[], object] = lambda: None
    ) -> None:
        self._layers = layers
        self._words = ""
        self._trees: dict[int, ChangeTree] = {}
        super().__init__(gallery, cell)

    def greet(self, view: str) -> None:
        """Send the layers, without their files, to a new view."""
        image = self._layers.image
        hello = LayersHello(
            name=image.name,
            size=image.size,
            efficiency=image.efficiency,
            wasted=image.wasted_bytes,
            paths=[
                WastedPath(_text(item.path), item.size, item.layers)
                for item in image.wasted[:MOST_ENTRIES]
            ],
            wasted_paths=len(image.wasted),
            layers=[
                LayerLine(
                    number=layer.number,
                    words=layer.created_by,
                    size=layer.size,
                    wasted=layer.wasted,
                    added=layer.count("added"),
                    changed=layer.count("changed"),
                    removed=layer.count("removed"),
                )
                for layer in self._layers
            ],
        )
        self.tell(hello, to=view)

    def handle(self, message: Any, view: str, buffers: Sequence[Any]) -> None:
        """Send a view the contents of a folder, or the results of a search."""
        del buffers
        match message:
            case Open():
                self._open(message, view)
            case Search(words):
                with self._lock:
                    found = {
                        str(layer.number): self._tree(layer.number, words).found
                        for layer in self._layers
                    }
                self.tell(Found(words, found), to=view)

    def _open(self, wish: Open, view: str) -> None:
        if not 1 <= wish.layer <= len(self._layers):
            return
        try:
            path = bytes.fromhex(wish.path).decode("utf-8", "surrogateescape")
        except ValueError:
            return
        with self._lock:
            tree = self._tree(wish.layer, wish.words)
        entries, total = tree.entries(path, wish.sort == "size", wish.first)
        self.tell(Entries(wish.layer, wish.path, wish.words, entries, wish.first, total), to=view)

    def fallback(self) -> tuple[str, str]:
        """Return the table and the folding page that need no kernel."""
        return str(self._layers), self._layers._repr_html_()

    def _tree(self, number: int, words: str) -> ChangeTree:
        """Return the tree of a layer for the present words; drop those for other words."""
        if words != self._words:
            self._words, self._trees = words, {}
        if number not in self._trees:
            looked_for = words[:_MOST_WORDS]
            self._trees[number] = ChangeTree(self._layers[number - 1].changes, looked_for)
        return self._trees[number]


def _text(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
