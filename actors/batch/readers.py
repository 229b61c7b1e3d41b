"""Reading one file of any layout into columns: Parquet, Feather, JSON and CSV.

Columns are found by name (`actors.batch.values`); JSON and CSV may also be bare rows of time, open, high,
low, close and volume in this order, or of a time and a rate. No other column is read. Columns of Parquet
and of uncompressed Feather are not copied. pyarrow is imported by whoever calls: it is large, and the
trading process mostly needs none of it.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from actors.batch.values import (
    PRICES,
    RATE,
    as_floats,
    as_times,
    columns_of,
    float_times,
    is_number,
    place_of,
    sentence_of,
)
from engine.candles import Floats
from engine.errors import DataError

_WIDTH: Final = 6


@dataclass(frozen=True, slots=True)
class Rows:
    """A file's rows as they are: open times in ms, and the columns that were wanted, in that order.

    `lines` is where the first row stands in a text file (2 under a heading), 0 where there are no lines.
    """

    ts: npt.NDArray[np.int64]
    columns: tuple[Floats, ...]
    lines: int = 0

    def place(self, row: int) -> str:
        """How a user finds a row, given its number from 0."""
        return place_of(row, self.lines)


def read(path: Path, wanted: Sequence[str] = PRICES) -> Rows:
    """Read a file by the format its name tells: its times, and the columns `wanted` (keys of `NAMES`).

    Raises:
        DataError: it cannot be read, is not of its format, lacks a column, or has a value that is no
            number or no time; the text names the file and, where there is one, the row.
    """
    try:
        return _READERS[_format(path)](path, tuple(wanted))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None


def count(path: Path) -> int:
    """How many rows a file has, at little cost: by what Parquet and Feather say, else by the lines.

    A CSV's heading counts as a row. Raises as `read`.
    """
    try:
        match _format(path):
            case "parquet":
                import pyarrow.parquet as pq

                with _arrow_errors(path):
                    return int(pq.read_metadata(path).num_rows)
            case "feather":
                with _arrow_errors(path):
                    return int(_feather(path, [0]).num_rows)
            case "csv":
                with _text(path) as file:
                    return sum(1 for _ in file)
            case _:
                return len(read(path, ()).ts)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (UnicodeDecodeError, EOFError):
        raise DataError(f"{path} is no text file.") from None


def _format(path: Path) -> str:
    name = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    if name not in _READERS:
        raise DataError(f"{path}: files of this kind are not read; use {', '.join(FORMATS)}.")
    return name


# ---------------------------------------------------------------- Parquet and Feather


@contextmanager
def _arrow_errors(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, ValueError) as error:
        raise DataError(f"{path} is no whole {_format(path)} file: {sentence_of(error)}.") from None


def _read_parquet(path: Path, wanted: Sequence[str]) -> Rows:
    import pyarrow.parquet as pq

    with _arrow_errors(path), pq.ParquetFile(path) as file:
        names = list(file.schema_arrow.names)
        picked = columns_of(path, names, wanted)
        table = file.read(columns=picked, use_threads=False)
        table = table.select(picked)
    return _rows_of(path, table, wanted)


def _read_feather(path: Path, wanted: Sequence[str]) -> Rows:
    import pyarrow as pa

    with _arrow_errors(path):
        with pa.OSFile(str(path)) as source:
            names = list(pa.ipc.open_file(source).schema.names)
        picked = columns_of(path, names, wanted)
        table = _feather(path, sorted(names.index(name) for name in picked)).select(picked)
    return _rows_of(path, table, wanted)


def _feather(path: Path, fields: list[int]) -> Any:
    import pyarrow as pa
    import pyarrow.ipc

    options = pyarrow.ipc.IpcReadOptions(included_fields=fields, use_threads=False)
    with pa.OSFile(str(path)) as source:
        return pyarrow.ipc.open_file(source, options=options).read_all()


def _rows_of(path: Path, table: Any, wanted: Sequence[str]) -> Rows:
    times, *columns = table.columns
    return Rows(
        as_times(path, times),
        tuple(as_floats(path, name, column) for name, column in zip(wanted, columns, strict=True)),
    )


# ---------------------------------------------------------------- CSV


def _read_csv(path: Path, wanted: Sequence[str]) -> Rows:
    import pyarrow as pa
    import pyarrow.csv as pc

    above, first = _first_line(path)
    delimiter = max(",;\t", key=first.count)
    cells = next(csv.reader([first], delimiter=delimiter), [])
    headed = not is_number(cells[-1] if cells else "")
    names = _unique([cell.strip() for cell in cells]) if headed else _bare_names(path, len(cells))
    picked = columns_of(path, names, wanted)
    skipped = above + headed
    try:
        table = pc.read_csv(
            path,
            read_options=pc.ReadOptions(column_names=names, skip_rows=skipped),
            parse_options=pc.ParseOptions(delimiter=delimiter),
            convert_options=pc.ConvertOptions(include_columns=picked, strings_can_be_null=True),
        )
    except pa.ArrowException as error:
        raise DataError(_bad_line(path, delimiter, len(names), above) or f"{path}: {sentence_of(error)}.") from None
    times, *columns = table.columns
    lines = 1 + skipped
    values = tuple(as_floats(path, name, column, lines) for name, column in zip(wanted, columns, strict=True))
    return Rows(as_times(path, times, lines), values, lines)


def _text(path: Path) -> IO[str]:
    opened: Any = gzip.open if path.name.endswith(".gz") else open
    file: IO[str] = opened(path, "rt", encoding="utf-8-sig", newline="")
    return file


def _first_line(path: Path) -> tuple[int, str]:
    """The first line that is a heading or a row, and how many are above it: some begin with their origin's address."""
    try:
        with _text(path) as file:
            first = file.readline()
            return (1, file.readline()) if "://" in first else (0, first)
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError):
        raise DataError(f"{path} is no text file.") from None


