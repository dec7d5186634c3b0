"""The contents of an image's layers, and the difference between two images.

*Efficiency* and *wasted bytes* are defined as in ``dive``: of every path, count the bytes in all
layers; a path that more than one layer writes or removes is wasted; efficiency is the size of every
path's smallest version divided by all bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.images.catalog import Images
from jupyter_containers.engine.images.documents import execution_document
from jupyter_containers.lazy_dataclasses import dataclass, replace
from jupyter_containers.oci.image import ImageConfig
from jupyter_containers.store import ImageRecord
from jupyter_containers.store.layertree import FileState, LayerChange, MergedTree, same


@dataclass(frozen=True, slots=True)
class LayerView:
    """One layer: its instruction and its changes; ``size`` is that of its files in bytes.

    ``wasted`` are its bytes on paths that other layers also write or remove.
    """

    number: int
    diff_id: str
    created_by: str
    size: int
    compressed_size: int
    changes: tuple[LayerChange, ...]
    wasted: int = 0

    def count(self, kind: str) -> int:
        """Return the number of files (not folders) that are added, changed or removed."""
        return sum(change.kind == kind and not change.is_folder for change in self.changes)


@dataclass(frozen=True, slots=True)
class WastedPath:
    """A path in several layers; ``size`` is their total in bytes."""

    path: str
    size: int
    layers: int


@dataclass(frozen=True, slots=True)
class ImageLayers:
    """The layers of one image, lowest first."""

    image_id: str
    name: str
    size: int
    layers: tuple[LayerView, ...]
    wasted: tuple[WastedPath, ...]
    efficiency: float

    @property
    def wasted_bytes(self) -> int:
        """The bytes of all paths that more than one layer writes or removes."""
        return sum(path.size for path in self.wasted)


@dataclass(frozen=True, slots=True)
class FileDifference:
    """A path that differs between two images; sizes are 0 where it is missing."""

    path: str
    kind: str
    size_before: int
    size_after: int


@dataclass(frozen=True, slots=True)
class SettingDifference:
    """A setting of the configuration (``Env PATH``, ``Cmd``) that differs; None if unset."""

    setting: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class ImageDifference:
    """The difference from the first image to the second."""

    first: str
    second: str
    files: tuple[FileDifference, ...]
    settings: tuple[SettingDifference, ...]
    size_before: int
    size_after: int
    shared_layers: int


def layers_of(context: EngineContext, images: Images, text: str) -> ImageLayers:
    """Return the layers of the image ``text``."""
    record = images.find(text)
    config = images.config(record)
    tree, views = MergedTree(), []
    words = [step.created_by for step in config.history if not step.empty_layer]
    for number, chain in enumerate(record.chain_ids):
        layer = context.store.snapshots.get(chain)
        changes = tree.apply(context.store.snapshots.lower_folders(chain)[0])
        views.append(
            LayerView(
                number + 1,
                record.diff_ids[number],
                words[number] if number < len(words) else "",
                layer.size if layer else 0,
                layer.blob.size if layer else 0,
                tuple(changes),
            )
        )
    views, wasted, efficiency = _efficiency(views)
    names, _ = images.familiar(images.names_of(record))
    name = names[0] if names else record.config_digest[7:19]
    return ImageLayers(record.config_digest, name, record.size, tuple(views), wasted, efficiency)


def _efficiency(
    layers: Sequence[LayerView],
) -> tuple[list[LayerView], tuple[WastedPath, ...], float]:
    """Return the layers with their wasted bytes, the wasted paths, and the efficiency."""
    spent: dict[str, list[tuple[int, int]]] = {}
    for number, layer in enumerate(layers):
        leads = _inner_folders(layer.changes)
        for change in layer.changes:
            if change.path not in leads:
                hidden_file = change.kind == "removed" and not change.is_folder
                size = 0 if hidden_file else change.size
                spent.setdefault(change.path, []).append((number, size))
    total = sum(size for sizes in spent.values() for _, size in sizes)
    least = sum(min(size for _, size in sizes) for sizes in spent.values())
    wasted, several = [0] * len(layers), []
    for path, sizes in spent.items():
        if len(sizes) > 1:
            several.append(WastedPath(path, sum(size for _, size in sizes), len(sizes)))
            for number, size in sizes:
                wasted[number] += size
    several.sort(key=lambda item: (-item.size, item.path))
    views = [replace(layer, wasted=lost) for layer, lost in zip(layers, wasted, strict=True)]
    return views, tuple(several), least / total if total else 1.0


def _inner_folders(changes: Iterable[LayerChange]) -> set[str]:
    return {change.path.rpartition("/")[0] for change in changes}


def difference(context: EngineContext, images: Images, first: str, second: str) -> ImageDifference:
    """Return the difference from image ``first`` to ``second``: files, settings, size."""
    one, other = images.find(first), images.find(second)
    shared = 0
    for mine, theirs in zip(one.chain_ids, other.chain_ids, strict=False):
        if mine != theirs:
            break
        shared += 1
    return ImageDifference(
        first,
        second,
        tuple(_file_differences(_merge_layers(context, one), _merge_layers(context, other))),
        tuple(_setting_differences(images.config(one), images.config(other))),
        one.size,
        other.size,
        shared,
    )


def _merge_layers(context: EngineContext, record: ImageRecord) -> dict[str, FileState]:
    tree = MergedTree()
    for folder in reversed(context.store.snapshots.lower_folders(record.chain_id)):
        tree.apply(folder)
    return dict(tree.files())


def _file_differences(
    before: Mapping[str, FileState], after: Mapping[str, FileState]
) -> Iterator[FileDifference]:
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old is None and new is not None:
            yield FileDifference(path, "added", 0, new.size)
        elif new is None and old is not None:
            yield FileDifference(path, "removed", old.size, 0)
        elif old is not None and new is not None and not same(old, new):
            yield FileDifference(path, "changed", old.size, new.size)


def _setting_differences(one: ImageConfig, other: ImageConfig) -> Iterator[SettingDifference]:
    before, after = _settings(one), _settings(other)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield SettingDifference(name, before.get(name), after.get(name))


def _settings(config: ImageConfig) -> dict[str, str]:
    """Return every setting as text; settings that are mappings, key by key."""
    found = {"Architecture": config.architecture, "Os": config.os, "Author": config.author}
    for key, value in execution_document(config.config).items():
        if key == "Env":
            for entry in value or ():
                name, _, text = entry.partition("=")
                found[f"Env {name}"] = text
        elif isinstance(value, dict):
            for name, inner in value.items():
                found[f"{key} {name}"] = str(inner) if inner != {} else "set"
        elif value not in (None, "", []):
            found[key] = str(value)
    return {name: text for name, text in found.items() if text}
