"""Conversion between a notebook's values and files, for the exchange with a container.

Tables are Parquet if pyarrow is installed and CSV otherwise, arrays ``.npy``, dicts, lists and
numbers JSON.  Nothing is ever pickled: results are data, never code.  pandas and numpy are imported
only when a value needs them.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jupyter_containers.engine.units import binary_size
from jupyter_containers.errors import InvalidArgumentError, UnsupportedError, VerificationError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import json

if TYPE_CHECKING:
    from types import ModuleType

Kind = Literal["frame", "series", "array", "json", "text", "bytes", "path"]
_SUFFIXES = {"array": ".npy", "json": ".json", "text": ".txt", "bytes": ".bin"}
_MOST_INDEX_COLUMNS = 64
_TABLES = (".parquet", ".csv", ".tsv")
KINDS = "a DataFrame, Series, array, dict, list, number, str, bytes or pathlib.Path"


@dataclass(frozen=True, slots=True)
class Written:
    """The form in which a value was written: ``index`` counts a CSV's columns of row labels."""

    kind: Kind
    index: int = 0


class Picture(bytes):
    """The bytes of a PNG from a container, shown as a picture."""

    def _repr_png_(self) -> bytes:
        return bytes(self)

    def __repr__(self) -> str:
        return f"<Picture of {len(self)} bytes>"


def kind_of(value: object) -> Kind | None:
    """Return the kind of a value; None if it cannot be exchanged."""
    # A DataFrame exists only after pandas has been imported.
    pandas, numpy = sys.modules.get("pandas"), sys.modules.get("numpy")
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return "frame"
    if pandas is not None and isinstance(value, pandas.Series):
        return "series"
    if numpy is not None and isinstance(value, numpy.ndarray):
        return "array"
    plain: tuple[tuple[type | tuple[type, ...], Kind], ...] = (
        (Path, "path"),
        (str, "text"),
        ((bytes, bytearray, memoryview), "bytes"),
        ((dict, list, tuple, int, float, type(None)), "json"),
    )
    for kinds, kind in plain:
        if isinstance(value, kinds):
            return kind
    is_number = numpy is not None and isinstance(value, numpy.generic)
    return "json" if is_number else None


def reads_parquet() -> bool:
    """Return whether this kernel can read and write Parquet, without importing anything."""
    return find_spec("pyarrow") is not None


def file_name(name: str, value: object) -> str:
    """Return the file name of a variable; raise for a value that cannot be written."""
    kind = kind_of(value)
    if kind is None:
        raise InvalidArgumentError(
            f"{name} cannot be passed to a container: it is of type {type(value).__name__}",
            hint=f"a container accepts {KINDS}",
        )
    if kind == "path":
        return name + Path(str(value)).suffix
    if kind in ("frame", "series"):
        return name + (".parquet" if reads_parquet() else ".csv")
    return name + _SUFFIXES[kind]


def write(name: str, value: Any, file: Path) -> Written:
    """Write a value; for a table, the file's suffix chooses the format."""
    kind = kind_of(value)
    assert kind is not None  # file_name() has refused it
    try:
        if kind in ("frame", "series"):
            frame = value if kind == "frame" else value.to_frame()
            return Written(kind, _write_table(frame, file))
        _PLAIN[kind](value, file)
    except (TypeError, ValueError, ImportError, AttributeError) as error:
        another = kind == "frame" and file.suffix == ".parquet"
        raise InvalidArgumentError(
            f"{name} cannot be written as {file.suffix[1:]}: {error}",
            hint=f"write -i {name}={name}.csv" if another else f"a container accepts {KINDS}",
        ) from error
    return Written(kind)


def _write_table(frame: Any, file: Path) -> int:
    if file.suffix == ".parquet":
        frame.to_parquet(file)
        return 0
    if file.suffix == ".json":
        frame.to_json(file, orient="records")
        return 0
    index = frame.index
    counts = type(index).__name__ == "RangeIndex" and index.start == 0 and index.step == 1
    frame.to_csv(file, index=not counts, sep="\t" if file.suffix == ".tsv" else ",")
    return 0 if counts else int(index.nlevels)


def _write_array(value: Any, file: Path) -> None:
    sys.modules["numpy"].save(file, value, allow_pickle=False)


