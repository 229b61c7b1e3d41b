"""Reading one candle file of any layout into columns: Parquet, Feather, JSON and CSV.

Columns are found by name: Freqtrade's (`date open high low close volume`) and ccxt's (`timestamp …`);
JSON and CSV may also be bare rows of these six in this order. Times are timestamps, ISO 8601 texts or
numbers, whose size tells seconds from milli-, micro- and nanoseconds; those without a zone are UTC.
pyarrow is imported by whoever calls: it is large, and the trading process mostly needs none of it.
"""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from engine.candles import Floats
from engine.errors import DataError

PRICES: Final = ("open", "high", "low", "close", "volume")
TIMES: Final = ("date", "timestamp", "time", "datetime", "open_time", "ts")
_WIDTH: Final = 6
_UNITS: Final = ((1e17, 1e-6), (1e14, 1e-3), (1e11, 1.0))  # from this size on: nano-, micro-, milliseconds


@dataclass(frozen=True, slots=True)
class Rows:
    """A file's rows as they are: open times in ms, and open, high, low, close, volume.

    `lines` is where the first row stands in a text file (2 under a heading), 0 where there are no lines.
    """

    ts: npt.NDArray[np.int64]
    columns: tuple[Floats, ...]
    lines: int = 0

    def place(self, row: int) -> str:
        """How a user finds a row, given its number from 0."""
        return f"line {row + self.lines} (row {row + 1})" if self.lines else f"row {row + 1}"


