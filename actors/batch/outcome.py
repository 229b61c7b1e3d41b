"""A run's outcome: what `BacktestResult` holds, and all the figures that tables, exports and reports show of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from actors.batch.taping import Taped
from engine.actions import Emit
from engine.candles import Candles
from engine.columns import TradeColumns
from engine.counters import Counters
from engine.equity import Equity, Holding, equity_of, market_change
from engine.groups import Group, groups_by
from engine.messages import TradeClosed
from engine.settings import Config
from engine.summary import Summary, summarise
from engine.taken import PlainTrades
from engine.types import ZERO, Millis


class Done(NamedTuple):
    """What a walk gave; the fields are those of `BacktestResult`."""

    trades: Sequence[TradeClosed]
    counters: Counters
    events: Mapping[str, Sequence[Emit]]
    interrupted: Millis | None
    changes: Sequence[Emit] = ()


@dataclass(slots=True, kw_only=True)
class BacktestResult:
    """What a run gave: the closed trades in order, what was counted, and how long each stage took.

    `events` are the domain events by writer, empty unless they were asked for; `changes` those of trades that
    were added to or reduced. [`start`, `end`] are the open times of the first and the last candle that was
    traded on. `failed` and `left_out` are the pairs that were not traded, with the reasons. `candles` are all
    that were read. `interrupted` is the candle at which Ctrl-C ended it, None where it reached its end;
    positions held then are in no trade.
    """

    trades: Sequence[TradeClosed]
    start: Millis
    end: Millis
    wallet: Decimal
    counters: Counters = field(default_factory=Counters)
    events: Mapping[str, Sequence[Emit]] = field(default_factory=dict)
    changes: Sequence[Emit] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    candles: int = 0
    interrupted: Millis | None = None

    @property
    def columns(self) -> TradeColumns:
        """The trades as columns of doubles, sorted by their ends."""
        trades = self.trades
        return trades.columns if isinstance(trades, PlainTrades) else TradeColumns.of(trades)

    @property
    def profit(self) -> Decimal:
        """The sum of the trades' profits, in the stake currency."""
        if isinstance(self.trades, PlainTrades):
            return self.trades.profit
        return sum((trade.profit_abs for trade in self.trades), ZERO)

    @property
    def final_balance(self) -> Decimal:
        """The wallet after the last trade."""
        return self.wallet + self.profit


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One run under one fill model, with its figures. `candles` are those it was traded on, by pair."""

    result: BacktestResult
    config: Config
    strategy: str
    timeframe: str
    fills: str
    candles: Mapping[str, Candles]
    trades: TradeColumns
    equity: Equity
    summary: Summary

    @property
    def currency(self) -> str:
        """The coin that money is counted in."""
        return self.config.trading.stake_currency

    def groups(self) -> dict[str, list[Group]]:
        """The trades by pair, tag, exit reason, tag and reason; and, by pair, those that the data's end closed."""
        trades, balance, days = self.trades, self.summary.starting_balance, self.summary.days
        left = trades[trades.exit_reason.is_any(LEFT_OPEN)]
        return {
            "pairs": groups_by([trades.pair], trades, balance, days),
            "enter_tags": groups_by([trades.enter_tag], trades, balance, days),
            "exit_reasons": groups_by([trades.exit_reason], trades, balance, days),
            "mix": groups_by([trades.enter_tag, trades.exit_reason], trades, balance, days),
            "left_open": groups_by([left.pair], left, balance, days),
        }


LEFT_OPEN = "force_exit"
"""The exit reason of trades that were left open and that the end of the data closed (2.6)."""


def _holdings(result: BacktestResult) -> list[Holding]:
    """What the trades that were added to or reduced held, and from when on."""
    if not result.changes:
        return []
    begun = {trade.trade_id: trade.open_ts for trade in result.trades}
    return [
        Holding(
            pair=event.body["pair"],
            open_ts=begun[event.body["trade_id"]],
            ts=event.ts,
            amount=float(event.body["amount"]),
            rate=float(event.body["open_rate"]),
            realized=float(event.body.get("realized", ZERO)),
        )
        for event in result.changes
        if event.body["trade_id"] in begun
    ]


def outcome_of(config: Config, taped: Taped, result: BacktestResult, fills: str = "candle") -> Outcome:
    """Reckon the figures of a run."""
    candles = {pair: tape.candles for pair, tape in taped.tapes.items()}
    trades, balance = result.columns, float(result.wallet)
    equity = equity_of(trades, candles, balance, _holdings(result))
    summary = summarise(
        trades,
        start_ts=min((int(own.ts[0]) for own in candles.values() if len(own)), default=result.start),
        end_ts=result.end if result.interrupted is None else result.interrupted,
        balance=balance,
        market_change=market_change(candles),
        equity=equity,
    )
    return Outcome(
        result=result,
        config=config,
        strategy=taped.facts.name,
        timeframe=taped.facts.timeframe,
        fills=fills,
        candles=candles,
        trades=trades,
        equity=equity,
        summary=summary,
    )
