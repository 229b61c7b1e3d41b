"""The columns of a candle file: which are meant, and what they hold, as numbers and times.

Columns are found by name, in large or small letters: ours (`ts open high low close volume`), Freqtrade's
(`date …`), ccxt's (`timestamp …`) and those of common downloads (`TIMES`, `NAMES`). Times are timestamps,
ISO 8601 texts or numbers, whose size tells seconds from milli-, micro- and nanoseconds; those without a
zone are UTC. What is no number or no time is refused with its place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

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

_UNITS: Final = ((1e17, 1e-6), (1e14, 1e-3), (1e11, 1.0))  # from this size on: nano-, micro-, milliseconds
_TICKS: Final = {"s": (1_000, 1), "ms": (1, 1), "us": (1, 1_000), "ns": (1, 1_000_000)}  # to ms: times, over
_NUMBERS: Final = ("double", "float", "int", "uint", "decimal", "null")


def columns_of(path: Path, names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The names, as the file has them, of the time and of each column that is wanted."""
    by_lower = {name.lower(): name for name in reversed(names)}
    there = ", ".join(names) or "none: the file is empty"
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


def as_floats(path: Path, name: str, values: Any, lines: int = 0) -> Floats:
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
            raise DataError(f"{path}, {place_of(row, lines)}: {name} is {value!r}, which is no number.") from None
    return result


def as_times(path: Path, values: Any, lines: int = 0) -> npt.NDArray[np.int64]:
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
            size = _factor(float(numbers[0])) if len(numbers) else 1.0
            return _in_ms(numbers, size)
    found = [_one_time(path, value, place_of(row, lines)) for row, value in enumerate(_plain(values))]
    return np.array(found, np.int64)


def float_times(values: Floats) -> npt.NDArray[np.int64]:
    """Times in ms of exact whole numbers, or of seconds with a fraction, kept as floats; there is one at least."""
    factor = _factor(float(values[0]))
    return (values * factor).astype(np.int64) if factor >= 1 else _in_ms(values.astype(np.int64), factor)


def _in_ms(numbers: npt.NDArray[np.int64], factor: float) -> npt.NDArray[np.int64]:
    return _scaled(numbers, int(factor), 1) if factor >= 1 else _scaled(numbers, 1, round(1 / factor))


def _raw(values: Any, kind: Any) -> npt.NDArray[Any]:
    """A column without gaps as it lies in memory. `to_numpy` would load pandas, if it is installed, to look for its types.

    Arrow joins chunks in half the time that numpy takes, since its memory is there already.
    """
    whole = _flat(values)
    if not len(whole):
        return np.empty(0, kind)
    return np.frombuffer(whole.buffers()[1], kind)[whole.offset : whole.offset + len(whole)]


def _flat(values: Any) -> Any:
    """A chunked column as one array, without a copy where it has one chunk."""
    return values.chunk(0) if values.num_chunks == 1 else values.combine_chunks()


def _scaled(numbers: npt.NDArray[np.int64], times: int, over: int) -> npt.NDArray[np.int64]:
    """Numbers in another unit; those that are in it already are not copied."""
    if times == over == 1:
        return numbers
    return numbers * times if over == 1 else numbers // over


def _one_time(path: Path, value: Any, place: str) -> int:
    if isinstance(value, str) and is_number(value):
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


def place_of(row: int, lines: int) -> str:
    """How a user finds a row, given its number from 0, and the line that the first one stands in (0: no lines)."""
    return f"line {row + lines} (row {row + 1})" if lines else f"row {row + 1}"


def is_number(text: str) -> bool:
    """Whether a cell's text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def sentence_of(error: BaseException) -> str:
    """The first line of what a library complains of."""
    return str(error).strip().partition("\n")[0].rstrip(".")
