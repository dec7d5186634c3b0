"""Runs a cell's Python text inside a container, between its inputs and its results.

This file is copied into the container and run there: it imports nothing from this package and works
on Python 3.7 or newer, with or without pandas and numpy.  Beside it are ``plan.json`` (the
variables and the requested results) and ``cell.py``.  If a value cannot be loaded or stored, it
prints one line on standard error and exits with code 1.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

HINTS = ".kinds.json"  # not derivable from the suffix of a result's file

_TEXTS = ("object", "str", "string", "category")
_NUMBERS = [f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)] + ["float32", "float64"]
_NULLABLE = [name.replace("int", "Int").replace("uI", "UI") for name in _NUMBERS[:8]]
_KINDS = ("bool", "boolean", "category", "Float32", "Float64", *_NUMBERS, *_NULLABLE)


def optional(name: str) -> Any:
    """Return a module, or None if the image does not have it."""
    try:
        return import_module(name)
    except ImportError:
        return None


def give_up(message: str) -> None:
    """Print a message on standard error and exit with code 1."""
    sys.stderr.write(message + "\n")
    raise SystemExit(1)


def load(name: str, path: str, kind: str, index: int, dtypes: Any = None) -> Any:
    """Return the value in a file; ``index`` counts its columns of row labels."""
    if kind in ("frame", "series"):
        return _load_table(name, path, kind, index, dtypes or {})
    if kind == "array":
        numpy = optional("numpy")
        if numpy is None:
            give_up(f"{name} is an array, and this image has no numpy (its file is {path})")
        return numpy.load(path, allow_pickle=False)
    if kind == "path":
        return Path(path)
    data = Path(path).read_bytes()
    if kind == "bytes":
        return data
    return json.loads(data) if kind == "json" else data.decode()


def _load_table(name: str, path: str, kind: str, index: int, dtypes: dict[str, str]) -> Any:
    pandas = optional("pandas")
    try:
        if pandas is not None and path.endswith(".parquet"):
            table = pandas.read_parquet(path)
        elif pandas is not None:
            separator = "\t" if path.endswith(".tsv") else ","
            table = typed_table(pandas, path, separator, [*range(index)] or None, dtypes)
        elif path.endswith(".parquet"):
            table = import_module("pyarrow.parquet").read_table(path).to_pydict()
        else:
            table = columns_of(path)
    except ImportError:
        give_up(
            f"{name} was passed as Parquet, and this image has no pandas with pyarrow; "
            f"hand it over as CSV: -i {name}={name}.csv"
        )
    if kind == "series":
        return [*table.values()][-1] if pandas is None else table.iloc[:, 0]
    return table


def typed_table(
    pandas: Any, source: Any, separator: str, index: Any, dtypes: dict[Any, Any]
) -> Any:
    """Return a CSV table with its columns' types: the names of pandas, ``date``, or unknown."""
    texts = {name: str for name, kind in dtypes.items() if kind in _TEXTS}
    options: Any = {"dtype": texts, "keep_default_na": False, "na_values": [""]} if dtypes else {}
    table = pandas.read_csv(source, sep=separator, index_col=index, **options)
    for name, kind in dtypes.items():
        if name not in table.columns or kind in ("object", "str", "string"):
            continue
        if str(kind).startswith("datetime64") or kind == "date":
            zone = "," in str(kind)
            table[name] = pandas.to_datetime(table[name], utc=True if zone else None)
        elif str(kind).startswith("timedelta64"):
            table[name] = pandas.to_timedelta(table[name])
        elif kind in _KINDS:
            table[name] = table[name].astype(kind)
    return table


def columns_of(path: str) -> dict[str, list[Any]]:
    """Return a CSV file as a dict of columns; columns of numbers are converted."""
    with open(path, newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file, "excel-tab" if path.endswith(".tsv") else "excel")
    return {name: _numbers([row[i] for row in rows]) for i, name in enumerate(head)}


