"""A container from inside and outside, updated as it changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from jupyter_containers.widgets import messages
from jupyter_containers.widgets.following import FollowingWidget
from jupyter_containers.widgets.gallery import Gallery
from jupyter_containers.widgets.messages import ExplainedSection, ExplainHello

if TYPE_CHECKING:
    from jupyter_containers.commands.render.explanation import Explained
    from jupyter_containers.engine import Engine
    from jupyter_containers.engine.journal import JournalEvent


class ExplainWidget(FollowingWidget):
    """The explanation of one container; ``look`` computes it again."""

    module = "explain"
    # Memory, CPU time and processes change without an event.
    interval = 2.0

    def __init__(
        self,
        engine: Engine,
        first: Explained,
        look: Callable[[], Explained],
        gallery: Gallery,
        cell: Callable[[], object] = lambda: None,
    ) -> None:
        self._seen, self._find = first, look
        super().__init__(engine, gallery, cell)

    def concerns(self, event: JournalEvent) -> bool:
        """Return whether an event concerns the container or its networks."""
        container_id = self._seen.explanation.container_id
        return container_id in (event.id, event.attributes.get("container"))

    def look(self) -> None:
        """Explain it again; send only the changes."""
        before, self._seen = self._seen.explanation, self._find()
        if self._seen.explanation != before:
            self.tell(self._message())

    def hello(self) -> ExplainHello:
        """Return the sections in the page's form."""
        return ExplainHello(**msgspec.structs.asdict(self._message()))

    def _message(self) -> messages.Explained:
        value = self._seen.explanation
        sections = [
            ExplainedSection(
                section.title,
                section.sentence,
                [(line.what, line.inside, line.outside) for line in section.lines],
            )
            for section in value.sections
        ]
        return messages.Explained(value.name, value.image, value.running, sections)

    def fallback(self) -> tuple[str, str]:
        """Return the text and the tables that need no kernel."""
        return str(self._seen), self._seen._repr_html_()
