from __future__ import annotations

import os
import threading
from pathlib import Path

from jupyter_containers.store.owner import Owner
from jupyter_containers.store.staging import Staging


def test_a_sweep_takes_what_the_dead_left_and_nothing_else(tmp_path: Path) -> None:
    dead = Owner(os.getpid(), 1, "00000000")
    for name in (f"{dead}.a", f"{dead}.b", f"{Owner.current()}.mine", "not ours"):
        (tmp_path / name / "folder").mkdir(parents=True)
    assert Staging(tmp_path).sweep() == 2
    assert sorted(os.listdir(tmp_path)) == sorted([f"{Owner.current()}.mine", "not ours"])


def test_what_is_being_deleted_belongs_to_who_deletes_it(tmp_path: Path) -> None:
    """Many sweep the same at once: each entry is deleted by one of them, wholly."""
    dead = Owner(os.getpid(), 1, "00000000")
    for number in range(20):
        for name in range(20):
            (tmp_path / f"{dead}.{number}" / f"{name}").mkdir(parents=True)
    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda: counts.append(Staging(tmp_path).sweep())) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == 8, "nobody failed"
    assert os.listdir(tmp_path) == []
