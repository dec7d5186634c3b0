from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.options.moments import parse_moment

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10m", datetime(2026, 1, 2, 11, 50, tzinfo=UTC)),
        ("1h30m", datetime(2026, 1, 2, 10, 30, tzinfo=UTC)),
        ("2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
        ("1700000000", datetime.fromtimestamp(1700000000, UTC)),
        ("1700000000.5", datetime.fromtimestamp(1700000000.5, UTC)),
    ],
)
def test_moments(text: str, expected: datetime) -> None:
    assert parse_moment(text, "since", NOW) == expected


def test_a_date_without_a_zone_is_local() -> None:
    assert parse_moment("2026-01-01", "since") == datetime(2026, 1, 1).astimezone()
    with pytest.raises(InvalidArgumentError, match="invalid since: 'yesterday'"):
        parse_moment("yesterday", "since")
