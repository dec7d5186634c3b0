"""The short soaks; the long ones are ``scripts/soak``."""

from __future__ import annotations

from pathlib import Path

from tests.integration.kills import kill_calls
from tests.integration.soak import soak, soaked_place


def test_sixty_killed_calls_leave_nothing(tmp_path: Path) -> None:
    """Seen to fail: a volume whose prune was killed after its record had gone left its folder."""
    with soaked_place(tmp_path / "place") as place:
        killed = kill_calls(place, tmp_path, kills=60, seed=1)
    assert killed.left == {}
    assert killed.untrue == []
    assert killed.calls.total() > 50, killed.complaints


def test_four_kernels_some_killed_leave_nothing(tmp_path: Path) -> None:
    with soaked_place(tmp_path) as place:
        outcome = soak(place, cycles=60, seed=7)
    assert outcome.left == {}
    assert outcome.cycles >= 60
    assert outcome.kernels_killed
