"""Sessions for callers that await: each call runs in a thread, and its cancellation stops the cell.

::

    async with engine.sessions.asynchronous("python:3.11-slim") as session:
        done = await session.run("1 + 1")
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from jupyter_containers.events import CancelToken

if TYPE_CHECKING:
    from jupyter_containers.engine.sessions.results import SessionResult
    from jupyter_containers.engine.sessions.session import Session

P = ParamSpec("P")
T = TypeVar("T")


class AsyncSession:
    """A session whose methods are awaited; ``session`` is the plain one."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @property
    def name(self) -> str:
        """The name of the session."""
        return self.session.name

    async def run(self, code: str, **options: Any) -> SessionResult:
        """Run a cell; see :meth:`Session.run`.  A cancelled task interrupts the cell."""
        cancel = CancelToken()
        work = asyncio.ensure_future(
            asyncio.to_thread(partial(self.session.run, code, cancel=cancel, **options))
        )
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            cancel.cancel()
            await asyncio.wait([work])
            work.exception()  # the caller has left
            raise

    async def push(self, **values: Any) -> None:
        """Set variables; see :meth:`Session.push`."""
        await asyncio.to_thread(partial(self.session.push, **values))

    async def pull(self, name: str) -> Any:
        """Return the value of a variable; see :meth:`Session.pull`."""
        return await asyncio.to_thread(self.session.pull, name)

    async def call(self, method: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """Call another method in a thread: ``await session.call(session.session.fork)``."""
        return await asyncio.to_thread(method, *args, **options)

    async def stop(self) -> None:
        """End the session and remove its container."""
        await asyncio.to_thread(self.session.stop)


class Opening:
    """A session that starts when an ``async with`` block begins, and is stopped at its end."""

    def __init__(self, start: Callable[[], Session]) -> None:
        self._start = start
        self._opened: AsyncSession | None = None

    async def __aenter__(self) -> AsyncSession:
        work = asyncio.ensure_future(asyncio.to_thread(self._start))
        try:
            self._opened = AsyncSession(await asyncio.shield(work))
        except asyncio.CancelledError:
            await asyncio.wait([work])
            if work.exception() is None:
                await asyncio.to_thread(work.result().stop)
            raise
        return self._opened

    async def __aexit__(self, *_: object) -> None:
        if self._opened is not None:
            await self._opened.stop()
