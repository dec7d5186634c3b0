"""Parallel work that one interrupt ends, with no thread left running."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from jupyter_containers.errors import OperationCancelledError
from jupyter_containers.events import CancelToken

T = TypeVar("T")
R = TypeVar("R")


def in_parallel(
    function: Callable[[T], R], items: Iterable[T], *, workers: int, cancel: CancelToken
) -> list[R]:
    """Return ``[function(item) for item in items]``, computed by ``workers`` threads.

    The first failure (or an interrupt) cancels ``cancel``; it is raised after all threads have
    ended, so that none writes in the background.  Failures caused by the cancellation itself never
    hide the first one.
    """
    todo = list(items)
    if len(todo) <= 1:
        return [function(item) for item in todo]
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="containers") as pool:
        futures = [pool.submit(function, item) for item in todo]
        whole = False
        try:
            whole = _wait(futures)
        finally:
            if not whole:
                cancel.cancel()
                pool.shutdown(wait=False, cancel_futures=True)
    failures = [
        error for future in futures if not future.cancelled() and (error := future.exception())
    ]
    for error in failures:
        if not isinstance(error, OperationCancelledError):
            raise error
    if failures:
        raise failures[0]
    return [future.result() for future in futures]


def _wait(futures: list[Future[R]]) -> bool:
    """Return whether all succeeded; False as soon as one failed."""
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=0.1, return_when=FIRST_EXCEPTION)
        if any(future.exception() for future in done):
            return False
    return True


def drain(thread: threading.Thread, cancel: CancelToken) -> None:
    """Wait for ``thread`` in steps short enough to notice an interrupt."""
    while thread.is_alive():
        cancel.check()
        thread.join(0.05)
