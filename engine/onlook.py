"""The account as a strategy is shown it: plain values, read from the portfolio."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from engine.messages import AskStrategy
from engine.portfolio import Portfolio
from engine.sizing import stake_room
from engine.types import ZERO, Side


def with_account(portfolio: Portfolio, ask: AskStrategy) -> AskStrategy:
    """A question, and the account as it is now; what a position may be increased by is no more than is available."""
    account, arguments = account_facts(portfolio, ask.pair), ask.arguments
    if ask.callback == "adjust_trade_position":
        most, available = arguments["max_stake"], account["figures"]["available"]
        arguments = {**arguments, "max_stake": available if most is None else min(most, available)}
    return replace(ask, account=account, arguments=arguments)


def account_facts(portfolio: Portfolio, pair: str = "") -> dict[str, Any]:
    """The account in the fields of `AccountView`, as `pair` sees it: what is reserved for it counts as free."""
    own = portfolio.reserved.get(pair)
    kept = own.stake if own is not None else ZERO
    free, tied = portfolio.free + kept, portfolio.tied - kept
    pool, available = stake_room(portfolio.trading, free=free, tied=tied, profit=portfolio.closed_profit)
    exposures = portfolio.exposures
    chronicle = portfolio.chronicle
    return {
        "figures": {
            "start": float(portfolio.start),
            "profit": float(portfolio.closed_profit + exposures.total(1)),
            "free": float(free),
            "tied": float(tied),
            "waiting": float(sum((e.waiting for e in exposures.values()), ZERO)),
            "pool": float(pool),
            "available": float(available),
            "open_trades": len(exposures),
            "coins": {
                e.pair.partition("/")[0]: float(e.amount)
                for e in exposures.values()
                if e.amount and e.side is Side.LONG and ":" not in e.pair
            },
        },
        "locks": [[lock.pair, lock.side, lock.until, lock.reason] for lock in portfolio.locks],
        "open": () if chronicle is None else chronicle.open_ones(exposures.values()),
        "closed": () if chronicle is None else chronicle.closed,
        "closed_count": 0 if chronicle is None else chronicle.count,
    }
