"""The short soak; the long one is ``scripts/soak``."""

from __future__ import annotations

from pathlib import Path

from tests.integration.soak import soak, soaked_place


def test_four_kernels_some_killed_leave_nothing(tmp_path: Path) -> None:
    with soaked_place(tmp_path) as place:
        outcome = soak(place, cycles=60, seed=7)
    assert outcome.left == {}
    assert outcome.cycles >= 60
    assert outcome.kernels_killed
