"""Values of the engine as a pandas DataFrame; pandas is loaded when one is asked for.

Columns have the names of the values' attributes: sizes are bytes, times are timestamps in UTC, CPU
is percent of one as a float, names and ports are lists.
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
    """Return pandas; raise :class:`UnsupportedError` where it is not installed."""
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
    """Return a row for each item, its attributes as columns: numbers, times and lists as such."""
    rows = [{name: getattr(item, name) for name in fields} for item in items]
    pd = pandas_module()
    frame = pd.DataFrame(rows, columns=[*fields])
    if "created" in fields:
        # Also where some have none, or none at all is there.
        frame["created"] = pd.to_datetime(frame["created"], utc=True, format="ISO8601")
    return frame