def read(path: Path) -> Rows:
    """Read a file by the format its name tells.

    Raises:
        DataError: it cannot be read, is not of its format, lacks a column, or has a value that is no
            number or no time; the text names the file and, where there is one, the row.
    """
    name = path.name.removesuffix(".gz")
    reader = _READERS.get(name.rpartition(".")[2].lower())
    if reader is None:
        raise DataError(f"{path}: files of this kind are not read; use {', '.join(FORMATS)}.")
    try:
        return reader(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None


def times_of(path: Path) -> npt.NDArray[np.int64]:
    """Only the open times: cheaper where the format keeps columns apart. Raises as `read`."""
    if path.suffix not in {".parquet", ".feather"}:
        return read(path).ts
    try:
        names = _arrow_columns(path)
        time_name = _time_name(path, names)
        return _times(path, _arrow_table(path, [time_name])[time_name])
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None


# ---------------------------------------------------------------- Parquet and Feather


def _arrow_columns(path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.ipc
    import pyarrow.parquet as pq

    try:
        if path.suffix == ".parquet":
            return list(pq.read_schema(path).names)
        with pa.OSFile(str(path)) as source:
            return list(pa.ipc.open_file(source).schema.names)
    except (pa.ArrowException, ValueError) as error:
        raise DataError(f"{path} is no {path.suffix[1:]} file: {_sentence(error)}.") from None


def _arrow_table(path: Path, names: list[str]) -> Any:
    import pyarrow as pa
    import pyarrow.feather
    import pyarrow.parquet as pq

    try:
        if path.suffix == ".parquet":
            return pq.read_table(path, columns=names, partitioning=None)
        return pa.feather.read_table(path, columns=names, memory_map=False)
    except (pa.ArrowException, ValueError) as error:
        raise DataError(f"{path} is damaged: {_sentence(error)}.") from None


def _read_arrow(path: Path) -> Rows:
    names = _arrow_columns(path)
    time_name, by_name = _time_name(path, names), _price_names(path, names)
    table = _arrow_table(path, [time_name, *by_name])
    return Rows(_times(path, table[time_name]), tuple(_numbers(path, name, table[name]) for name in by_name))


# ---------------------------------------------------------------- CSV


def _read_csv(path: Path) -> Rows:
    import pyarrow as pa
    import pyarrow.csv as pc

    first = _first_line(path)
    delimiter = max(",;\t", key=first.count)
    cells = next(csv.reader([first], delimiter=delimiter), [])
    headed = not _is_number(cells[-1] if cells else "")
    names = [cell.strip().lower() for cell in cells] if headed else _bare_names(path, len(cells))
    time_name, by_name = _time_name(path, names), _price_names(path, names)
    try:
        table = pc.read_csv(
            path,
            read_options=pc.ReadOptions(column_names=names, skip_rows=int(headed)),
            parse_options=pc.ParseOptions(delimiter=delimiter),
            convert_options=pc.ConvertOptions(include_columns=[time_name, *by_name], strings_can_be_null=True),
        )
    except pa.ArrowException as error:
        raise DataError(_bad_line(path, delimiter, len(names)) or f"{path}: {_sentence(error)}.") from None
    lines = 1 + headed
    columns = tuple(_numbers(path, name, table[name], lines) for name in by_name)
    return Rows(_times(path, table[time_name], lines), columns, lines)


def _text(path: Path) -> IO[str]:
    opened: Any = gzip.open if path.name.endswith(".gz") else open
    file: IO[str] = opened(path, "rt", encoding="utf-8-sig", newline="")
    return file


def _first_line(path: Path) -> str:
    try:
        with _text(path) as file:
            return file.readline()
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError):
        raise DataError(f"{path} is no text file.") from None


def _bad_line(path: Path, delimiter: str, width: int) -> str:
    """Which line has another number of values than the first; empty where that is not what is wrong."""
    try:
        with _text(path) as file:
            lines = csv.reader(file, delimiter=delimiter)
            for cells in lines:
                if cells and len(cells) != width:
                    return f"{path}, line {lines.line_num}: {len(cells)} values instead of {width}."
    except (UnicodeDecodeError, csv.Error, EOFError):
        return f"{path} is no text file."
    return ""


def _bare_names(path: Path, width: int) -> list[str]:
    if width < _WIDTH:
        raise DataError(f"{path}, line 1: {width} values, where time, open, high, low, close and volume are needed.")
    return ["timestamp", *PRICES, *(f"more_{i}" for i in range(width - _WIDTH))]


# ---------------------------------------------------------------- JSON


def _read_json(path: Path) -> Rows:
    content = path.read_bytes()
    try:
        rows = orjson.loads(gzip.decompress(content) if path.name.endswith(".gz") else content)
    except (orjson.JSONDecodeError, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is no JSON file: {_sentence(error)}.") from None
    if not isinstance(rows, list):
        raise DataError(f"{path}: a list of candles is expected, not {type(rows).__name__}.")
    if rows and isinstance(rows[0], dict):
        names = list(rows[0])
        wanted = [_time_name(path, names), *_price_names(path, names)]
        rows = [[row.get(name) for name in wanted] if isinstance(row, dict) else row for row in rows]
    for number, row in enumerate(rows, 1):
        if not isinstance(row, list) or len(row) < _WIDTH:
            raise DataError(f"{path}, row {number}: time, open, high, low, close and volume are needed.")
    times, *prices = ([row[i] for row in rows] for i in range(_WIDTH))
    columns = tuple(_numbers(path, name, values) for name, values in zip(PRICES, prices, strict=True))
    return Rows(_times(path, times), columns)


# ---------------------------------------------------------------- values


def _time_name(path: Path, names: Sequence[str]) -> str:
    for name in TIMES:
        if name in names:
            return name
    raise DataError(f"{path}: no column is the time (date or timestamp); there are {', '.join(names)}.")


def _price_names(path: Path, names: Sequence[str]) -> list[str]:
    missing = [name for name in PRICES if name not in names]
    if missing:
        raise DataError(f"{path}: the column {missing[0]} is missing; there are {', '.join(names)}.")
    return list(PRICES)


def _plain(values: Any) -> list[Any]:
    return values if isinstance(values, list) else list(values.to_pylist())


def _numbers(path: Path, name: str, values: Any, lines: int = 0) -> Floats:
    """Values as floats; a missing one is NaN, which `engine.repair` refuses with its row."""
    if not isinstance(values, list) and str(values.type) in {"double", "float", "int64", "int32", "null"}:
        numbers: Floats = np.asarray(values.cast("double").to_numpy(), np.float64)
        return numbers
    result = np.empty(len(values))
    for row, value in enumerate(_plain(values)):
        try:
            result[row] = math.nan if value is None or value == "" else float(value)
        except (TypeError, ValueError):
            raise DataError(f"{path}, {_place(row, lines)}: {name} is {value!r}, which is no number.") from None
    return result


def _times(path: Path, values: Any, lines: int = 0) -> npt.NDArray[np.int64]:
    """Times in ms."""
    if not isinstance(values, list) and str(values.type).startswith(("timestamp", "date")) and not values.null_count:
        kind = "datetime64[ms]"
        result: npt.NDArray[np.int64] = values.to_numpy().astype(kind).astype(np.int64)
        return result
    if not isinstance(values, list) and str(values.type) in {"int64", "int32", "uint64"} and not values.null_count:
        numbers = values.to_numpy().astype(np.int64)
        if not len(numbers):
            return np.empty(0, np.int64)
        factor = _factor(float(numbers[0]))
        times: npt.NDArray[np.int64] = numbers * int(factor) if factor >= 1 else numbers // round(1 / factor)
        return times
    found = [_one_time(path, value, _place(row, lines)) for row, value in enumerate(_plain(values))]
    return np.array(found, np.int64)


def _one_time(path: Path, value: Any, place: str) -> int:
    if isinstance(value, str) and _is_number(value):
        value = float(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return int(value * _factor(value))
    text = str("" if value is None else value).strip().removesuffix("Z").removesuffix(" UTC").removesuffix("+00:00")
    try:
        moment = int(np.datetime64(text, "ms").astype(np.int64))
    except ValueError:
        moment = -1
    if moment < 0:  # what is no time has a negative number, too
        raise DataError(f"{path}, {place}: the time is {value!r}, which is none that is known here; use UTC.")
    return moment


def _factor(value: float) -> float:
    """What a number is multiplied by to be milliseconds."""
    return next((factor for size, factor in _UNITS if abs(value) >= size), 1_000.0)


def _place(row: int, lines: int) -> str:
    return f"line {row + lines} (row {row + 1})" if lines else f"row {row + 1}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _sentence(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


_READERS: Final[dict[str, Callable[[Path], Rows]]] = {
    "parquet": _read_arrow,
    "feather": _read_arrow,
    "csv": _read_csv,
    "json": _read_json,
}

FORMATS: Final = tuple(_READERS)
"""The formats in order of preference, where one pair has several files."""
