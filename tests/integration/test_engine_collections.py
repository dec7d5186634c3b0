"""The objects of an engine as tables; as collections: ``tests/conformance/test_engines.py``."""

from __future__ import annotations

import pandas as pd

from jupyter_containers.engine import Engine


def test_they_are_data_frames_with_numbers_and_times(engine: Engine, busybox: str) -> None:
    with engine.containers.run(
        busybox, ["sleep", "60"], name="framed", detach=True, network="none", label=["a=b"]
    ):
        frame = engine.containers.to_dataframe()
        row = frame.set_index("name").loc["framed"]
        assert (row["status"], row["labels"]) == ("running", {"a": "b"})
        assert row["created"] <= pd.Timestamp.now(tz="UTC")
        stats = pd.DataFrame(engine.containers.stats())
        assert stats.set_index("name").loc["framed", "memory_usage"] > 0
    images = engine.images.to_dataframe()
    assert images["size"].dtype.kind == "i"
    assert engine.images.get(busybox).name in images["name"].tolist()
