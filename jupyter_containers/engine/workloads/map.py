"""Runs one command over many items, in one container for each, several in parallel.

The *item* replaces ``{}`` in the command; without ``{}`` it is the last argument.  With ``stdin``
it is the input instead, with ``into`` an input variable (see :mod:`.data_exchange`).  Results are
in the order of the items.  The first item that fails after all retries, or an interrupt, ends all
running ones, and the call returns after their clean-up.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
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
_TASK = "map"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
# Errors that may be temporary; a wrong name or flag never is.
_PASSING = (ContainerFailedError, OCIRuntimeError, NetworkError, StorageError)


@dataclass(frozen=True, slots=True)
class Job:
    """The work for every item; ``run`` is the engine's, with all but the item bound."""

    run: Callable[..., RunResult]
    command: Sequence[str]
    stdin: bool = False
    into: str = ""
    retries: int = 0
    check: bool = True

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
        more: dict[str, Any] = {"cancel": cancel, "check": check}
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
        return self.run(command, **more)


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
        perform = self._job.perform
        futures: dict[Future[RunResult], int] = {
            pool.submit(perform, item, self._cancel): index
            for index, item in enumerate(self._items)
        }
        pending = set(futures)
        while pending:
            self._cancel.check()
            finished, pending = wait(pending, timeout=0.05, return_when=FIRST_COMPLETED)
            for future in sorted(finished, key=futures.__getitem__):
                self._take(futures[future], future)
            if finished:
                count = len(self._items) - len(pending)
                self._emit(TaskProgress(_TASK, count, len(self._items), "Running"))

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
