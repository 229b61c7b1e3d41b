"""Closed trades as numpy columns: what the metrics, the tables and the optimiser's loss functions reckon on.

Metrics judge a run and are floats; accounts are kept in decimals elsewhere, and never read these.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from engine.candles import Bools, Floats
from engine.messages import TradeClosed
from engine.types import Side

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Labels:
    """A column of texts: `names` in the order of their first use, and each row's place among them."""

    codes: Ints
    names: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Labels:
        """The column of these texts."""
        places: dict[str, int] = {}
        codes = [places.setdefault(text, len(places)) for text in texts]
        return cls(np.array(codes, np.int64), tuple(places))

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Bools | Ints | slice) -> Labels:
        """Some rows; the names stay, used or not."""
        return Labels(self.codes[rows], self.names)

    def is_any(self, *texts: str) -> Bools:
        """Which rows have one of these texts."""
        return np.isin(self.codes, [code for code, name in enumerate(self.names) if name in texts])

    def texts(self) -> list[str]:
        """Each row's text."""
        return [self.names[code] for code in self.codes.tolist()]


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeColumns:
    """Closed trades in the order of their ends; all columns are of one length.

    Times are milliseconds, prices and money float64. `profit_ratio` is that of the stake, leverage
    included. `volume` is what its orders were worth at their prices, with the fees.
    """

    pair: Labels
    enter_tag: Labels
    exit_reason: Labels
    is_short: Bools
    open_ts: Ints
    close_ts: Ints
    open_rate: Floats
    close_rate: Floats
    amount: Floats
    stake: Floats
    leverage: Floats
    profit_abs: Floats
    profit_ratio: Floats
    volume: Floats

    @classmethod
    def of(cls, trades: Sequence[TradeClosed]) -> TradeColumns:
        """The columns of these trades, sorted by their ends; of equal ends the first given stays first."""
        ordered = sorted(trades, key=lambda trade: trade.close_ts)

        def floats(name: str) -> Floats:
            return np.array([float(getattr(trade, name)) for trade in ordered], np.float64)

        amount, opened, closed = floats("amount"), floats("open_rate"), floats("close_rate")
        return cls(
            pair=Labels.of(trade.pair for trade in ordered),
            enter_tag=Labels.of(trade.enter_tag for trade in ordered),
            exit_reason=Labels.of(trade.exit_reason for trade in ordered),
            is_short=np.array([trade.side is Side.SHORT for trade in ordered], np.bool_),
            open_ts=np.array([trade.open_ts for trade in ordered], np.int64),
            close_ts=np.array([trade.close_ts for trade in ordered], np.int64),
            open_rate=opened,
            close_rate=closed,
            amount=amount,
            stake=floats("stake"),
            leverage=floats("leverage"),
            profit_abs=floats("profit_abs"),
            profit_ratio=floats("profit_ratio"),
            volume=amount * (opened * (1 + floats("fee_open")) + closed * (1 + floats("fee_close"))),
        )

    def __len__(self) -> int:
        return len(self.close_ts)

    def __getitem__(self, rows: Bools | Ints | slice) -> TradeColumns:
        """Some of the trades, in their order."""
        return TradeColumns(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @property
    def duration_ms(self) -> Ints:
        """How long each trade took."""
        return self.close_ts - self.open_ts
