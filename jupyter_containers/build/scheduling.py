"""Runs the needed stages in parallel, each once, in a separate thread.

A stage that continues another, or copies from it, waits for it at that very step and not before.
Stages only name earlier stages, so there is no deadlock.  The first failure (or an interrupt)
cancels the build's token; every thread has ended before the error is raised.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from jupyter_containers.errors import OperationCancelledError
from jupyter_containers.events import CancelToken

T = TypeVar("T")
_POLL_SECONDS = 0.05


class StageRuns(Generic[T]):
    """The stages of one build; ``build`` makes the stage of a number."""

    def __init__(self, build: Callable[[int], T], cancel: CancelToken) -> None:
        self._build = build
        self._cancel = cancel
        self._runs: dict[int, _Run[T]] = {}
        self._lock = threading.Lock()
        self._first_error: BaseException | None = None

    def run(self, needed: Sequence[int]) -> None:
        """Build the stages; raise the first failure."""
        self._runs = {index: _Run() for index in needed}
        if len(needed) == 1:
            # In the caller's own thread, so that an interrupt reaches the work.
            self._alone(needed[0])
            return
        threads = [
            threading.Thread(
                target=self._run_stage, args=(index,), name=f"stage-{index}", daemon=True
            )
            for index in needed
        ]
        for thread in threads:
            thread.start()
        try:
            self._wait()
        except BaseException:
            self._cancel.cancel()
            self._join_threads()
            raise
        finally:
            for thread in threads:
                thread.join()
        if self._first_error is not None:
            raise self._first_error

    def result(self, index: int) -> T:
        """Return the result of stage ``index`` as soon as it is finished.

        A stage that was not known to be needed (a trigger of a base image reads from it) is built
        here and now.
        """
        with self._lock:
            run = self._runs.get(index, _Run())
            unforeseen = index not in self._runs
            self._runs[index] = run
        if unforeseen:
            self._run_stage(index)
        while not run.ended.wait(_POLL_SECONDS):
            self._cancel.check()
        if run.result is None:
            raise OperationCancelledError("a stage that this one needs has failed")
        return run.result

    def _alone(self, index: int) -> None:
        try:
            self._runs[index].result = self._build(index)
        except OperationCancelledError:
            if self._first_error is not None:
                raise self._first_error from None
            raise
        finally:
            self._runs[index].ended.set()

    def _run_stage(self, index: int) -> None:
        run = self._runs[index]
        try:
            run.result = self._build(index)
        except BaseException as error:  # noqa: BLE001  # handed to the caller's thread
            with self._lock:
                cancelled = isinstance(error, OperationCancelledError)
                if self._first_error is None or (
                    not cancelled and isinstance(self._first_error, OperationCancelledError)
                ):
                    self._first_error = error
            self._cancel.cancel()
        finally:
            run.ended.set()

    def _wait(self) -> None:
        for run in list(self._runs.values()):
            run.ended.wait()

    def _join_threads(self) -> None:
        """Wait for every thread, however often the caller is interrupted."""
        while not all(run.ended.is_set() for run in list(self._runs.values())):
            with suppress(KeyboardInterrupt):
                self._wait()


class _Run(Generic[T]):
    """One stage in progress."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.result: T | None = None
