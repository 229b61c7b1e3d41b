"""The account of a quick run where stakes are fixed and there is money for all: it only counts slots.

That there was money is checked when the run is over, with room to spare (`was_plenty`). Where it was not,
the run is made again with the whole account (`engine.purse`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np

from engine.candles import Floats
from engine.columns import TradeColumns
from engine.lanes import Lane
from engine.portfolio import Portfolio
from engine.quick import Held
from engine.settings import RiskConfig, TradingConfig
from engine.types import ONE, ZERO, Millis

SPARE: Final = 1e-9
"""Room, as a ratio of the balance, for the error of sums in doubles."""


def fixed_stake(portfolio: Portfolio) -> Decimal | None:
    """The stake of every trade where the account's rules do nothing but hand out the same; None where they do more."""
    trading = portfolio.trading
    if portfolio.protections or portfolio.risk != RiskConfig() or isinstance(trading.stake_amount, str):
        return None
    if trading.amend_last_stake_amount or trading.tradable_balance_ratio > ONE or trading.stake_amount <= ZERO:
        return None
    return trading.stake_amount


@dataclass(slots=True)
class Plenty:
    """See the module's text."""

    stake: Decimal
    slots: int
    taken: int = 0
    rejected: int = 0

    def pass_time(self, ts: Millis) -> None:
        """Nothing here depends on the time."""

    def reserve(self, lane: Lane, entry: int, ts: Millis) -> Decimal | None:
        """The stake, while there are slots."""
        del lane, entry, ts
        if 0 <= self.slots <= self.taken:
            self.rejected += 1
            return None
        return self.stake

    def enter(self, held: Held, stake: Decimal, ts: Millis) -> bool:
        """A slot is taken; that the stake buys enough is known of every plain path (`Lane.amounts`)."""
        del held, stake, ts
        self.taken += 1
        return True

    def leave(self, held: Held, ts: Millis) -> None:
        """The slot is free."""
        del held, ts
        self.taken -= 1

    def release(self, lane: Lane) -> None:
        """Nothing was taken."""


def was_plenty(trading: TradingConfig, start: Decimal, stake: Decimal, trades: TradeColumns) -> bool:
    """Whether the stake was there at every entry, losses of the same candle counted before, gains after."""
    opened, closed, profit = trades.open_ts, trades.close_ts, trades.profit_abs
    if not len(opened):
        return True
    order = np.argsort(closed, kind="stable")
    ended, won = closed[order], np.cumsum(np.maximum(profit, 0.0)[order])
    lost = np.cumsum(np.minimum(profit, 0.0)[order])
    gains = _before(won, np.searchsorted(ended, opened, side="left"))
    losses = _before(lost, np.searchsorted(ended, opened, side="right"))
    begun = np.sort(opened)
    most = max(float(stake), float(trades.stake.max()))  # one that was raised to the market's least is larger
    held = np.searchsorted(begun, opened, side="right") - np.searchsorted(ended, opened, side="left")
    earned, tied = gains + losses, held * most
    free = float(start) + earned - tied
    if trading.available_capital is not None:
        pool = float(trading.available_capital) + earned - tied
    else:
        pool = (float(start) + earned) * float(trading.tradable_balance_ratio) - tied
    return bool((np.minimum(free, pool) > SPARE * (float(start) + won[-1] - lost[-1])).all())


def _before(sums: Floats, at: np.ndarray[tuple[int, ...], np.dtype[np.intp]]) -> Floats:
    found: Floats = np.concatenate([[0.0], sums])[at]
    return found
