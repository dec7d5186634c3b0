"""Lists of the engine's values as pandas DataFrames; pandas is imported on first use.

Columns are the values' attributes: sizes in bytes, times as UTC timestamps, CPU in percent of one
CPU as a float, names and ports as lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from jupyter_containers.errors import UnsupportedError

CONTAINER_FIELDS = (
    *("short_id", "name", "image", "command", "created", "status", "health", "exit_code"),
    *("oom_killed", "ports", "networks", "ip_address", "labels"),
)
IMAGE_FIELDS = ("short_id", "name", "names", "created", "size", "os", "architecture", "digest")
STATS_FIELDS = (
    *("container_id", "name", "cpu_percent", "memory_usage", "memory_limit", "memory_percent"),
    *("network_rx", "network_tx", "block_read", "block_write", "pids", "pids_limit", "oom_kills"),
)


def pandas_module() -> Any:
    """Return pandas; raise :class:`UnsupportedError` if it is not installed."""
    try:
        import pandas as pd
    except ImportError as error:
        raise UnsupportedError(
            "to_dataframe needs pandas, which is not installed here",
            capability="pandas",
            provided_by="pip install pandas",
        ) from error
    return pd


def frame_of(items: Iterable[object], fields: Sequence[str]) -> Any:
    """Return a row for each item, with its attributes as columns: numbers, times and lists."""
    rows = [{name: getattr(item, name) for name in fields} for item in items]
    pd = pandas_module()
    frame = pd.DataFrame(rows, columns=[*fields])
    if "created" in fields:
        # Keep the column's type even if some or all values are missing.
        frame["created"] = pd.to_datetime(frame["created"], utc=True, format="ISO8601")
    return frame
