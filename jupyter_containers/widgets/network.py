"""Drawings of networks that follow connected and disconnected containers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from jupyter_containers.widgets.following import FollowingWidget
from jupyter_containers.widgets.gallery import Gallery
from jupyter_containers.widgets.messages import Drawn, DrawnNetwork, NetworkHello, News

if TYPE_CHECKING:
    from jupyter_containers.commands.render.network import NetworkDocument
    from jupyter_containers.engine import Engine
    from jupyter_containers.engine.journal import JournalEvent

_NEWS_KEPT = 50
_WORDS = {
    "connect": "{member} was attached",
    "disconnect": "{member} was detached",
    "create": "it was created",
    "destroy": "it was removed",
}
# The events of a container after which a drawing may change.
_REDRAWING = frozenset({"start", "die", "rename", "destroy", "pause", "unpause"})


class NetworkWidget(FollowingWidget):
    """The networks of one ``network inspect``; ``look`` inspects them again."""

    module = "network"

    def __init__(
        self,
        engine: Engine,
        first: NetworkDocument,
        look: Callable[[], NetworkDocument],
        gallery: Gallery,
        cell: Callable[[], object] = lambda: None,
    ) -> None:
        self._seen, self._find = first, look
        self._news: deque[News] = deque(maxlen=_NEWS_KEPT)
        self._members: dict[str, str] = {}
        self._note_members()
        super().__init__(engine, gallery, cell)

    def concerns(self, event: JournalEvent) -> bool:
        """Record events of these networks; look after those, and after renames and ends."""
        if event.type == "container":
            self._members.setdefault(event.id, event.attributes.get("name", ""))
            return event.action in _REDRAWING
        ours = {item["Id"]: item["Name"] for item in self._seen}
        name = event.attributes.get("name", "")
        if event.id not in ours and name not in ours.values():
            return False
        if words := _WORDS.get(event.action):
            container = event.attributes.get("container", "")
            member = self._members.get(container) or container[:12]
            with self._lock:
                news = News(event.time_ns / 1e9, name, words.format(member=member))
                self._news.append(news)
        return True

    def look(self) -> None:
        """Inspect and draw again."""
        self._seen = self._find()
        self._note_members()
        self.tell(self._drawn())

    def hello(self) -> NetworkHello:
        """Return the drawings, the JSON below them, and the events."""
        return NetworkHello(**msgspec.structs.asdict(self._drawn()))

    def _drawn(self) -> Drawn:
        networks = [
            DrawnNetwork(picture.name, picture.svg(), [member.name for member in picture.members])
            for picture in self._seen.pictures
        ]
        with self._lock:
            return Drawn(networks, str(self._seen), list(self._news))

    def fallback(self) -> tuple[str, str]:
        """Return the lines and the drawing that need no kernel."""
        text = "\n\n".join(str(picture) for picture in self._seen.pictures)
        return text, self._seen._repr_html_()

    def _note_members(self) -> None:
        for document in self._seen:
            for container_id, member in document["Containers"].items():
                self._members[container_id] = member["Name"]
