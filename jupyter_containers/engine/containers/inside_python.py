"""Runs a cell's Python text inside a container, between the values that go in and come back.

This file is copied into the container and is a program there: it imports nothing of this package
and runs on any Python from 3.7 on, with or without pandas and numpy.  Beside it lie ``plan.json``
(what the variables are and which results are wanted) and ``cell.py``.  A message about a value that
cannot be loaded or stored is one line on standard error, exit code 1.
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

HINTS = ".kinds.json"  # what the suffix of a result's file does not tell


def optional(name: str) -> Any:
    """Return a module, or None where the image has none of that name."""
    try:
        return import_module(name)
    except ImportError:
        return None


def give_up(message: str) -> None:
    """End with one line."""
    sys.stderr.write(message + "\n")
    raise SystemExit(1)


def load(name: str, path: str, kind: str, index: int) -> Any:
    """Return the value that a file holds; ``index`` counts its columns that are row labels."""
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
            f"{name} is handed over as Parquet, and this image has no pandas with pyarrow; "
            f"hand it over as CSV: -i {name}={name}.csv"
        )
    if kind == "series":
        return [*table.values()][-1] if pandas is None else table.iloc[:, 0]
    return table


def columns_of(path: str) -> dict[str, list[Any]]:
    """Return a CSV file as a dict of columns; a column of numbers only has numbers."""
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
    """Write a value where results are looked for; return what its suffix does not tell."""
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
            pass  # then it is CSV
        else:
            return 0
    labelled = not _counts(frame.index)
    frame.to_csv(path + ".csv", index=labelled)
    return int(frame.index.nlevels) if labelled else 0


def _counts(index: Any) -> bool:
    """Return whether rows are only numbered."""
    return type(index).__name__ == "RangeIndex" and index.start == 0 and index.step == 1


def _store_json(name: str, value: Any, path: str) -> None:
    try:
        text = json.dumps(value, default=lambda item: item.item())  # a number of numpy
    except (AttributeError, TypeError, ValueError):
        give_up(
            f"cannot hand back {name}: {type(value).__name__} is none of DataFrame, Series, array, "
            "dict, list, number, str, bytes, Path, figure"
        )
    else:
        Path(path + ".json").write_text(text, encoding="utf-8")


def main(here: Path) -> None:
    """Load the inputs, run the cell, store the results."""
    plan = json.loads((here / "plan.json").read_text(encoding="utf-8"))
    # Copying bytecode is nobody's wish, and the folder is read-only.
    sys.argv, sys.path[0], sys.dont_write_bytecode = ["cell.py"], "", True
    variables: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__}
    for entry in plan["inputs"]:
        variables[entry["name"]] = load(**entry)
    cell = here / "cell.py"
    try:
        exec(compile(cell.read_text(encoding="utf-8"), str(cell), "exec"), variables)  # noqa: S102  # what this program is for
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001  # reported as the interpreter would
        kind, trace = type(error), error.__traceback__
        # The first frame is this one.
        traceback.print_exception(kind, error, trace.tb_next if trace else None)
        raise SystemExit(1) from None
    hints = {}
    for name in plan["results"]:
        if name not in variables:
            give_up(f"the cell has not set {name}, which is to be handed back")
        hints[name] = store(name, variables[name], plan["folder"], plan["parquet"])
    (Path(plan["folder"]) / HINTS).write_text(json.dumps(hints), encoding="utf-8")


if __name__ == "__main__":
    main(Path(__file__).resolve().parent)
