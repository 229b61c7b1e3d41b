"""Reading one file of any layout into columns: Parquet, Feather, JSON and CSV.

Columns are found by name, in large or small letters: ours (`ts open high low close volume`), Freqtrade's
(`date …`), ccxt's (`timestamp …`) and those of common downloads (`TIMES`, `NAMES`); JSON and CSV may also
be bare rows of these six in this order, or of a time and a rate. Times are timestamps, ISO 8601 texts or numbers, whose size tells
seconds from milli-, micro- and nanoseconds; those without a zone are UTC. No other column is read.
Columns of Parquet and of uncompressed Feather are not copied. pyarrow is imported by whoever calls: it is
large, and the trading process mostly needs none of it.
"""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from engine.candles import Floats
from engine.errors import DataError

PRICES: Final = ("open", "high", "low", "close", "volume")
RATE: Final = ("rate",)
TIMES: Final = ("ts", "date", "timestamp", "time", "datetime", "open_time", "open time", "opentime", "unix", "t")
NAMES: Final = {
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "v", "vol", "base_volume", "basevolume"),
    "rate": ("rate", "funding_rate", "fundingrate", "open"),  # Freqtrade keeps a funding rate as a candle's open
}
"""What each column may be called. A volume may name its coin, as in `Volume BTC`: the first that does counts."""

_WIDTH: Final = 6
_UNITS: Final = ((1e17, 1e-6), (1e14, 1e-3), (1e11, 1.0))  # from this size on: nano-, micro-, milliseconds
_TICKS: Final = {"s": (1_000, 1), "ms": (1, 1), "us": (1, 1_000), "ns": (1, 1_000_000)}  # to ms: times, over


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
        return _place(row, self.lines)


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
        raise DataError(f"{path} is no whole {_format(path)} file: {_sentence(error)}.") from None


def _read_parquet(path: Path, wanted: Sequence[str]) -> Rows:
    import pyarrow.parquet as pq

    with _arrow_errors(path), pq.ParquetFile(path) as file:
        names = list(file.schema_arrow.names)
        picked = _picked(path, names, wanted)
        table = file.read(columns=picked, use_threads=False)
        table = table.select(picked)
    return _rows_of(path, table, wanted)


def _read_feather(path: Path, wanted: Sequence[str]) -> Rows:
    import pyarrow as pa

    with _arrow_errors(path):
        with pa.OSFile(str(path)) as source:
            names = list(pa.ipc.open_file(source).schema.names)
        picked = _picked(path, names, wanted)
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
        _times(path, times),
        tuple(_numbers(path, name, column) for name, column in zip(wanted, columns, strict=True)),
    )


def _raw(values: Any, kind: Any) -> npt.NDArray[Any]:
    """A column without gaps as it lies in memory. `to_numpy` would load pandas, if it is installed, to look for its types."""
    parts = [
        np.frombuffer(chunk.buffers()[1], kind)[chunk.offset : chunk.offset + len(chunk)]
        for chunk in values.chunks
        if len(chunk)
    ]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, kind)


def _flat(values: Any) -> Any:
    """A chunked column as one array, without a copy where it has one chunk."""
    return values.chunk(0) if values.num_chunks == 1 else values.combine_chunks()


# ---------------------------------------------------------------- CSV


