"""The trades that a process has been told of, and what strategies want to keep with them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any


class TradeBook:
    """Open and closed trades by id, in the order they were first heard of."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._count = count(1)
        self._trades: dict[str, Any] = {}
        self._changes: dict[str, Any] = {}

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

    def custom_changed(self, trade_id: str, key: str, value: Any) -> None:
        """A strategy keeps a value with a trade."""
        del trade_id
        self._changes[key] = value

    def take_changes(self) -> Mapping[str, Any]:
        """What was kept since the last call: it goes back with the answer."""
        changes, self._changes = self._changes, {}
        return changes

    def reset(self) -> None:
        """Forget all."""
        self._trades.clear()
        self._changes.clear()
