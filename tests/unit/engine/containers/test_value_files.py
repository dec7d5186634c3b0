from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jupyter_containers.engine.containers import inside_python, value_files
from jupyter_containers.errors import InvalidArgumentError, VerificationError

PARQUET = pytest.mark.skipif(not value_files.reads_parquet(), reason="needs pyarrow: scripts/setup")
FRAME = pd.DataFrame({"n": [1, 2], "w": ["a", 'b "c"']}, index=pd.Index(["x", "y"], name="k"))
VALUES: list[Any] = [
    pytest.param("frame.parquet", FRAME, marks=PARQUET, id="frame.parquet"),
    ("frame.csv", FRAME),
    ("frame.tsv", FRAME),
    ("counted.csv", FRAME.reset_index(drop=True)),
    pytest.param("series.parquet", FRAME["n"], marks=PARQUET, id="series.parquet"),
    ("series.csv", FRAME["n"]),
    ("array.npy", np.arange(6).reshape(2, 3)),
    ("nested.json", {"a": [1, 2.5, None, "ü"]}),
    ("number.json", np.float64(1.5)),
    ("text.txt", "ü\n"),
    ("bytes.bin", b"\0\xff"),
]


def same(left: Any, right: Any) -> bool:
    if isinstance(left, (pd.DataFrame, pd.Series)):
        return type(left) is type(right) and bool(left.equals(right))
    if isinstance(left, np.ndarray):
        return bool(np.array_equal(left, right))
    return bool(left == right)


@pytest.mark.parametrize(("name", "value"), VALUES)
def test_a_value_comes_back_from_its_file(tmp_path: Path, name: str, value: Any) -> None:
    written = value_files.write("v", value, tmp_path / name)
    hints = {"kind": written.kind, "index": written.index}
    assert same(value, value_files.value_of(name, (tmp_path / name).read_bytes(), hints))


@pytest.mark.parametrize(("name", "value"), VALUES)
def test_the_program_inside_reads_and_writes_the_same_files(
    tmp_path: Path, name: str, value: Any
) -> None:
    written = value_files.write("v", value, tmp_path / name)
    inside = inside_python.load("v", str(tmp_path / name), written.kind, written.index)
    assert same(value, inside)
    (tmp_path / "out").mkdir()
    hints = inside_python.store(
        "v", inside, str(tmp_path / "out"), parquet=value_files.reads_parquet()
    )
    [file] = (tmp_path / "out").iterdir()
    assert same(value, value_files.value_of(file.name, file.read_bytes(), hints))


def test_without_pandas_a_table_is_a_dict_of_columns(tmp_path: Path) -> None:
    frame = pd.DataFrame({"i": [1, 2], "f": [0.5, None], "w": ["a", "b,c"]})
    value_files.write("v", frame, tmp_path / "v.csv")
    assert inside_python.columns_of(str(tmp_path / "v.csv")) == {
        "i": [1, 2],
        "f": [0.5, None],
        "w": ["a", "b,c"],
    }


@pytest.mark.parametrize("value", [object(), {1, 2}, len, sys])
def test_what_cannot_cross_is_refused(value: object) -> None:
    assert value_files.kind_of(value) is None
    with pytest.raises(InvalidArgumentError, match=f"v cannot .*{type(value).__name__}"):
        value_files.file_name("v", value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("v.json", {"a": object()}),
        ("v.npy", np.array([object()])),
        pytest.param("v.parquet", pd.DataFrame({"a": [object()]}), marks=PARQUET),
    ],
)
def test_what_a_format_cannot_hold_is_one_line(tmp_path: Path, name: str, value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="v cannot be written as"):
        value_files.write("v", value, tmp_path / name)


@pytest.mark.parametrize(
    "name", ["r.json", "r.npy", "r.txt", "r.jsonl", pytest.param("r.parquet", marks=PARQUET)]
)
def test_a_file_that_is_not_what_it_says_is_named(name: str) -> None:
    with pytest.raises(VerificationError, match=f"{name} is not what its suffix says"):
        value_files.value_of(name, b"\x80 nothing of the kind", {})


def test_nothing_that_could_hold_code_is_loaded() -> None:
    import pickle

    data = pickle.dumps([1])
    assert value_files.value_of("r.pkl", data, {}) == data
    with pytest.raises(VerificationError):
        value_files.value_of("r.npy", b"\x93NUMPY\x01\x00" + data, {})


def test_pandas_and_numpy_are_loaded_by_who_has_their_values_only() -> None:
    code = (
        "import sys; from jupyter_containers.engine.containers import value_files as v;"
        "[v.kind_of(x) for x in ('a', 1, {}, object())]; v.value_of('a.json', b'[1]', {});"
        "print({'pandas', 'numpy', 'pyarrow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_what_grows_when_it_is_unpacked_is_refused_before() -> None:
    """Before there was no limit: less than 1 MB of Parquet became 800 MB of numbers."""
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    file = io.BytesIO()
    batch = pyarrow.table({"n": pyarrow.array(np.zeros(1_000_000))})
    with parquet.ParquetWriter(file, batch.schema) as writer:
        for _ in range(100):
            writer.write_table(batch)
    packed = io.BytesIO()
    np.savez_compressed(packed, a=np.zeros(5_000_000))
    for name, data in (("r.parquet", file.getvalue()), ("r.npz", packed.getvalue())):
        assert len(data) < 1 << 20
        with pytest.raises(VerificationError, match=f"{name} would take .* once unpacked"):
            value_files.value_of(name, data, {}, limit=32 << 20)
    assert (
        value_files.value_of("r.npz", packed.getvalue(), {}, limit=64 << 20)["a"].size == 5_000_000
    )
    with pytest.raises(VerificationError, match="columns of row labels"):
        value_files.value_of("r.csv", b"a\n1\n", {"index": 10**9})
