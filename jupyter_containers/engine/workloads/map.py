"""Runs one command over many items, in one container for each, several in parallel.

The *item* replaces ``{}`` in the command; without ``{}`` it is the last argument.  With ``stdin``
it is the input instead, with ``into`` an input variable (see :mod:`.data_exchange`).  Results are
in the order of the items.  The first item that fails after all retries, or an interrupt, ends all
running ones, and the call returns after their clean-up.
"""

from __future__ import annotations

import os
import queue
import shlex
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from jupyter_containers.engine.interrupts import answered, deferred
from jupyter_containers.engine.results import RunResult
from jupyter_containers.errors import (
    ContainerFailedError,
    ContainersError,
    InvalidArgumentError,
    ItemFailedError,
    NetworkError,
    OCIRuntimeError,
    OperationCancelledError,
    StorageError,
)
from jupyter_containers.events import (
    CancelToken,
    EventSink,
    TaskFinished,
    TaskProgress,
    TaskStarted,
)
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import json
from jupyter_containers.options import RunOptions

PLACE = "{}"
TIMED_OUT = 124  # as timeout(1)
_TASK = "map"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
# Errors that may be temporary; a wrong name or flag never is.
_PASSING = (ContainerFailedError, OCIRuntimeError, NetworkError, StorageError)


class Deadline(CancelToken):
    """A token that is cancelled with another one, or after a time."""

    __slots__ = ("_end", "_outer")

    def __init__(self, outer: CancelToken, seconds: float) -> None:
        super().__init__()
        self._outer, self._end = outer, time.monotonic() + seconds

    @property
    def cancelled(self) -> bool:
        """True after :meth:`cancel`, that of the other token, or the end of the time."""
        return super().cancelled or self._outer.cancelled or time.monotonic() >= self._end

    def check(self) -> None:
        """Raise :class:`OperationCancelledError` if the token is cancelled."""
        if self.cancelled:
            raise OperationCancelledError("cancelled")

    def wait(self, seconds: float) -> bool:
        """Sleep up to ``seconds``; return True as soon as the token is cancelled."""
        until = time.monotonic() + seconds
        while not self.cancelled and (left := min(until, self._end) - time.monotonic()) > 0:
            self._outer.wait(min(left, 0.1))
        return self.cancelled


@dataclass(frozen=True, slots=True)
class Job:
    """The work for every item; ``run`` is the engine's, with all but the item bound."""

    run: Callable[..., RunResult]
    command: Sequence[str]
    stdin: bool = False
    into: str = ""
    retries: int = 0
    check: bool = True
    timeout: float | None = None

    def perform(self, item: Any, cancel: CancelToken) -> RunResult:
        """Run one item, with retries; return the result of its container."""
        pause = _FIRST_PAUSE
        for attempt in range(self.retries + 1):
            cancel.check()
            last = attempt == self.retries
            try:
                result = self._once(item, cancel, check=self.check and last)
                if last or result.exit_code == 0:
                    return result
            except _PASSING:
                if last:
                    raise
            if cancel.wait(pause):
                cancel.check()
            pause = min(2 * pause, _LONGEST_PAUSE)
        raise AssertionError("the last attempt returns or raises")

    def _once(self, item: Any, cancel: CancelToken, *, check: bool) -> RunResult:
        token = cancel if self.timeout is None else Deadline(cancel, self.timeout)
        more: dict[str, Any] = {"cancel": token, "check": check}
        command = list(self.command)
        if self.into:
            more["inputs"] = {self.into: item}
        elif self.stdin:
            more["stdin"] = as_input(item)
        elif any(PLACE in word for word in command):
            command = [word.replace(PLACE, str(item)) for word in command]
        elif isinstance(item, (tuple, list)):
            command += map(str, item)
        else:
            command.append(str(item))
        try:
            return self.run(command, **more)
        except OperationCancelledError:
            if self.timeout is None or cancel.cancelled:
                raise
        if not check:
            return RunResult(TIMED_OUT)
        raise ContainerFailedError(
            f"it took more than {self.timeout:g} seconds", exit_code=TIMED_OUT
        )


def check_request(
    stdin: bool, into: str, workers: int | None, retries: int, *, single: bool
) -> None:
    """Raise :class:`InvalidArgumentError` for what ``map`` cannot do in any backend.

    ``single`` is true for options of one container: detached, with a terminal or a name.
    """
    if stdin and into:
        raise InvalidArgumentError("an item is an input or a variable, not both")
    if (workers is not None and workers < 1) or retries < 0:
        raise InvalidArgumentError("workers must be at least 1, retries at least 0")
    if single:
        raise InvalidArgumentError(
            "map runs many containers and waits for them: omit detach, tty and name"
        )


