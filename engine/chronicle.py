"""The trades that strategies may look at: the open ones of all pairs, and the last closed ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine.messages import ExposureChanged, TradeClosed
from engine.types import Side

CLOSED_MAX: Final = 1_000
"""So many closed trades a running bot remembers for its strategy; a backtest remembers all of its own."""

View = Mapping[str, Any]
"""A trade in the fields of `engine.views.TradeView`, as plain values."""


@dataclass(slots=True)
class Chronicle:
    """How trades looked when they were last told of. `count` is how many have closed, kept or not.

    Views are never changed, only replaced, so whoever was given one may keep it.
    """

    closed_max: int | None = None
    closed: tuple[View, ...] = ()
    count: int = 0
    _told: dict[str, View] = field(default_factory=dict)

    def told(self, pair: str, view: View) -> None:
        """A pair's open trade looks like this now."""
        self._told[pair] = view

    def close(self, trade: TradeClosed) -> None:
        """A trade has closed."""
        self.closed = (*self.closed, closed_view(trade, self._told.pop(trade.pair, None)))
        self.count += 1
        if self.closed_max is not None:
            self.closed = self.closed[-self.closed_max :]

    def open_ones(self, exposures: Iterable[ExposureChanged]) -> tuple[View, ...]:
        """The open trades among these exposures, of those that have told how they look; in the order of opening."""
        found = []
        for exposure in sorted(exposures, key=lambda e: e.opened_at):
            view = self._told.get(exposure.pair)
            if view is not None and view["trade_id"] == exposure.trade_id:
                found.append(view)
        return tuple(found)

    def restore(self, closed: Iterable[View], count: int) -> None:
        """Take over what was kept; how open trades look the pairs tell."""
        self.closed, self.count = tuple(closed), count


def closed_view(closed: TradeClosed, last: Mapping[str, Any] | None) -> dict[str, Any]:
    """A closed trade in the fields of `TradeView`; `last` is how it looked when it was last told, where it was."""
    before = last if last is not None and last["trade_id"] == closed.trade_id else {}
    return {
        "entries": 1,
        "exits": 1,
        "orders": [],
        "custom_data": {},
        **before,
        "pair": closed.pair,
        "trade_id": closed.trade_id,
        "is_short": closed.side is Side.SHORT,
        "open_ts": closed.open_ts,
        "open_rate": float(closed.open_rate),
        "amount": float(closed.amount),
        "stake_amount": float(closed.stake),
        "max_stake_amount": float(closed.stake),
        "leverage": float(closed.leverage),
        "enter_tag": closed.enter_tag,
        "stop_loss": float(closed.stop),
        "initial_stop_loss": float(closed.initial_stop),
        "max_rate": float(closed.max_rate),
        "min_rate": float(closed.min_rate),
        "realized_profit": float(closed.profit_abs),
        "funding_fees": float(closed.funding_fees),
        "exit_reason": closed.exit_reason,
        "is_open": False,
        "close_ts": closed.close_ts,
        "close_rate": float(closed.close_rate),
        "profit_abs": float(closed.profit_abs),
        "profit_ratio": float(closed.profit_ratio),
        "fee_open": float(closed.fee_open),
        "fee_close": float(closed.fee_close),
    }