def _read_csv(path: Path, wanted: Sequence[str]) -> Rows:
    import pyarrow as pa
    import pyarrow.csv as pc

    above, first = _first_line(path)
    delimiter = max(",;\t", key=first.count)
    cells = next(csv.reader([first], delimiter=delimiter), [])
    headed = not _is_number(cells[-1] if cells else "")
    names = _unique([cell.strip() for cell in cells]) if headed else _bare_names(path, len(cells))
    picked = _picked(path, names, wanted)
    skipped = above + headed
    try:
        table = pc.read_csv(
            path,
            read_options=pc.ReadOptions(column_names=names, skip_rows=skipped),
            parse_options=pc.ParseOptions(delimiter=delimiter),
            convert_options=pc.ConvertOptions(include_columns=picked, strings_can_be_null=True),
        )
    except pa.ArrowException as error:
        raise DataError(_bad_line(path, delimiter, len(names), above) or f"{path}: {_sentence(error)}.") from None
    times, *columns = table.columns
    lines = 1 + skipped
    values = tuple(_numbers(path, name, column, lines) for name, column in zip(wanted, columns, strict=True))
    return Rows(_times(path, times, lines), values, lines)


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
        raise DataError(f"{path} is no JSON file: {_sentence(error)}.") from None
    if not isinstance(rows, list):
        raise DataError(f"{path}: a list of candles is expected, not {type(rows).__name__}.")
    if rows and isinstance(rows[0], dict):
        picked = _picked(path, list(rows[0]), wanted)
        rows = [[row.get(name) for name in picked] if isinstance(row, dict) else None for row in rows]
        places, width = list(range(len(picked))), len(picked)
    else:
        places = [0, *((1 + PRICES.index(name) if name in PRICES else 1) for name in wanted)]
        width = max(places) + 1
    for number, row in enumerate(rows, 1):
        if not isinstance(row, list) or len(row) < width:
            raise DataError(f"{path}, row {number}: time, {', '.join(wanted)} are needed.")
    times, *columns = ([row[i] for row in rows] for i in places)
    values = tuple(_numbers(path, name, column) for name, column in zip(wanted, columns, strict=True))
    return Rows(_times(path, times), values)


# ---------------------------------------------------------------- values


def _picked(path: Path, names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The names, as the file has them, of the time and of each column that is wanted."""
    by_lower = {name.lower(): name for name in reversed(names)}
    there = ", ".join(names)
    time = next((by_lower[name] for name in TIMES if name in by_lower), None)
    if time is None:
        raise DataError(f"{path}: no column is the time (date or timestamp); there are {there}.")
    found = [time]
    for want in wanted:
        name = next((by_lower[name] for name in NAMES[want] if name in by_lower), None)
        if name is None and want == "volume":
            name = next((name for name in names if name.lower().startswith("volume")), None)
        if name is None:
            raise DataError(f"{path}: the column {want} is missing; there are {there}.")
        found.append(name)
    return found


def _plain(values: Any) -> list[Any]:
    return values if isinstance(values, list) else list(values.to_pylist())


def _numbers(path: Path, name: str, values: Any, lines: int = 0) -> Floats:
    """Values as floats; a missing one is NaN, which `engine.repair` refuses with its row."""
    if not isinstance(values, list) and str(values.type).startswith(_NUMBERS):
        doubles = values if str(values.type) == "double" else values.cast("double")
        if not doubles.null_count:
            return _raw(doubles, np.float64)
        numbers: Floats = np.asarray(_flat(doubles).to_numpy(zero_copy_only=False), np.float64)
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
    if not isinstance(values, list) and not values.null_count:
        kind = str(values.type)
        if kind.startswith("timestamp"):
            times, over = _TICKS[values.type.unit]
            return _scaled(_raw(values, np.int64), times, over)
        if kind.startswith("date"):
            return _raw(values.cast("date64"), np.int64)
        if kind in {"int64", "int32", "uint64"}:
            numbers = _raw(values if kind == "int64" else values.cast("int64"), np.int64)
            factor = _factor(float(numbers[0])) if len(numbers) else 1.0
            return _scaled(numbers, int(factor), 1) if factor >= 1 else _scaled(numbers, 1, round(1 / factor))
    found = [_one_time(path, value, _place(row, lines)) for row, value in enumerate(_plain(values))]
    return np.array(found, np.int64)


def _scaled(numbers: npt.NDArray[np.int64], times: int, over: int) -> npt.NDArray[np.int64]:
    """Numbers in another unit; those that are in it already are not copied."""
    if times == over == 1:
        return numbers
    return numbers * times if over == 1 else numbers // over


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


_NUMBERS: Final = ("double", "float", "int", "uint", "decimal", "null")

_READERS: Final[dict[str, Callable[[Path, Sequence[str]], Rows]]] = {
    "parquet": _read_parquet,
    "feather": _read_feather,
    "csv": _read_csv,
    "json": _read_json,
}

FORMATS: Final = tuple(_READERS)
"""The formats in order of preference, where one pair has several files."""
