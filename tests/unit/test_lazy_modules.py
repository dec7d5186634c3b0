from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from jupyter_containers import lazy_modules


def test_a_module_is_whole_for_every_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed in a whole run: the second thread took the half-made module from ``sys.modules``."""
    (tmp_path / "slow_to_import.py").write_text("import time\ntime.sleep(0.3)\nvalue = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = lazy_modules._Lazy("slow_to_import")
    together = Barrier(4)

    def use() -> object:
        together.wait()
        return module.value

    try:
        with ThreadPoolExecutor(4) as pool:
            found = [pool.submit(use) for _ in range(4)]
            assert [one.result() for one in found] == [1] * 4
    finally:
        sys.modules.pop("slow_to_import", None)
