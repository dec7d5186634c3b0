from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jupyter_containers.commands.render.quantities import ago, timestamp


def test_ago() -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert ago(now - timedelta(minutes=5), now) == "5 minutes ago"
    assert ago(now + timedelta(minutes=5), now) == "Less than a second ago"
    assert ago(None) == "N/A"
    assert timestamp(None) == "N/A"
