"""The layers of an image as trees that unfold, with search and the largest first.

The kernel keeps the changes; a page gets those of a folder when somebody opens it, so an image of
a hundred thousand files opens at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jupyter_containers.widgets.gallery import Gallery
from jupyter_containers.widgets.live import LiveWidget

if TYPE_CHECKING:
    from jupyter_containers.commands.render.layers import Layers
    from jupyter_containers.store.layertree import LayerChange

MOST_ENTRIES = 500
_KINDS = ("added", "changed", "removed")


class ChangeTree:
    """The changes of one layer by folder; of a search, those whose path has its words."""

    def __init__(self, changes: Iterable[LayerChange], words: str = "") -> None:
        self._inside: dict[str, dict[str, dict[str, Any]]] = {}
        self.found = 0
        wanted = words.lower().split()
        for change in changes:
            path = change.path.lower()
            if all(word in path for word in wanted):
                self.found += not change.is_folder or change.kind == "removed"
                self._add(change)

    def entries(self, folder: str, by_size: bool, first: int = 0) -> dict[str, Any]:
        """Return what is in a folder (``""`` is the root), from the entry ``first`` on."""
        inside = list(self._inside.get(folder, {}).values())
        if by_size:
            inside.sort(key=lambda entry: (-max(entry["size"], entry["hidden"]), entry["name"]))
        else:
            inside.sort(key=lambda entry: str(entry["name"]))
        return {
            "path": folder,
            "entries": inside[first : first + MOST_ENTRIES],
            "first": first,
            "total": len(inside),
        }

    def _add(self, change: LayerChange) -> None:
        path, entry = change.path, self._node(change.path)
        entry["kind"], entry["folder"] = change.kind, entry["folder"] or change.is_folder
        field = "hidden" if change.kind == "removed" else "size"
        while path:
            self._node(path)[field] += change.size
            path = path.rpartition("/")[0]

    def _node(self, path: str) -> dict[str, Any]:
        parent, _, name = path.rpartition("/")
        inside = self._inside.setdefault(parent, {})
        if name not in inside:
            inside[name] = {
                # Names are bytes; what is no text is shown with a mark in its place.
                "name": name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
                "path": path.encode("utf-8", "surrogateescape").hex(),
                "kind": "",
                "folder": False,
                "size": 0,
                "hidden": 0,
            }
            if parent:
                self._node(parent)["folder"] = True
        return inside[name]


class LayersWidget(LiveWidget):
    """All layers of one image."""

    module = "layers"

    def __init__(self, layers: Layers, gallery: Gallery, cell: Any = lambda: None) -> None:
        self._layers = layers
        self._words = ""
        self._trees: dict[int, ChangeTree] = {}
        super().__init__(gallery, cell)

    def greet(self, view: str) -> None:
        """Give a new view the layers, without their files."""
        image = self._layers.image
        self.tell(
            "hello",
            to=view,
            name=image.name,
            size=image.size,
            efficiency=image.efficiency,
            wasted=image.wasted_bytes,
            paths=[
                {"path": _text(item.path), "size": item.size, "layers": item.layers}
                for item in image.wasted[:MOST_ENTRIES]
            ],
            wasted_paths=len(image.wasted),
            layers=[
                {
                    "number": layer.number,
                    "words": layer.created_by,
                    "size": layer.size,
                    "wasted": layer.wasted,
                    **{kind: layer.count(kind) for kind in _KINDS},
                }
                for layer in self._layers
            ],
        )

    def handle(self, kind: str, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Answer what a view wants to see of a folder, or where the words of a search are."""
        del buffers
        view, words = str(message.get("view", "")), str(message.get("words", ""))[:200]
        if kind == "open":
            number, folder = message.get("layer"), str(message.get("path", ""))
            first = message.get("first", 0)
            if not isinstance(number, int) or not 1 <= number <= len(self._layers):
                return
            if not isinstance(first, int) or first < 0:
                return
            try:
                path = bytes.fromhex(folder).decode("utf-8", "surrogateescape")
            except ValueError:
                return
            with self._lock:
                tree = self._tree(number, words)
            found = tree.entries(path, message.get("sort") == "size", first)
            self.tell("entries", to=view, **{**found, "path": folder}, layer=number, words=words)
        elif kind == "search":
            with self._lock:
                found_in = {
                    str(layer.number): self._tree(layer.number, words).found
                    for layer in self._layers
                }
            self.tell("found", to=view, words=words, layers=found_in)

    def fallback(self) -> tuple[str, str]:
        """Return the table and the folding page that need no kernel."""
        return str(self._layers), self._layers._repr_html_()

    def _tree(self, number: int, words: str) -> ChangeTree:
        """Return the tree of a layer for the present words; those of other words are forgotten."""
        if words != self._words:
            self._words, self._trees = words, {}
        if number not in self._trees:
            self._trees[number] = ChangeTree(self._layers[number - 1].changes, words)
        return self._trees[number]


def _text(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
