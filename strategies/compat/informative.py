"""`@informative`: indicators of another timeframe or pair, merged in before `populate_indicators` is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from strategies.compat.helpers import merge_informative_pair

MARK: Final = "_tradepit_informative"

Populate = Callable[[Any, Any, dict[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class Informative:
    """One use of the decorator. An empty `asset` means the traded pair itself."""

    timeframe: str
    asset: str = ""
    fmt: str | Callable[..., str] | None = None
    candle_type: str = ""
    ffill: bool = True


def informative(
    timeframe: str,
    asset: str = "",
    fmt: str | Callable[[Any], str] | None = None,
    *,
    candle_type: Any = None,
    ffill: bool = True,
    cache: bool = True,
) -> Callable[[Populate], Populate]:
    """Decorates a method `populate_…(self, dataframe, metadata)` that makes indicators of `timeframe`.

    `asset` names another pair, and may contain {base}, {quote} and {stake} of the traded one. `fmt` is how
    the columns are called; by default `{column}_{timeframe}`, with `{base}_{quote}_` before where there is
    an asset. May be repeated on one method.
    """
    del cache  # what it saves is remembered by the data provider
    wanted = Informative(timeframe, asset, fmt, str(candle_type or ""), ffill)

    def mark(method: Populate) -> Populate:
        setattr(method, MARK, [*getattr(method, MARK, []), wanted])
        return method

    return mark


def informatives_of(strategy: Any) -> list[tuple[Informative, Populate]]:
    """The decorated methods of a strategy's class in the order of their names, as Freqtrade finds them."""
    found = []
    for name in dir(type(strategy)):
        method = getattr(type(strategy), name, None)
        found += [(wanted, method) for wanted in getattr(method, MARK, ()) if callable(method)]
    return found


def asset_of(wanted: Informative, pair: str, stake: str) -> str:
    """The pair that a use of the decorator means while `pair` is judged."""
    return _filled(wanted.asset, pair, stake) if wanted.asset else pair


def _filled(text: str, pair: str, stake: str, **more: str) -> str:
    base, _, quote = pair.partition(":")[0].partition("/")
    return text.format(base=base, quote=quote, stake=stake, **more)


def with_informative(strategy: Any, dataframe: Any, pair: str, wanted: Informative, populate: Populate) -> Any:
    """`dataframe` with the columns that one decorated method makes."""
    asset = asset_of(wanted, pair, str(strategy.config.get("stake_currency", "")))
    other = strategy.dp.get_pair_dataframe(asset, wanted.timeframe, wanted.candle_type)
    if not len(other):
        raise ValueError(f"there are no {wanted.timeframe} candles of {asset}, which the strategy asks for")
    other = populate(strategy, other, {"pair": asset, "timeframe": wanted.timeframe})
    other.columns = [_column(wanted, asset, str(name)) for name in other.columns]
    date = _column(wanted, asset, "date")
    return merge_informative_pair(
        dataframe,
        other,
        strategy.timeframe,
        wanted.timeframe,
        ffill=wanted.ffill,
        append_timeframe=False,
        date_column=date,
    )


def _column(wanted: Informative, asset: str, column: str) -> str:
    base, _, quote = asset.partition(":")[0].partition("/")
    names = {
        "column": column,
        "timeframe": wanted.timeframe,
        "asset": asset,
        "base": base.lower(),
        "BASE": base.upper(),
        "quote": quote.lower(),
        "QUOTE": quote.upper(),
    }
    if callable(wanted.fmt):
        return wanted.fmt(**names)
    default = "{base}_{quote}_{column}_{timeframe}" if wanted.asset else "{column}_{timeframe}"
    return (wanted.fmt or default).format(**names)
