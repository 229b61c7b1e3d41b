"""What a strategy is shown of orders, trades and the account, and what it may say besides its answers.

Floats, since a strategy computes in floats; times are market time in milliseconds. All travel as plain
mappings (`engine.telling` makes them) and become these in the process that judges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

REASON_MAX: Final = 255
WISHES_MAX: Final = 16
"""So many locks may be made and lifted in one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderView:
    """What a callback is told of an order. `price` is the limit, `average` what was paid; times in milliseconds."""

    order_id: str
    is_entry: bool
    side: str
    type: str
    status: str
    is_open: bool
    price: float
    average: float | None
    amount: float
    filled: float
    remaining: float
    cost: float
    created_ts: int
    updated_ts: int
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeView:
    """What a strategy is told of a trade; floats, since a strategy computes in floats.

    `entries` and `exits` count orders with a fill; `orders` are those that wait or have filled something, oldest
    first, less a guarding stop that waits.
    `stop_loss_ratio` is the stop's distance as it was last set. Before anything is bought, rate and stake are
    those of the entry that waits. `custom_data` is the strategy's own: what a callback puts into that of its
    trade is kept with the trade, over restarts too; plain values only, and a key does not go again. What comes
    after `custom_data` is of closed trades.
    """

    pair: str
    trade_id: str
    is_short: bool
    open_ts: int
    open_rate: float
    amount: float
    stake_amount: float
    leverage: float
    enter_tag: str
    stop_loss: float
    initial_stop_loss: float
    max_rate: float
    min_rate: float
    entries: int
    exits: int
    stop_loss_ratio: float = 0.0
    initial_stop_loss_ratio: float = 0.0
    max_stake_amount: float = 0.0
    liquidation_price: float | None = None
    realized_profit: float = 0.0
    funding_fees: float = 0.0
    exit_reason: str = ""
    orders: tuple[OrderView, ...] = ()
    custom_data: dict[str, Any] = field(default_factory=dict)
    is_open: bool = True
    close_ts: int | None = None
    close_rate: float | None = None
    profit_abs: float | None = None
    profit_ratio: float | None = None
    fee_open: float | None = None
    fee_close: float | None = None


class LockView(NamedTuple):
    """No entries on `pair` (`*`: all) on `side` (`*`: both) before `until`."""

    pair: str
    side: str
    until: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """What a strategy is told of the account, in the stake currency.

    `start` is what the run began with, `profit` what closed trades and partial exits have earned since. `tied`
    is the stake of open trades, `waiting` the part of it that is in unfilled entries; `free` is the rest of the
    balance. `pool` is what may be traded with, open trades included, `available` what of it is left for a new
    one. `coins` are the base coins that spot trades hold. `trades` are the open ones in the order of their
    opening, `closed` the closed ones in the order of their ends.
    """

    start: float
    profit: float
    free: float
    tied: float
    waiting: float
    pool: float
    available: float
    open_trades: int
    coins: Mapping[str, float]
    locks: tuple[LockView, ...]
    trades: tuple[TradeView, ...] = ()
    closed: tuple[TradeView, ...] = ()


def trade_view(told: Mapping[str, Any]) -> TradeView:
    """A trade of plain values, its orders as views too; its custom data are a copy, to be written to."""
    orders = tuple(OrderView(**order) for order in told.get("orders", ()))
    return TradeView(**{**told, "orders": orders, "custom_data": dict(told.get("custom_data", {}))})


def account_view(told: Mapping[str, Any], known: dict[str, TradeView]) -> AccountView:
    """The account of plain values. `known` are the closed trades of before, which are not made again."""
    for trade in told["closed"]:
        if trade["trade_id"] not in known:
            known[trade["trade_id"]] = trade_view(trade)
    return AccountView(
        **told["figures"],
        locks=tuple(LockView(*lock) for lock in told["locks"]),
        trades=tuple(map(trade_view, told["open"])),
        closed=tuple(known[trade["trade_id"]] for trade in told["closed"]),
    )


class Aside(NamedTuple):
    """What a strategy says besides an answer. `wishes` are plain: what to do, and its arguments."""

    custom_data: Mapping[str, Any]
    wishes: list[list[Any]]


class Wishes:
    """Locks that a strategy wants made and lifted, in order, until somebody takes them."""

    def __init__(self) -> None:
        self._made: list[list[Any]] = []

    def lock(self, pair: str, side: str, until: int, reason: str) -> None:
        """Make one."""
        if side not in ("long", "short", "*"):
            raise ValueError(f"a lock's side is long, short or *, not {side!r}")
        self._add("lock", pair, side, int(until), reason[:REASON_MAX])

    def unlock(self, pair: str, side: str) -> None:
        """Lift those of a pair."""
        self._add("unlock", pair, side)

    def unlock_reason(self, reason: str) -> None:
        """Lift those of a reason."""
        self._add("unlock_reason", reason[:REASON_MAX])

    def _add(self, *wish: Any) -> None:
        if self._made and self._made[-1] == list(wish):
            return
        if len(self._made) >= WISHES_MAX:
            raise ValueError(f"more than {WISHES_MAX} locks made and lifted in one answer")
        self._made.append(list(wish))

    def take(self) -> list[list[Any]]:
        """Those that were made, which are gone then."""
        made, self._made = self._made, []
        return made