def _write_json(value: object, file: Path) -> None:
    # numpy's numbers convert themselves to Python's.
    text = json.dumps(value, ensure_ascii=False, default=lambda item: item.item())
    file.write_text(text, encoding="utf-8")


_PLAIN: Mapping[str, Callable[[Any, Path], object]] = {
    "array": _write_array,
    "json": _write_json,
    "text": lambda value, file: file.write_text(value, encoding="utf-8"),
    "bytes": lambda value, file: file.write_bytes(value),
}


def value_of(file_name: str, data: bytes, hints: Mapping[str, Any], limit: int = 0) -> Any:
    """Return the value of a file by its name; bytes if the suffix has no meaning.

    ``hints`` come from the program in the container.  With ``limit``, compressed tables and arrays
    may have at most so many bytes unpacked.  Raises :class:`VerificationError` for invalid
    contents, and :class:`UnsupportedError` if this kernel lacks the module to read them.
    """
    suffix = Path(file_name).suffix.lower()
    reader = _READERS.get(suffix)
    if reader is None:
        return data
    try:
        size = _UNPACKED[suffix](data) if limit and suffix in _UNPACKED else 0
    except Exception:  # noqa: BLE001  # the reader raises the error
        size = 0
    if size > limit:
        raise VerificationError(
            f"{file_name} would take {binary_size(size)} once unpacked, and no more than"
            f" {binary_size(limit)} are read",
            hint="write large files to a mounted folder (-v), or raise the setting"
            " result_max_bytes",
        )
    try:
        return reader(data, suffix, hints)
    except ImportError as error:
        raise UnsupportedError(
            f"{file_name} needs {error.name or 'a module'}, which is not installed here",
            capability=str(error.name),
            provided_by=f"pip install {error.name}",
        ) from error
    except Exception as error:  # libraries raise errors of any kind on hostile bytes
        first = str(error).partition("\n")[0]
        raise VerificationError(f"{file_name} is not what its suffix says: {first}") from error


def _read_table(data: bytes, suffix: str, hints: Mapping[str, Any]) -> Any:
    pandas: ModuleType = __import__("pandas")
    if suffix == ".parquet":
        __import__("pyarrow")
        table = pandas.read_parquet(io.BytesIO(data))
    else:
        index, separator = int(hints.get("index", 0)), "\t" if suffix == ".tsv" else ","
        if not 0 <= index <= _MOST_INDEX_COLUMNS:
            raise ValueError(f"{index} columns of row labels")
        table = pandas.read_csv(io.BytesIO(data), sep=separator, index_col=[*range(index)] or None)
    return table.iloc[:, 0] if hints.get("kind") == "series" else table


def _read_array(data: bytes, suffix: str, hints: Mapping[str, Any]) -> Any:
    del hints
    found = __import__("numpy").load(io.BytesIO(data), allow_pickle=False)
    return dict(found) if suffix == ".npz" else found


def _read_text(data: bytes, suffix: str, hints: Mapping[str, Any]) -> Any:
    del hints
    text = data.decode()
    if suffix == ".json":
        return json.loads(text)
    if suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    return text


def _read_picture(data: bytes, suffix: str, hints: Mapping[str, Any]) -> Any:
    del suffix, hints
    return Picture(data)


def _unpacked_parquet(data: bytes) -> int:
    """Return the unpacked size that a Parquet file declares, at least one byte per value."""
    parquet: Any = __import__("pyarrow.parquet").parquet
    about = parquet.read_metadata(io.BytesIO(data))
    groups = [about.row_group(number) for number in range(about.num_row_groups)]
    rows = max(about.num_rows, sum(group.num_rows for group in groups))
    # Runs of one value take almost no space in the file, but full space in a table.
    return int(max(sum(group.total_byte_size for group in groups), rows * about.num_columns))


def _unpacked_zip(data: bytes) -> int:
    import zipfile

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return sum(entry.file_size for entry in archive.infolist())


_UNPACKED: Mapping[str, Callable[[bytes], int]] = {
    ".parquet": _unpacked_parquet,
    ".npz": _unpacked_zip,
}
_READERS: Mapping[str, Callable[[bytes, str, Mapping[str, Any]], Any]] = {
    **dict.fromkeys(_TABLES, _read_table),
    **dict.fromkeys((".npy", ".npz"), _read_array),
    **dict.fromkeys((".json", ".jsonl", ".txt", ".md", ".log", ".svg"), _read_text),
    ".png": _read_picture,
}
