"""What a Freqtrade strategy uses of the objects it is given that these do not have: found by reading its text."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, Final

from strategies.compat.interface import IStrategy
from strategies.compat.provider import DataProvider
from strategies.compat.trade import Trade
from strategies.compat.wallets import Wallets

_FREQAI: Final = "FreqAI, which Tradepit does not have"
_SQL: Final = "a query of Freqtrade's database, which is another one here; use get_trades_proxy"
_NOT_WHOLE: Final = dict.fromkeys(
    ("get_trades", "get_trades_query", "get_trading_volume", "session", "rollback", "delete", "query"), _SQL
)
"""What only Freqtrade's database can answer: a strategy that asks it is refused."""
_TRADE: Final = frozenset(
    vars(
        Trade(
            {
                "trade_id": "", "pair": "", "is_short": False, "open_rate": 1, "amount": 0, "stake_amount": 0,
                "leverage": 1, "enter_tag": "", "stop_loss": 0, "initial_stop_loss": 0, "max_rate": 0, "min_rate": 0,
                "open_ts": 0,
            }
        )
    )
)  # fmt: skip
"""The attributes that every trade has."""


def uses_unknown(tree: ast.AST) -> list[str]:
    """Attributes of `self.dp`, `self.wallets`, `Trade` and of trades that are not there, and FreqAI; with lines."""
    return list(dict.fromkeys(_found(tree)))


def _found(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        owner = ast.unparse(node.value)
        what = f"{owner}.{node.attr} (line {node.lineno})"
        if owner == "self.freqai":
            yield f"{what}: {_FREQAI}"
        elif owner in ("Trade", "LocalTrade") and node.attr in _NOT_WHOLE:
            yield f"{what}: {_NOT_WHOLE[node.attr]}"
        elif isinstance(node.ctx, ast.Load) and not _has(owner, node.attr):
            yield what


def _has(owner: str, name: str) -> bool:
    known: dict[str, Any] = {"self.dp": DataProvider, "self.wallets": Wallets, "Trade": Trade}
    if owner in known:
        return hasattr(known[owner], name)
    if owner == "trade":
        return hasattr(Trade, name) or name in _TRADE
    return True


def lacks_method(cls: type) -> list[str]:
    """What every strategy must have and this one has not."""
    own = getattr(cls, "populate_indicators", None)
    return ["populate_indicators"] if own is IStrategy.populate_indicators else []
