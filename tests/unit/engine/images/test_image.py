from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from jupyter_containers.engine.units import parse_time
from jupyter_containers.oci.image import rfc3339


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-02-03T04:05:06Z", datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC)),
        (
            "2024-02-03T04:05:06.123456789Z",
            datetime(2024, 2, 3, 4, 5, 6, 123456, tzinfo=UTC),
        ),
        (
            "2024-02-03T04:05:06.5+02:00",
            datetime(2024, 2, 3, 4, 5, 6, 500000, tzinfo=timezone(timedelta(hours=2))),
        ),
        ("", None),
        ("yesterday", None),
        ("2024-13-03T04:05:06Z", None),
    ],
)
def test_times(text: str, expected: datetime | None) -> None:
    assert parse_time(text) == expected


def test_a_written_time_reads_back() -> None:
    assert rfc3339(1700000000.25) == "2023-11-14T22:13:20.25Z"
    assert rfc3339(1700000000) == "2023-11-14T22:13:20Z"
    assert rfc3339(0) == "1970-01-01T00:00:00Z"
    parsed = parse_time(rfc3339(1700000000.25))
    assert parsed is not None
    assert parsed.timestamp() == 1700000000.25
