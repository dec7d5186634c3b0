"""Which tests a worker of a parallel run gets: whole files, those that take longest first.

The tests in a browser are dealt to two workers, whatever the number of the others: each of them has
a JupyterLab server and a Chromium, which take seconds and hundreds of megabytes to start.
"""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.durations import dealt, file_of

_BROWSER, _BROWSERS = "tests/browser/", 2


class LongestFirst(LoadFileScheduling):
    """Takes the files in the order in which the tests were collected (``durations``)."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False
        self._dealt: dict[str, int] | None = None

    def _split_scope(self, nodeid: str) -> str:
        if not nodeid.startswith(_BROWSER):
            return file_of(nodeid)
        if self._dealt is None:
            there = [name for name in self.collection or () if name.startswith(_BROWSER)]
            self._dealt = dealt(there, _BROWSERS)
        return f"{_BROWSER}{self._dealt[file_of(nodeid)]}"