def _unique(names: list[str]) -> list[str]:
    """Names as they are, those that come again with their place added: a heading may leave some empty."""
    return [name if names.index(name) == i else f"{name}#{i}" for i, name in enumerate(names)]


def _bad_line(path: Path, delimiter: str, width: int, above: int) -> str:
    """Which line has another number of values than the first; empty where that is not what is wrong."""
    try:
        with _text(path) as file:
            lines = csv.reader(file, delimiter=delimiter)
            for cells in lines:
                if cells and len(cells) != width and lines.line_num > above:
                    return f"{path}, line {lines.line_num}: {len(cells)} values instead of {width}."
    except (UnicodeDecodeError, csv.Error, EOFError):
        return f"{path} is no text file."
    return ""


def _bare_names(path: Path, width: int) -> list[str]:
    if width == 1 + len(RATE):
        return ["timestamp", *RATE]
    if width < _WIDTH:
        raise DataError(f"{path}, line 1: {width} values, where time, open, high, low, close and volume are needed.")
    return ["timestamp", *PRICES, *(f"more_{i}" for i in range(width - _WIDTH))]


# ---------------------------------------------------------------- JSON


def _read_json(path: Path, wanted: Sequence[str]) -> Rows:
    content = path.read_bytes()
    try:
        rows = orjson.loads(gzip.decompress(content) if path.name.endswith(".gz") else content)
    except (orjson.JSONDecodeError, gzip.BadGzipFile, EOFError) as error:
        raise DataError(f"{path} is no JSON file: {sentence_of(error)}.") from None
    if not isinstance(rows, list):
        raise DataError(f"{path}: a list of candles is expected, not {type(rows).__name__}.")
    if rows and isinstance(rows[0], dict):
        picked = columns_of(path, list(rows[0]), wanted)
        rows = [[row.get(name) for name in picked] if isinstance(row, dict) else None for row in rows]
        places, width = list(range(len(picked))), len(picked)
    else:
        places = [0, *((1 + PRICES.index(name) if name in PRICES else 1) for name in wanted)]
        width = max(places) + 1
    table = _as_table(rows, width)
    if table is not None:
        return Rows(float_times(table[:, 0]), tuple(np.ascontiguousarray(table[:, i]) for i in places[1:]))
    for number, row in enumerate(rows, 1):
        if not isinstance(row, list) or len(row) < width:
            raise DataError(f"{path}, row {number}: time, {', '.join(wanted)} are needed.")
    times, *columns = ([row[i] for row in rows] for i in places)
    values = tuple(as_floats(path, name, column) for name, column in zip(wanted, columns, strict=True))
    return Rows(as_times(path, times), values)


def _as_table(rows: list[Any], width: int) -> npt.NDArray[np.float64] | None:
    """Rows of plain numbers at once, which is ten times as fast as one by one; None where anything else is in them."""
    try:
        table = np.array(rows, np.float64)
    except (TypeError, ValueError):
        return None
    plain = table.ndim == 2 and len(table) and table.shape[1] >= width
    # Larger whole numbers, which nanoseconds are, are not exact as floats.
    return table if plain and (table[:, 0] >= 0).all() and table[:, 0].max() < 2**53 else None


_READERS: Final[dict[str, Callable[[Path, Sequence[str]], Rows]]] = {
    "parquet": _read_parquet,
    "feather": _read_feather,
    "csv": _read_csv,
    "json": _read_json,
}

FORMATS: Final = tuple(_READERS)
"""The formats in order of preference, where one pair has several files."""
