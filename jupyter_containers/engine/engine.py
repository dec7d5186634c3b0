"""The engine: everything that can be done with images and containers, as one object.

An engine is a library, not a daemon: it opens the store, does what it is asked, and may vanish at
any time; containers go on without it, and any number of engines share one store.  Keyword names
are Docker's long flags in snake_case.  Long work reports to ``emit`` and stops at an interrupt.
"""

from __future__ import annotations

from jupyter_containers.engine.api.system import SystemAPI


class Engine(SystemAPI):
    """Images, containers, networks and volumes of one store.

    ``settings`` None reads config file and environment; ``overrides`` are fields of
    :class:`~jupyter_containers.settings.Settings`.  Use it as a context manager or close it.
    """

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
