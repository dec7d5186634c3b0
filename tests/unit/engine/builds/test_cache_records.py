from __future__ import annotations

import time
from typing import Any

import pytest

from jupyter_containers.engine.builds.cache_records import PruneLimits
from jupyter_containers.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (None, PruneLimits()),
        (["until=1000", "type=regular"], PruneLimits(1000, types=("regular",))),
        ({"until": "1970-01-01T00:01:00+00:00"}, PruneLimits(60)),
    ],
)
def test_filters(filters: Any, expected: PruneLimits) -> None:
    assert PruneLimits.of(filters) == expected


def test_unknown_filters_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="label=x"):
        PruneLimits.of(["label=x"])


def test_an_age_counts_from_now() -> None:
    assert abs(PruneLimits.of("until=24h").until - (time.time() - 24 * 3600)) < 60
