"""Protections: rules that lock pairs after closed trades (`semantics.md` 1.11).

They are asked when a trade has closed, and answer with locks. A lock ends at the first candle open
after its end (an exact boundary moves one full candle), as users of Freqtrade know it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engine.messages import TradeClosed
from engine.types import ZERO, Millis

DAY_MS = 86_400_000
STOP_REASONS = frozenset({"stop_loss", "trailing_stop_loss", "stoploss_on_exchange", "liquidation"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """No entries on `pair` (`*`: any) on `side` (`*`: both) before `until`."""

    pair: str
    side: str
    until: Millis
    reason: str

    def covers(self, pair: str, side: str, now: Millis) -> bool:
        """Whether it forbids entering `pair` on `side` at `now`."""
        return self.until > now and self.pair in ("*", pair) and self.side in ("*", side)


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """One configured rule. Spans are milliseconds; `unlock_at` is minutes of the UTC day, or None."""

    method: str
    lookback_ms: Millis
    stop_ms: Millis
    unlock_at: int | None = None
    trade_limit: int = 1
    required_profit: Decimal = ZERO
    max_allowed_drawdown: Decimal = ZERO
    mode: str = "ratios"
    only_per_pair: bool = False
    only_per_side: bool = False

    def locks(self, closed: TradeClosed, trades: Sequence[TradeClosed], balance: Decimal, candle: Millis) -> list[Lock]:
        """The locks that `closed` brings; `trades` are the closed ones so far, it included, oldest first.

        `balance` is the one to start with, for drawdowns in mode "equity".
        """
        recent = [t for t in trades if t.close_ts > closed.close_ts - self.lookback_ms]
        if self.method == "CooldownPeriod":
            return [self._lock([closed], closed.pair, "*", candle, "Cooldown")]
        if self.method == "StoplossGuard":
            return self._stoploss_guard(closed, recent, candle)
        if self.method == "LowProfitPairs":
            return self._low_profit(closed, recent, candle)
        return self._max_drawdown(recent, trades, balance, candle)

    def _stoploss_guard(self, closed: TradeClosed, recent: list[TradeClosed], candle: Millis) -> list[Lock]:
        side = closed.side.value if self.only_per_side else "*"
        stops = [
            t
            for t in recent
            if t.exit_reason in STOP_REASONS and t.profit_ratio < self.required_profit and side in ("*", t.side.value)
        ]
        found = []
        if not self.only_per_pair and len(stops) >= self.trade_limit:
            found.append(self._lock(stops, "*", side, candle, f"{len(stops)} stops in the lookback"))
        of_pair = [t for t in stops if t.pair == closed.pair]
        if len(of_pair) >= self.trade_limit:
            found.append(self._lock(of_pair, closed.pair, side, candle, f"{len(of_pair)} stops on the pair"))
        return found

    def _low_profit(self, closed: TradeClosed, recent: list[TradeClosed], candle: Millis) -> list[Lock]:
        side = closed.side.value if self.only_per_side else "*"
        of_pair = [t for t in recent if t.pair == closed.pair]
        if len(of_pair) < self.trade_limit:
            return []
        profit = sum((t.profit_ratio for t in of_pair if side in ("*", t.side.value)), ZERO)
        if profit >= self.required_profit:
            return []
        return [self._lock(of_pair, closed.pair, side, candle, f"profit {profit:.4f} in the lookback")]

    def _max_drawdown(
        self, recent: list[TradeClosed], trades: Sequence[TradeClosed], balance: Decimal, candle: Millis
    ) -> list[Lock]:
        if len(recent) < self.trade_limit:
            return []
        if self.mode == "equity":
            before = sum((t.profit_abs for t in trades), ZERO) - sum((t.profit_abs for t in recent), ZERO)
            fall = relative_drawdown(balance + before, [t.profit_abs for t in recent])
        else:
            fall = largest_drop([t.profit_ratio for t in recent])
        if fall <= self.max_allowed_drawdown:
            return []
        return [self._lock(recent, "*", "*", candle, f"drawdown {fall:.4f} in the lookback")]

    def _lock(self, counted: Iterable[TradeClosed], pair: str, side: str, candle: Millis, why: str) -> Lock:
        until = self.end(max(t.close_ts for t in counted))
        return Lock(pair=pair, side=side, until=next_candle(until, candle), reason=f"{self.method}: {why}")

    def end(self, close_ts: Millis) -> Millis:
        """When a lock caused by a trade closed at `close_ts` ends, before rounding to a candle."""
        if self.unlock_at is None:
            return close_ts + self.stop_ms
        at = close_ts - close_ts % DAY_MS + self.unlock_at * 60_000
        return at if at > close_ts else at + DAY_MS


def next_candle(ts: Millis, candle: Millis) -> Millis:
    """The first candle open after `ts`; an exact boundary moves one full candle."""
    return ts - ts % candle + candle


def largest_drop(profits: Iterable[Decimal]) -> Decimal:
    """The largest fall of the running sum from its highest point, which begins at 0."""
    total = peak = drop = ZERO
    for profit in profits:
        total += profit
        peak = max(peak, total)
        drop = max(drop, peak - total)
    return drop


def relative_drawdown(balance: Decimal, profits: Iterable[Decimal]) -> Decimal:
    """The largest fall of the balance from its peak, as a ratio of that peak."""
    peak, worst = balance, ZERO
    for profit in profits:
        balance += profit
        peak = max(peak, balance)
        if peak > ZERO:
            worst = max(worst, (peak - balance) / peak)
    return worst


def protections_from(entries: Iterable[Mapping[str, Any]], timeframe_ms: Millis) -> tuple[Protection, ...]:
    """The rules of `[[protections]]` and of a strategy, checked before by `config`."""
    return tuple(_protection(entry, timeframe_ms) for entry in entries)


def _protection(entry: Mapping[str, Any], timeframe_ms: Millis) -> Protection:
    def span(name: str) -> Millis:
        if f"{name}_candles" in entry:
            return int(entry[f"{name}_candles"]) * timeframe_ms
        return int(entry.get(name, 60)) * 60_000

    unlock = entry.get("unlock_at")
    at = int(unlock[:2]) * 60 + int(unlock[3:]) if isinstance(unlock, str) else None
    method = str(entry["method"])
    return Protection(
        method=method,
        lookback_ms=span("lookback_period"),
        stop_ms=span("stop_duration"),
        unlock_at=at,
        trade_limit=int(entry.get("trade_limit", 10 if method == "StoplossGuard" else 1)),
        required_profit=Decimal(str(entry.get("required_profit", 0))),
        max_allowed_drawdown=Decimal(str(entry.get("max_allowed_drawdown", 0))),
        mode=str(entry.get("calculation_mode", "ratios")),
        only_per_pair=bool(entry.get("only_per_pair", False)),
        only_per_side=bool(entry.get("only_per_side", False)),
    )
