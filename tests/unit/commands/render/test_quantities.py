from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jupyter_containers.commands.render.quantities import (
    ago,
    binary_size,
    human_duration,
    human_size,
    timestamp,
)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0B"),
        (999, "999B"),
        (1000, "1kB"),
        (4_262_000, "4.26MB"),
        (77_800_000, "77.8MB"),
        (187_000_000, "187MB"),
        (999_900, "1000kB"),
        (1_240_000_000, "1.24GB"),
    ],
)
def test_human_size(size: int, text: str) -> None:
    assert human_size(size) == text


def test_binary_size() -> None:
    assert binary_size(8_346_000_000) == "7.773GiB"
    assert binary_size(0) == "0B"
    assert binary_size(512 * 1024**2) == "512MiB"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (59 * 60, "59 minutes"),
        (3600, "About an hour"),
        (2 * 3600, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (13 * 86400, "13 days"),
        (14 * 86400, "2 weeks"),
        (59 * 86400, "8 weeks"),
        (60 * 86400, "2 months"),
        (729 * 86400, "24 months"),
        (730 * 86400, "2 years"),
    ],
)
def test_human_duration(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def test_ago() -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert ago(now - timedelta(minutes=5), now) == "5 minutes ago"
    assert ago(now + timedelta(minutes=5), now) == "Less than a second ago"
    assert ago(None) == "N/A"
    assert timestamp(None) == "N/A"
