from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jupyter_containers.engine.images.selection import PRUNING, Selection
from jupyter_containers.errors import ImageNotFoundError, InvalidArgumentError
from jupyter_containers.oci.descriptor import MANIFEST, Descriptor, Platform
from jupyter_containers.store import ImageRecord


def image(created: str, **labels: str) -> ImageRecord:
    digest = "sha256:" + "0" * 64
    return ImageRecord(
        Descriptor(MANIFEST, digest, 1),
        digest,
        Platform("amd64", "linux"),
        created=created,
        labels=labels,
    )


OLD, NEW = (
    image("2024-01-01T00:00:00Z", tier="base"),
    image("2025-06-01T00:00:00Z", tier="app", x=""),
)
NAMES = {
    "docker.io/library/busybox:latest": "",
    "docker.io/team/app:1.2": "",
    "localhost:5000/team/app:2": "",
}


def find(text: str) -> ImageRecord:
    if text not in ("old", "new"):
        raise ImageNotFoundError(text)
    return OLD if text == "old" else NEW


@pytest.mark.parametrize(
    ("filters", "old", "new"),
    [
        ({"before": ["new"]}, True, False),
        ({"since": ["old"]}, False, True),
        ({"since": ["new"]}, False, False),
        ({"until": ["2025-01-01"]}, True, False),
        ({"label": ["tier"]}, True, True),
        ({"label": ["tier=app"]}, False, True),
        ({"label": ["tier", "x"]}, False, True),
        ({"dangling": ["true"]}, False, False),
        ({"dangling": ["false"]}, True, True),
        ({"label": ["tier"], "before": ["new"]}, True, False),
    ],
)
def test_filters(filters: dict[str, list[str]], old: bool, new: bool) -> None:
    selection = Selection(filters, find)
    assert (selection.names(OLD, NAMES) is not None) is old
    assert (selection.names(NEW, NAMES) is not None) is new
    assert datetime.now(UTC).year > 2025


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("busybox", 1), ("busybox:latest", 1), ("busybox:1", 0), ("*", 1), ("*/*", 1),
        ("team/app", 1), ("team/app:1.?", 1), ("*/*/app", 1), ("localhost:5000/team/*", 1),
        ("b[a-z]sybox", 1), ("b[^u]sybox", 0), ("team/app:[0-9].[0-9]", 1), ("team", 0),
    ],
)  # fmt: skip
def test_a_reference_leaves_out_other_names(pattern: str, count: int) -> None:
    names = Selection({"reference": [pattern]}, find).names(OLD, NAMES)
    assert len(names or ()) == count


def test_a_dangling_image_and_wrong_filters() -> None:
    assert Selection({"dangling": ["true"]}, find).names(OLD, {}) == {}
    assert Selection({"label!": ["tier=base"]}, find, PRUNING).accepts(NEW)
    assert not Selection({"label!": ["tier=base"]}, find, PRUNING).accepts(OLD)
    for filters in ({"size": ["1"]}, {"dangling": ["maybe"]}, {"until": ["x"]}, {"label!": ["x"]}):
        with pytest.raises(InvalidArgumentError):
            Selection(filters, find)
    with pytest.raises(ImageNotFoundError):
        Selection({"before": ["missing"]}, find)
