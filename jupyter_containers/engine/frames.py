"""Values of the engine as a pandas DataFrame; pandas is loaded when one is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from jupyter_containers.errors import UnsupportedError


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
    return pandas_module().DataFrame(rows, columns=[*fields])
