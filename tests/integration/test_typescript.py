from __future__ import annotations

from pathlib import Path

import pytest

from tests.typescript import LABEXTENSION, TARGETS


@pytest.mark.parametrize("target", TARGETS, ids=lambda path: str(path.relative_to(LABEXTENSION)))
def test_the_browsers_side_has_what_the_kernels_has(target: Path) -> None:
    # Made again by: python -m tests.typescript
    assert target.read_text(encoding="utf-8") == TARGETS[target]()
