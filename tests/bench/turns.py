"""Measuring contestants in turns, so that whatever else the machine does hits all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Series:
    """Repeated measurements of one thing, in the unit of its row."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    @property
    def minimum(self) -> float:
        """The best value."""
        return min(self.values)


def seconds(work: Callable[[], object]) -> float:
    """Return how long ``work`` took."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def in_turns(
    contestants: Mapping[str, Callable[[], object]], *, rounds: int, warm_ups: int = 1
) -> dict[str, Series]:
    """Return the seconds of each contestant over ``rounds`` rounds of A B, B A, A B …"""
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(-warm_ups, rounds):
        order = list(contestants) if number % 2 == 0 else list(contestants)[::-1]
        for name in order:
            took = seconds(contestants[name])
            if number >= 0:
                found[name].append(took)
    return {name: Series(tuple(values)) for name, values in found.items()}
