"""Pools of started sessions: taking one is immediate, a used one is thrown away.

Lifecycle: :meth:`SessionPool.fill` starts sessions until ``size`` are ready → :meth:`take` returns
one and has another one started → :meth:`close`, also by the end of the engine, removes those that
nobody took.  A thread runs only while sessions are being started.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from jupyter_containers.errors import ContainersError, SessionEndedError

if TYPE_CHECKING:
    from jupyter_containers.engine.sessions.session import Session

_WAIT_SECONDS = 60.0


class SessionPool:
    """Started sessions of one image; use it as a context manager or close it.

    ``memory`` bounds the bytes that the ready sessions together use: no further one is started
    above it, though fewer than ``size`` are ready then.
    """

    def __init__(
        self,
        start: Callable[[], Session],
        adopt: Callable[[Session], None],
        used: Callable[[Sequence[Session]], int],
        *,
        size: int,
        memory: int,
        on_close: Callable[[SessionPool], object],
    ) -> None:
        self._start, self._adopt, self._used, self._on_close = start, adopt, used, on_close
        self.size, self.memory = size, memory
        self._ready: deque[Session] = deque()
        self._changed = threading.Condition()
        self._filler: threading.Thread | None = None
        self._error: ContainersError | None = None
        self._full = self._closed = False

    def __enter__(self) -> SessionPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._ready)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<pool of sessions: {len(self)} of {self.size} ready>"

    def take(self, timeout: float = _WAIT_SECONDS) -> Session:
        """Return a session that only the caller has; stop it after use.

        Waits up to ``timeout`` seconds while none is ready, then raises :class:`TimeoutError`;
        raises the error of a start that failed.
        """
        deadline = time.monotonic() + timeout
        while True:
            session = self._next(deadline)
            if session.status == "idle":
                self._adopt(session)
                return session
            session.stop()  # its container has ended

    def wait(self, timeout: float = _WAIT_SECONDS) -> None:
        """Wait until no session is being started; raise the error of a start that failed."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._filler is None, timeout):
                raise TimeoutError(f"{len(self)} of {self.size} sessions are ready")
            if self._error is not None and not self._ready:
                raise self._error

    def fill(self) -> None:
        """Start missing sessions in the background."""
        with self._changed:
            self._fill()

    def close(self) -> None:
        """Remove the ready sessions and start no more; taken ones are their takers'."""
        with self._changed:
            self._closed = True
            ready, filler = list(self._ready), self._filler
            self._ready.clear()
            self._changed.notify_all()
        self._on_close(self)
        for session in ready:
            session.stop()
        if filler is not None and filler is not threading.current_thread():
            filler.join()

    def _next(self, deadline: float) -> Session:
        with self._changed:
            self._fill()
            while not self._ready:
                if self._closed:
                    raise SessionEndedError("the pool is closed")
                if self._error is not None:
                    error, self._error = self._error, None
                    raise error
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError("no session of the pool became ready in time")
            session = self._ready.popleft()
            self._full = False
            self._fill()
            return session

    def _fill(self) -> None:
        missing = len(self._ready) < self.size
        if self._filler is None and missing and not (self._closed or self._full):
            self._error = None
            self._filler = threading.Thread(target=self._run, name="session-pool", daemon=True)
            self._filler.start()

    def _run(self) -> None:
        """Start sessions until the pool is full; this thread ends then."""
        try:
            while self._wanted():
                session = self._start()
                with self._changed:
                    closed = self._closed
                    if not closed:
                        self._ready.append(session)
                        self._changed.notify_all()
                if closed:
                    session.stop()
        except ContainersError as error:
            with self._changed:
                self._error, self._filler = error, None
                self._changed.notify_all()

    def _wanted(self) -> bool:
        """Return whether to start another session; if not, this thread is at its end."""
        with self._changed:
            ready = list(self._ready)
        # The next one is expected to use as much as the average of those there are.
        use = self._used(ready) if ready else 0
        with self._changed:
            self._full = bool(ready) and use + use / len(ready) > self.memory
            if len(self._ready) < self.size and not (self._closed or self._full):
                return True
            self._filler = None
            self._changed.notify_all()
            return False