def _numbers(texts: list[str]) -> list[Any]:
    kinds: tuple[Callable[[str], Any], ...] = (int, float)
    for kind in kinds:
        try:
            return [kind(text) if text else None for text in texts]
        except ValueError:
            continue
    return list(texts)


def store(name: str, value: Any, folder: str, parquet: bool) -> dict[str, Any]:
    """Write a value as a result; return the hints that its suffix does not give."""
    path = os.path.join(folder, name)
    pandas, numpy = sys.modules.get("pandas"), sys.modules.get("numpy")
    if pandas is not None and isinstance(value, (pandas.DataFrame, pandas.Series)):
        kind = "frame" if isinstance(value, pandas.DataFrame) else "series"
        return {"kind": kind, **_store_table(value, path, parquet)}
    if numpy is not None and isinstance(value, numpy.ndarray):
        numpy.save(path + ".npy", value, allow_pickle=False)
    elif hasattr(value, "savefig"):  # a figure of matplotlib
        value.savefig(path + ".png")
    elif isinstance(value, str):
        Path(path + ".txt").write_text(value, encoding="utf-8")
    elif isinstance(value, (bytes, bytearray)):
        Path(path + ".bin").write_bytes(value)
    elif isinstance(value, Path):
        if value.is_dir():
            shutil.copytree(str(value), path)
        else:
            shutil.copyfile(str(value), path + value.suffix)
    else:
        _store_json(name, value, path)
    return {}


def _store_table(value: Any, path: str, parquet: bool) -> dict[str, Any]:
    frame = value if hasattr(value, "columns") else value.to_frame()
    if parquet:
        try:
            frame.to_parquet(path + ".parquet")
        except ImportError:
            pass  # fall back to CSV
        else:
            return {"index": 0}
    labelled = not _counts(frame.index)
    frame.to_csv(path + ".csv", index=labelled)
    types = {str(name): str(dtype) for name, dtype in frame.dtypes.items()}
    return {"index": int(frame.index.nlevels) if labelled else 0, "dtypes": types}


def _counts(index: Any) -> bool:
    """Return whether an index is just the row numbers."""
    return type(index).__name__ == "RangeIndex" and index.start == 0 and index.step == 1


def _store_json(name: str, value: Any, path: str) -> None:
    try:
        text = json.dumps(value, default=lambda item: item.item())  # a number of numpy
    except (AttributeError, TypeError, ValueError):
        give_up(
            f"cannot return {name}: {type(value).__name__} is not one of DataFrame, Series, array, "
            "dict, list, number, str, bytes, Path, figure"
        )
    else:
        Path(path + ".json").write_text(text, encoding="utf-8")


def main(here: Path) -> None:
    """Load the inputs, run the cell, store the results."""
    plan = json.loads((here / "plan.json").read_text(encoding="utf-8"))
    # Do not write bytecode: the folder is read-only.
    sys.argv, sys.path[0], sys.dont_write_bytecode = ["cell.py"], "", True
    variables: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__}
    for entry in plan["inputs"]:
        variables[entry["name"]] = load(**entry)
    cell = here / "cell.py"
    try:
        exec(compile(cell.read_text(encoding="utf-8"), str(cell), "exec"), variables)  # noqa: S102  # the purpose of this program
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001  # reported as the interpreter would
        kind, trace = type(error), error.__traceback__
        # Skip this file's frame.
        traceback.print_exception(kind, error, trace.tb_next if trace else None)
        raise SystemExit(1) from None
    hints = {}
    for name in plan["results"]:
        if name not in variables:
            give_up(f"the cell has not set {name}, which is a requested result")
        hints[name] = store(name, variables[name], plan["folder"], plan["parquet"])
    (Path(plan["folder"]) / HINTS).write_text(json.dumps(hints), encoding="utf-8")


if __name__ == "__main__":
    main(Path(__file__).resolve().parent)
