"""The service of shared stores: share images, unshare them, map owners."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from jupyter_containers.engine.collection import Items
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.images.service import ImageService
from jupyter_containers.events import CancelToken, EventSink, discard
from jupyter_containers.settings import Settings

if TYPE_CHECKING:
    from jupyter_containers.engine.shared_stores import SharedStore


class Keeper(Protocol):
    """An engine that writes to a shared store."""

    @property
    def images(self) -> ImageService:
        """The images of the shared store."""

    def close(self) -> None:
        """Close the store."""


class StoreService:
    """Shared image stores; ``open_keeper`` opens an engine on one of them."""

    noun = "stores"

    def __init__(
        self,
        context: EngineContext,
        images: ImageService,
        open_keeper: Callable[[Settings], Keeper],
    ) -> None:
        self._context, self._images, self._open_keeper = context, images, open_keeper

    def share(
        self,
        names: str | Sequence[str],
        *,
        store: str = "",
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
    ) -> Items[str]:
        """Share images with all users of this machine, read-only for them.

        Images that are not stored here are pulled there.  ``store`` is the shared store's folder,
        ``/var/lib/jupyter-containers-shared`` by default, created if missing; other folders are
        read by engines whose setting ``additional_stores`` names them.  Returns the names of the
        images there.
        """
        from jupyter_containers.engine.shared_stores import shared_settings
        from jupyter_containers.store import Store

        settings, token = shared_settings(self._context.settings, store), cancel or CancelToken()
        Store.publish(settings.root)
        wanted = [names] if isinstance(names, str) else list(names)
        shared: list[str] = []
        with closing(self._open_keeper(settings)) as keeper:
            for name in wanted:
                if self._images.catalog.lookup(name) is None:
                    shared += keeper.images.pull(name, emit=emit, cancel=token).names
                    continue
                taken = keeper.images.take(self._images, name, emit=emit, cancel=token)
                shared += [tag for image in taken for tag in image.names]
        return shared

    def unshare(self, names: str | Sequence[str], *, store: str = "") -> Items[str]:
        """Remove images from a shared store; return Docker's messages.

        Containers of other users that are based on them can no longer start.
        """
        from jupyter_containers.engine.shared_stores import shared_settings

        with closing(self._open_keeper(shared_settings(self._context.settings, store))) as keeper:
            wanted = [names] if isinstance(names, str) else list(names)
            return [line for name in wanted for line in keeper.images.remove(name)]

    def list(self) -> Items[SharedStore]:
        """Return the shared stores that this engine reads, and how it uses their layers."""
        from jupyter_containers.engine.shared_stores import listed

        return listed(self._context.settings)

    def map(self, user: str) -> Items[Path]:
        """Let a user's containers use the layers of shared stores in place.

        For root only; the returned mounts last until the next boot.
        """
        from jupyter_containers.engine.shared_stores import map_owners

        return map_owners(self._context.settings, user)

    def unmap(self, user: str) -> Items[Path]:
        """Undo :meth:`map`; return the removed mounts."""
        from jupyter_containers.engine.shared_stores import unmap_owners

        return unmap_owners(user)
