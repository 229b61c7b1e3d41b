"""`self.dp`: the candles a strategy asks for, of its own pair, of others, and of other timeframes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from engine.candles import Candles, timeframe_ms
from engine.strategy import Surroundings
from strategies.compat.enums import RunMode
from strategies.compat.frames import empty_frame, frame_of

ROWS_MAX: Final = 1_000
"""Rows of `get_analyzed_dataframe` in a backtest, as in Freqtrade."""
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


class DataProvider:
    """What a strategy may ask about markets. Answers are new frames each time: changing one hurts nobody."""

    def __init__(self, strategy: Any, surroundings: Surroundings) -> None:
        self._strategy = strategy
        self._surroundings = surroundings
        self._frames: dict[str, tuple[Candles, Any]] = {}
        self._others: dict[tuple[str, str], Any] = {}
        self._candles: Candles | None = None
        self._until: int | None = None
        self._price: float | None = None
        self.now = _NEVER

    # ------------------------------------------------------------ told by the strategy's base

    def analysed(self, candles: Candles, frame: Any) -> None:
        """Remember what `populate_*` made of a pair's candles."""
        self._frames[candles.pair] = (candles, frame)

    def judging(self, candles: Candles) -> datetime:
        """These candles are judged: what opened after they end is not known yet. Returns the time of that end."""
        self.now, self._candles, self._price = _NEVER, None, None
        self._until = int(candles.ts[-1]) + timeframe_ms(candles.timeframe) if len(candles) else 0
        return datetime.fromtimestamp(self._until / 1_000, UTC)

    def at(self, now: datetime, candles: Candles, price: float | None) -> None:
        """It is `now`, these are the candles closed until then, and `price` is the pair's price of the moment."""
        self.now, self._candles, self._price, self._until = now, candles, price, None

    def is_analysed(self, pair: str) -> bool:
        """Whether the pair has been judged."""
        return pair in self._frames

    # ------------------------------------------------------------ candles

    def get_pair_dataframe(self, pair: str, timeframe: str | None = None, candle_type: str = "") -> Any:
        """The candles of a pair, without indicators; none where there is no data."""
        del candle_type
        wanted = timeframe or self._strategy.timeframe
        key = (pair, wanted)
        if key not in self._others or not self._surroundings.is_whole:
            candles = self._surroundings.candles(pair, wanted)
            self._others[key] = None if candles is None else (candles, frame_of(candles))
        known = self._others[key]
        if known is None:
            return empty_frame()
        candles, frame = known
        return frame.iloc[: self._known(candles)].copy(deep=False)

    def _known(self, candles: Candles) -> int:
        """How many of these candles may be seen: those closed when the judged ones end, or by now."""
        if self._until is not None:
            until = self._until
        elif self.now is _NEVER:
            return len(candles)
        else:
            until = int(self.now.timestamp() * 1_000)
        return int(np.searchsorted(candles.ts, until - timeframe_ms(candles.timeframe), side="right"))

    def historic_ohlcv(self, pair: str, timeframe: str, candle_type: str = "") -> Any:
        """As `get_pair_dataframe`."""
        return self.get_pair_dataframe(pair, timeframe, candle_type)

    def ohlcv(self, pair: str, timeframe: str | None = None, copy: bool = True, candle_type: str = "") -> Any:
        """As `get_pair_dataframe`."""
        del copy
        return self.get_pair_dataframe(pair, timeframe, candle_type)

    def get_analyzed_dataframe(self, pair: str, timeframe: str) -> tuple[Any, datetime]:
        """A pair's frame with indicators, and when it was made; in a backtest its rows until now."""
        known = self._frames.get(pair)
        if known is None or timeframe != self._strategy.timeframe:
            return empty_frame(), _NEVER
        candles, frame = known
        if self.now is _NEVER:
            return frame.copy(deep=False), _NEVER
        ends = int(self.now.timestamp() * 1_000) - timeframe_ms(timeframe)
        if len(frame) == len(candles):
            rows = int(np.searchsorted(candles.ts, ends, side="right"))
        else:
            rows = int((frame["date"].dt.as_unit("ms").astype("int64") <= ends).sum())
        return frame.iloc[max(0, rows - ROWS_MAX) : rows], self.now

    # ------------------------------------------------------------ the market

    @property
    def runmode(self) -> RunMode:
        """What the run is for."""
        return RunMode(self._surroundings.mode)

    def current_whitelist(self) -> list[str]:
        """The pairs that are traded."""
        return list(self._surroundings.pairs)

    @property
    def available_pairs(self) -> list[tuple[str, str]]:
        """The pairs and timeframes that are judged."""
        return [(pair, self._strategy.timeframe) for pair in self._surroundings.pairs]

    def ticker(self, pair: str) -> dict[str, Any]:
        """The newest price that is known of a pair, as all prices of a ticker; nothing where none is known.

        Of the pair that a question is about it is the price of the moment, of others their newest close.
        """
        price = self._newest(pair)
        if price is None:
            return {}
        return {"symbol": pair, "last": price, "bid": price, "ask": price, "close": price}

    def orderbook(self, pair: str, maximum: int) -> dict[str, Any]:
        """One level at the newest price: the amounts of books are not seen here."""
        del maximum
        price = self._newest(pair)
        if price is None:
            return {"symbol": pair, "bids": [], "asks": []}
        return {"symbol": pair, "bids": [[price, 1.0]], "asks": [[price, 1.0]]}

    def _newest(self, pair: str) -> float | None:
        own = self._candles if self._candles is not None and self._candles.pair == pair else None
        if own is not None and self._price is not None:
            return self._price
        candles = own if own is not None else self._surroundings.candles(pair, self._strategy.timeframe)
        if candles is None or not len(candles):
            return None
        rows = self._known(candles)
        return float(candles.close[rows - 1]) if rows else None

    def market(self, pair: str) -> dict[str, Any] | None:
        """What is known of a pair's market."""
        base, _, quote = pair.partition(":")[0].partition("/")
        if pair not in self._surroundings.pairs:
            return None
        return {"symbol": pair, "base": base, "quote": quote, "active": True, "spot": not self._surroundings.futures}

    def check_delisting(self, pair: str) -> datetime | None:
        """When a pair ends trading; None: nothing is known of it."""
        del pair
        return None

    def get_required_startup(self, timeframe: str) -> int:
        """How many candles of `timeframe` the strategy's start-up takes."""
        own = timedelta(milliseconds=timeframe_ms(self._strategy.timeframe))
        other = timedelta(milliseconds=timeframe_ms(timeframe))
        return -int(-(self._strategy.startup_candle_count * own) // other)

    # ------------------------------------------------------------ others

    def send_msg(self, message: str, *, always_send: bool = False) -> None:
        """Tell the user; the worker's log has it. In a backtest nobody is told."""
        del always_send
        if self.runmode in (RunMode.LIVE, RunMode.DRY_RUN):
            print(message)  # noqa: T201 -- what a strategy prints goes to the bot's log

    def get_producer_pairs(self, producer_name: str = "default") -> list[str]:
        """Pairs of another bot: there is none."""
        del producer_name
        return []

    def get_producer_df(
        self, pair: str, timeframe: str | None = None, candle_type: Any = None, producer_name: str = "default"
    ) -> tuple[Any, datetime]:
        """A frame of another bot: there is none."""
        del pair, timeframe, candle_type, producer_name
        return empty_frame(), _NEVER
