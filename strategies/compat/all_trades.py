"""What strategies ask of all trades, open and closed: the part of `Trade` that is not about one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Self

from strategies.compat.book import TradeBook


class AllTrades:
    """The questions; `book` is that of the strategy at work."""

    book: ClassVar[TradeBook] = TradeBook(sees_all=False)
    use_db: ClassVar[bool] = False

    pair: str
    is_open: bool
    open_date: Any
    close_date: Any
    enter_tag: str | None
    exit_reason: str
    stake_amount: float
    close_profit: float | None
    close_profit_abs: float | None

    def __init__(self, facts: Mapping[str, Any]) -> None:
        raise NotImplementedError

    @classmethod
    def get_trades_proxy(
        cls,
        *,
        pair: str | None = None,
        is_open: bool | None = None,
        open_date: datetime | None = None,
        close_date: datetime | None = None,
    ) -> list[Self]:
        """The trades of the account, filtered: opened, or closed, after a time.

        Raises:
            LookupError: the strategy is not told of all trades.
        """
        if not cls.book.sees_all:
            raise LookupError(
                "the strategy asks for all trades in a way that its text does not show, so it was not told of any; "
                "call Trade.get_trades_proxy and its like by name"
            )
        return [
            trade
            for trade in cls.book.all(cls)
            if pair in (None, trade.pair)
            and is_open in (None, trade.is_open)
            and (open_date is None or trade.open_date > open_date)
            and (close_date is None or (trade.close_date is not None and trade.close_date > close_date))
        ]

    @classmethod
    def get_open_trades(cls) -> list[Self]:
        """The open ones."""
        return cls.get_trades_proxy(is_open=True)

    @classmethod
    def get_open_trade_count(cls) -> int:
        """How many are open, those whose entry waits included."""
        return cls.book.open_trades

    @classmethod
    def total_open_trades_stakes(cls) -> float:
        """The capital in open trades."""
        return cls.book.stakes

    @classmethod
    def _closed(cls, pair: str | None = None, since: datetime | None = None) -> list[Self]:
        return cls.get_trades_proxy(pair=pair, is_open=False, close_date=since)

    @classmethod
    def get_total_closed_profit(cls) -> float:
        """What closed trades have earned."""
        return sum(float(trade.close_profit_abs or 0.0) for trade in cls._closed())

    @classmethod
    def get_overall_performance(cls, start_date: datetime | None = None) -> list[dict[str, Any]]:
        """The closed trades' profit by pair, best first; `start_date` leaves out what was closed before."""
        rows = _grouped(cls._closed(since=start_date), "pair", lambda trade: trade.pair)
        return [{**row, "profit": row["profit_pct"]} for row in rows]

    @classmethod
    def get_enter_tag_performance(cls, pair: str | None) -> list[dict[str, Any]]:
        """The closed trades' profit by enter tag."""
        return _grouped(cls._closed(pair), "enter_tag", lambda trade: trade.enter_tag or "Other")

    @classmethod
    def get_exit_reason_performance(cls, pair: str | None) -> list[dict[str, Any]]:
        """The closed trades' profit by the reason of their end."""
        return _grouped(cls._closed(pair), "exit_reason", lambda trade: trade.exit_reason or "Other")

    @classmethod
    def get_mix_tag_performance(cls, pair: str | None) -> list[dict[str, Any]]:
        """The closed trades' profit by both."""
        return _grouped(
            cls._closed(pair), "mix_tag", lambda trade: f"{trade.enter_tag or 'Other'} {trade.exit_reason or 'Other'}"
        )

    @classmethod
    def get_best_pair(cls) -> tuple[str, float, float, int] | None:
        """The pair that has earned most: its name, mean ratio, profit, number of trades; None before any has closed."""
        rows = cls.get_overall_performance()
        if not rows:
            return None
        best = max(rows, key=lambda row: row["profit_ratio"])
        return best["pair"], best["profit_ratio"], best["profit_abs"], best["count"]

    @staticmethod
    def commit() -> None:
        """Nothing to do: custom data goes back with the answer."""


def _grouped(trades: list[Any], name: str, key: Callable[[Any], str]) -> list[dict[str, Any]]:
    """The profit of trades by a key of theirs, the best first; ratios are means."""
    found: dict[str, list[Any]] = {}
    for trade in trades:
        found.setdefault(key(trade), []).append(trade)
    rows: list[dict[str, Any]] = []
    for value, own in found.items():
        ratio = sum(float(trade.close_profit or 0.0) for trade in own) / len(own)
        earned = sum(float(trade.close_profit_abs or 0.0) for trade in own)
        percent = round(100 * ratio, 2)
        rows.append(
            {name: value, "profit_ratio": ratio, "profit_pct": percent, "profit_abs": earned, "count": len(own)}
        )
    return sorted(rows, key=lambda row: float(row["profit_abs"]), reverse=True)
