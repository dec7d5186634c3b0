"""Runs a cell's Python text inside a container, between its inputs and its results.

This file is copied into the container and run there: it imports nothing from this package and works
on Python 3.7 or newer, with or without pandas and numpy.  Beside it are ``plan.json`` (the
variables and the requested results) and ``cell.py``.  If a value cannot be loaded or stored, it
prints one line on standard error and exits with code 1.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from jupyter_containers.lazy_modules import csv, json, shutil

HINTS = ".kinds.json"  # not derivable from the suffix of a result's file


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


def load(name: str, path: str, kind: str, index: int) -> Any:
    """Return the value in a file; ``index`` counts its columns of row labels."""
    if kind in ("frame", "series"):
        return _load_table(name, path, kind, index)
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


def _load_table(name: str, path: str, kind: str, index: int) -> Any:
    pandas = optional("pandas")
    try:
        if pandas is not None and path.endswith(".parquet"):
            table = pandas.read_parquet(path)
        elif pandas is not None:
            separator = "\t" if path.endswith(".tsv") else ","
            table = pandas.read_csv(path, sep=separator, index_col=[*range(index)] or None)
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
        return {"kind": kind, "index": _store_table(value, path, parquet)}
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


def _store_table(value: Any, path: str, parquet: bool) -> int:
    frame = value if hasattr(value, "columns") else value.to_frame()
    if parquet:
        try:
            frame.to_parquet(path + ".parquet")
        except ImportError:
            pass  # fall back to CSV
        else:
            return 0
    labelled = not _counts(frame.index)
    frame.to_csv(path + ".csv", index=labelled)
    return int(frame.index.nlevels) if labelled else 0


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
