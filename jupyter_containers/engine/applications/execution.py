"""Executes a plan with the engine's services, several steps at a time.

A step runs when its dependencies are done.  After the first failure no step begins, and
those under way finish.  Waiting for a health check holds no thread: the loop polls it.
"""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from jupyter_containers.engine.applications.observed import Seen
from jupyter_containers.engine.applications.steps import Await, Plan, Step
from jupyter_containers.engine.applications.works import Means, Works, tasks_of
from jupyter_containers.engine.interrupts import deferred

_WORKERS = 8
_FIRST_LOOK, _LAST_LOOK = 0.01, 0.1


def carry_out(plan: Plan, seen: Seen, means: Means, *, timeout: float | None = None) -> None:
    """Execute a plan; raise the first failure once all steps under way have ended.

    ``timeout`` limits the wait for health (``--wait``), in seconds.
    """
    means.reporter.warn_all(plan.warnings)
    if len(plan):
        _Run(plan, seen, means, timeout).go()


class _Run:
    """The execution of one plan."""

    def __init__(self, plan: Plan, seen: Seen, means: Means, timeout: float | None) -> None:
        self._means = means
        self._left = {step.key: len(step.needs) for step in plan}
        self._steps = {step.key: step for step in plan}
        self._after: dict[str, list[str]] = {}
        for step in plan:
            for need in step.needs:
                self._after.setdefault(need, []).append(step.key)
        last = {task: step.key for step in plan for task in tasks_of(step.action)}
        self._works = Works(means, seen, last)
        self._awaited: list[Step] = []
        self._deadline = time.monotonic() + timeout if timeout else None
        self._patience = timeout or 0.0
        self._look = _FIRST_LOOK

    def go(self) -> None:
        ready = [key for key, count in self._left.items() if not count]
        running: dict[Future[None], str] = {}
        pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="compose")
        try:
            while ready or running or self._awaited:
                self._means.cancel.check()
                for key in ready:
                    self._begin(self._steps[key], pool, running)
                ready = self._now_ready(running)
        except BaseException as error:
            with deferred(error):
                self._means.cancel.cancel()
                pool.shutdown(cancel_futures=True)
            raise
        pool.shutdown()

    def _is_met(self, step: Step) -> bool:
        return self._works.is_met(step, self._deadline, self._patience)

    def _begin(
        self, step: Step, pool: ThreadPoolExecutor, running: dict[Future[None], str]
    ) -> None:
        if isinstance(step.action, Await):
            self._works.waiting(step.action)
            self._awaited.append(step)
            self._look = _FIRST_LOOK
        else:
            running[pool.submit(self._works.perform, step)] = step.key

    def _now_ready(self, running: dict[Future[None], str]) -> list[str]:
        """Wait a moment for a step to end; return the steps that can begin."""
        done = [step.key for step in self._awaited if self._is_met(step)]
        self._awaited = [step for step in self._awaited if step.key not in done]
        if not done and running:
            timeout = self._look if self._awaited else 0.05
            finished, _ = wait(running, timeout=timeout, return_when=FIRST_COMPLETED)
            for future in finished:
                future.result()
                done.append(running.pop(future))
        elif not done and self._awaited:
            self._means.cancel.wait(self._look)
        self._look = _FIRST_LOOK if done else min(self._look * 1.5, _LAST_LOOK)
        ready = []
        for key in done:
            for other in self._after.get(key, ()):
                self._left[other] -= 1
                if not self._left[other]:
                    ready.append(other)
        return ready
