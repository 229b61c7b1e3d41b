"""The trades that a process has been told of, and what strategies want to keep with them."""

from __future__ import annotations

from itertools import count
from typing import Any


class TradeBook:
    """Open and closed trades by id, in the order they were first heard of."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._count = count(1)
        self._trades: dict[str, Any] = {}
        self._custom: dict[str, dict[str, Any]] = {}

    def number_of(self, trade_id: str) -> int:
        """The number by which Freqtrade's strategies know a trade."""
        return self._numbers.setdefault(trade_id, 0) or self._numbered(trade_id)

    def _numbered(self, trade_id: str) -> int:
        self._numbers[trade_id] = next(self._count)
        return self._numbers[trade_id]

    def opened(self, trade: Any) -> None:
        """A question brought this trade: it is its pair's only open one."""
        for known in [t for t in self._trades.values() if t.is_open and t.pair == trade.pair]:
            if known.trade_id != trade.trade_id:
                del self._trades[known.trade_id]
        self._trades[trade.trade_id] = trade

    def closed(self, trade: Any) -> None:
        """A trade has ended."""
        self._trades[trade.trade_id] = trade

    def all(self) -> list[Any]:
        """All that are known."""
        return list(self._trades.values())

    def custom_of(self, trade_id: str, pair: str) -> dict[str, Any]:
        """What strategies of this process keep with a pair's open trade; that of the trade before is forgotten."""
        kept = self._custom.get(pair, {})
        if kept.get("trade_id") != trade_id:
            kept = self._custom[pair] = {"trade_id": trade_id, "data": {}}
        data: dict[str, Any] = kept["data"]
        return data

    def reset(self) -> None:
        """Forget all."""
        self._trades.clear()
        self._custom.clear()