def title_of(image: str, command: Sequence[str]) -> str:
    """Return a title for the progress: the image and the command."""
    return " ".join(shlex.quote(word) if " " in word else word for word in (image, *command))


def as_input(item: Any) -> bytes:
    """Return an item as a container's input: text in UTF-8, dicts and lists as JSON."""
    if isinstance(item, (bytes, bytearray, memoryview)):
        return bytes(item)
    if isinstance(item, Path):
        return item.read_bytes()
    return (item if isinstance(item, str) else json.dumps(item)).encode()


def carry_out(
    job: Job, items: Sequence[Any], workers: int, title: str, emit: EventSink, cancel: CancelToken
) -> list[RunResult]:
    """Return the results of all items, in the order of the items.

    Raises :class:`ItemFailedError` for the first one that fails after all retries.
    """
    work = _Work(job, items, title, emit, cancel)
    pool = ThreadPoolExecutor(max(1, workers), thread_name_prefix="map")
    try:
        work.go(pool)
    except BaseException as error:
        with deferred(error):
            cancel.cancel()
            pool.shutdown(cancel_futures=True)
            done = sum(result is not None for result in work.results)
            failed = isinstance(error, ItemFailedError)
            emit(TaskFinished(_TASK, "failed" if failed else "cancelled"))
            note = f"{work.count_text(done)} were done, no container is left"
            error.add_note(note)
        if isinstance(error, KeyboardInterrupt):
            raise answered(f"map was interrupted: {note}") from error
        raise
    pool.shutdown()
    emit(TaskFinished(_TASK))
    return [result for result in work.results if result is not None]


class _Work:
    """The items in progress and their results."""

    def __init__(
        self, job: Job, items: Sequence[Any], title: str, emit: EventSink, cancel: CancelToken
    ) -> None:
        self._job, self._items, self._emit, self._cancel = job, items, emit, cancel
        self.results: list[RunResult | None] = [None] * len(items)
        emit(TaskStarted(_TASK, title, len(items), "items"))

    def count_text(self, done: int) -> str:
        """Return the number of finished items as text."""
        return f"{done} of {len(self._items)} items"

    def go(self, pool: ThreadPoolExecutor) -> None:
        """Wait for all items, noticing a front end's interrupt at once."""
        perform, ended = self._job.perform, queue.SimpleQueue[int]()
        futures: list[Future[RunResult]] = []
        for index, item in enumerate(self._items):
            futures.append(pool.submit(perform, item, self._cancel))
            futures[index].add_done_callback(lambda _, index=index: ended.put(index))  # type: ignore[misc]  # mypy infers no lambda with a default
        for count in range(1, len(futures) + 1):
            index = self._next(ended)
            self._take(index, futures[index])
            self._emit(TaskProgress(_TASK, count, len(futures), "Running"))

    def _next(self, ended: queue.SimpleQueue[int]) -> int:
        """Return the index of an item that has ended, noticing a front end's interrupt at once."""
        while True:
            self._cancel.check()
            with suppress(queue.Empty):
                return ended.get(timeout=0.05)

    def _take(self, index: int, future: Future[RunResult]) -> None:
        try:
            self.results[index] = future.result()
        except OperationCancelledError:
            raise
        except ContainersError as error:
            done = sum(result is not None for result in self.results)
            failure = ItemFailedError(
                f"item {index} ({_short(self._items[index])}) failed: {error.message}",
                index=index,
                item=self._items[index],
                results=self.results,
                error=error,
                hint="; ".join(filter(None, (error.hint, f"{self.count_text(done)} were done"))),
            )
            raise failure from error


def _short(item: object) -> str:
    text = repr(item)
    return text if len(text) <= 40 else f"{text[:39]}…"


def default_workers(options: RunOptions) -> int:
    """Return the number of containers with these limits that this machine can run at once.

    One per available CPU (or per ``cpus``), further limited by the available memory if each has a
    memory limit.
    """
    cpus = len(os.sched_getaffinity(0))
    count = int(cpus / options.cpus) if options.cpus else cpus
    if options.memory:
        count = min(count, available_memory() // options.memory)
    return max(1, count)


def available_memory() -> int:
    """Return the bytes that can be used without swapping (proc(5), MemAvailable)."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) * 1024
    raise InvalidArgumentError("/proc/meminfo has no MemAvailable")
