"""What an engine does with image stores that a machine's users share."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_containers.engine.api.images import ImagesAPI
from jupyter_containers.events import CancelToken, EventSink, discard

if TYPE_CHECKING:
    from jupyter_containers.engine.shared_stores import SharedStore


class SharingAPI(ImagesAPI):
    """What an engine does with shared image stores."""

    def share(
        self,
        names: str | Sequence[str],
        *,
        store: str = "",
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
    ) -> list[str]:
        """Put images where all users of this machine use them, and nobody else can change them.

        Images that are not here are pulled there.  ``store`` is the shared store's folder,
        ``/var/lib/jupyter-containers-shared`` by default, made when it is not there; other folders
        are seen by engines whose setting ``additional_stores`` names them.  Returns the
        names that they have there.
        """
        from jupyter_containers.engine.images.loading import take_over
        from jupyter_containers.engine.images.saving import chosen
        from jupyter_containers.engine.shared_stores import shared_settings
        from jupyter_containers.store import Store

        settings, token = shared_settings(self.settings, store), cancel or CancelToken()
        Store.publish(settings.root)
        wanted = [names] if isinstance(names, str) else list(names)
        shared: list[str] = []
        with closing(type(self)(settings)) as keeper:
            for name in wanted:
                if self._images.lookup(name) is None:
                    shared += keeper.pull(name, emit=emit, cancel=token).names
                    continue
                images = chosen(self._rooms, self._images.named_by(name))
                keeper._rooms.quotas.check_archive("load")
                keeper._rooms.quotas.check_disk(keeper._rooms)
                targets = [image.target for image in images]
                taken = take_over(self._rooms, keeper._rooms, targets, emit=emit, cancel=token)
                for image in images:
                    self._images.note("save", image.record)
                for item in taken:
                    keeper._images.note("load", item.record)
                    shared += [each.familiar for each in item.names if each.tag]
        return shared

    def unshare(self, names: str | Sequence[str], *, store: str = "") -> list[str]:
        """Take images out of a shared store; return Docker's lines about it.

        Containers of other users that stand on them do not start any more.
        """
        from jupyter_containers.engine.shared_stores import shared_settings

        with closing(type(self)(shared_settings(self.settings, store))) as keeper:
            wanted = [names] if isinstance(names, str) else list(names)
            return [line for name in wanted for line in keeper.remove_image(name)]

    def shared_stores(self) -> list[SharedStore]:
        """Return the shared stores that this engine reads, and how it uses their layers."""
        from jupyter_containers.engine.shared_stores import listed

        return listed(self.settings)

    def map_shared(self, user: str) -> list[Path]:
        """Let a user's containers use the layers of shared stores where they are.

        For root; the mounts, which are returned, are there until the machine starts anew.
        """
        from jupyter_containers.engine.shared_stores import map_owners

        return map_owners(self.settings, user)

    def unmap_shared(self, user: str) -> list[Path]:
        """Undo :meth:`map_shared`; return the mounts that are gone."""
        from jupyter_containers.engine.shared_stores import unmap_owners

        return unmap_owners(user)
