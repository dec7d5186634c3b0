"""The tree of all layers in the store (``images --tree``)."""

from __future__ import annotations

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.images.catalog import Images
from jupyter_containers.lazy_dataclasses import dataclass, field


@dataclass(slots=True)
class LayerNode:
    """A layer, the images that end with it, and the layers on top of it; size in bytes."""

    chain_id: str
    size: int
    images: list[str] = field(default_factory=list)
    children: list[LayerNode] = field(default_factory=list)

    @property
    def short_id(self) -> str:
        """The first 12 characters of the chain ID."""
        return self.chain_id.rpartition(":")[2][:12]


def image_tree(context: EngineContext, images: Images) -> list[LayerNode]:
    """Return the lowest layers; an image without layers gets a node of its own."""
    sizes = {layer.chain_id: layer.size for layer in context.store.snapshots.layers.all()}
    nodes: dict[str, LayerNode] = {}
    roots: list[LayerNode] = []
    for record, names in reversed(images.all()):
        tagged, _ = images.familiar(names)
        siblings, node = roots, None
        for chain in record.chain_ids or ("",):
            node = nodes.get(chain)
            if node is None:
                node = nodes[chain] = LayerNode(chain, sizes.get(chain, 0))
                siblings.append(node)
            siblings = node.children
        assert node is not None  # there is at least one chain
        node.images += tagged or (record.config_digest[7:19],)
    return roots
