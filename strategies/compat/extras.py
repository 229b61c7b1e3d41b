"""Small things that strategies import from Freqtrade's corners."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

import pandas as pd

from strategies.compat.frames import COLUMNS, empty_frame

__version__: Final = "2026.9"

Config = dict[str, Any]
AnnotationType = dict[str, Any]
PairWithTimeframe = tuple[str, str, Any]
ListPairsWithTimeframes = list[PairWithTimeframe]
LongShort = Literal["long", "short"]
BuySell = Literal["buy", "sell"]
EntryExit = Literal["entry", "exit"]
DEFAULT_DATAFRAME_COLUMNS: Final = list(COLUMNS)
UNLIMITED_STAKE_AMOUNT: Final = "unlimited"
DATETIME_PRINT_FORMAT: Final = "%Y-%m-%d %H:%M:%S"
CUSTOM_TAG_MAX_LENGTH: Final = 255


class ExitCheckTuple(NamedTuple):
    """Why to leave."""

    exit_type: Any
    exit_reason: str = ""


class HyperStrategyMixin:
    """What strategies with parameters once had to have besides; nothing is left to do."""


class CustomDataWrapper:
    """Custom data is a trade's own: `trade.get_custom_data`."""


# ---------------------------------------------------------------- values


def chunks(lst: Sequence[Any], n: int) -> Iterator[Sequence[Any]]:
    """Pieces of `n`."""
    return (lst[at : at + n] for at in range(0, len(lst), n))


def safe_value_fallback(obj: Any, key1: str, key2: str | None = None, default_value: Any = None) -> Any:
    """The first of two keys that has a value."""
    for key in (key1, key2):
        if key is not None and obj.get(key) is not None:
            return obj[key]
    return default_value


def safe_value_fallback2(dict1: Any, dict2: Any, key1: str, key2: str, default_value: Any = None) -> Any:
    """`key1` of the first mapping, else `key2` of the second."""
    if dict1.get(key1) is not None:
        return dict1[key1]
    return default_value if dict2.get(key2) is None else dict2[key2]


def plural(num: float, singular: str, plural: str | None = None) -> str:
    """The word for so many."""
    return singular if num in (1, -1) else plural or f"{singular}s"


def round_dict(d: Mapping[str, Any], n: int) -> dict[str, Any]:
    """Floats rounded to `n` digits."""
    return {key: round(value, n) if isinstance(value, float) else value for key, value in d.items()}


def deep_merge_dicts(source: Mapping[str, Any], destination: dict[str, Any], allow_null_overrides: bool = True) -> Any:
    """`source` put into `destination`, mappings within mappings."""
    for key, value in source.items():
        if isinstance(value, dict):
            deep_merge_dicts(value, destination.setdefault(key, {}), allow_null_overrides)
        elif value is not None or allow_null_overrides:
            destination[key] = value
    return destination


def strategy_safe_wrapper(
    f: Callable[..., Any], message: str = "", default_retval: Any = None, supress_error: bool = False
) -> Callable[..., Any]:
    """The function itself: what it raises is taken care of here."""
    del message, default_retval, supress_error
    return f


# ---------------------------------------------------------------- times


def dt_now() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


def dt_utc(
    year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, microsecond: int = 0
) -> datetime:
    """A time in UTC."""
    return datetime(year, month, day, hour, minute, second, microsecond, tzinfo=UTC)


def dt_from_ts(timestamp: float) -> datetime:
    """The time of a timestamp in seconds or milliseconds."""
    return datetime.fromtimestamp(timestamp / 1_000 if timestamp > 1e10 else timestamp, UTC)


def dt_ts(dt: datetime | None = None) -> int:
    """A time's milliseconds; of now if none is given."""
    return int((dt or dt_now()).timestamp() * 1_000)


def dt_floor_day(dt: datetime) -> datetime:
    """The day's begin."""
    return dt.replace(hour=0, minute=0, second=0, microsecond=0)


def format_date(date: datetime | None) -> str:
    """A time as text."""
    return date.strftime(DATETIME_PRINT_FORMAT) if date else ""


def fmt_coin(value: float, coin: str, show_coin_name: bool = True, keep_trailing_zeros: bool = False) -> str:
    """An amount of a coin as text."""
    text = f"{value:.8f}"
    text = text if keep_trailing_zeros else text.rstrip("0").rstrip(".")
    return f"{text} {coin}" if show_coin_name else text


# ---------------------------------------------------------------- frames and markets


def market_is_active(market: Mapping[str, Any]) -> bool:
    """Whether a market can be traded."""
    return market.get("active", True) is not False


def order_book_to_dataframe(bids: list[Any], asks: list[Any]) -> Any:
    """A book's sides side by side, with running sums."""
    frames = []
    for name, rows in (("b", bids), ("a", asks)):
        side = pd.DataFrame([row[:2] for row in rows], columns=[f"{'bids' if name == 'b' else 'asks'}", f"{name}_size"])
        side[f"{name}_sum"] = side[f"{name}_size"].cumsum()
        frames.append(side)
    both = pd.concat(frames, axis=1)
    return both[["b_sum", "b_size", "bids", "asks", "a_size", "a_sum"]]


def ohlcv_fill_up_missing_data(dataframe: Any, timeframe: str, pair: str) -> Any:
    """The frame as it is: candles have no gaps here."""
    del timeframe, pair
    return dataframe


def reduce_dataframe_footprint(df: Any) -> Any:
    """The frame as it is."""
    return df


def trim_dataframe(df: Any, timerange: Any, *, df_date_col: str = "date", startup_candles: int = 0) -> Any:
    """The rows after the start-up candles, or within a time range."""
    if startup_candles:
        return df.iloc[startup_candles:]
    start, stop = getattr(timerange, "startdt", None), getattr(timerange, "stopdt", None)
    if start is not None:
        df = df.loc[df[df_date_col] >= start]
    return df if stop is None else df.loc[df[df_date_col] <= stop]


def load_pair_history(*_args: Any, **_more: Any) -> Any:
    """No candles: files are read by the bot; ask the data provider instead."""
    return empty_frame()
