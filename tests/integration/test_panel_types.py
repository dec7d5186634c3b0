from __future__ import annotations

from tests.unit.panel.typescript import TARGET, typescript


def test_the_pages_types_agree_with_the_kernels() -> None:
    # Made anew by: python -m tests.unit.panel.typescript
    assert TARGET.read_text() == typescript()
