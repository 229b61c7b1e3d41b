"""`Order` as Freqtrade's callbacks get it: a copy of the machine's facts, in floats."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from strategies.compat.trade import Trade

_STATUS: Final = {"CANCELED": "canceled", "REJECTED": "rejected", "EXPIRED": "expired"}
"""ccxt's words for orders that have ended without being filled."""


class Order:
    """One order of a trade."""

    def __init__(self, facts: Mapping[str, Any], trade: Trade | None) -> None:
        entry = bool(facts.get("is_entry", True))
        short = trade is not None and trade.is_short
        self.trade = trade
        self.order_id = self.id = str(facts.get("order_id", ""))
        self.ft_order_side = self.side = "buy" if entry is not short else "sell"
        if facts.get("is_stop"):
            self.ft_order_side = "stoploss"
        self.ft_is_entry = entry
        self.ft_is_open = bool(facts.get("is_open", False))
        self.ft_order_tag = str(facts.get("tag", ""))
        self.ft_pair = self.symbol = str(facts.get("pair", trade.pair if trade else ""))
        self.status = "open" if self.ft_is_open else _STATUS.get(str(facts.get("status")), "closed")
        self.order_type = str(facts.get("type", "limit"))
        self.price = self.ft_price = float(facts.get("price", 0.0))
        self.amount = self.ft_amount = float(facts.get("amount", 0.0))
        self.filled = float(facts.get("filled", 0.0))
        self.average = float(facts.get("average") or 0.0) or None
        self.stop_price = facts.get("stop_price")
        self.order_date = self.order_date_utc = moment_of(facts.get("created_ts"))
        self.order_filled_date = self.order_filled_utc = moment_of(
            facts.get("updated_ts") if self.filled and not self.ft_is_open else None
        )
        self.leverage = trade.leverage if trade else 1.0

    @classmethod
    def of(cls, facts: Mapping[str, Any], trade: Trade | None) -> Order:
        """An order of the machine's facts."""
        return cls(facts, trade)

    @property
    def remaining(self) -> float:
        """What has not been filled."""
        return self.amount - self.filled

    @property
    def safe_price(self) -> float:
        """The price it was filled at, else the one it asks."""
        return self.average or self.price

    safe_placement_price = safe_price

    @property
    def safe_filled(self) -> float:
        """What has been filled."""
        return self.filled

    @property
    def safe_amount(self) -> float:
        """What it is over."""
        return self.amount

    @property
    def safe_amount_after_fee(self) -> float:
        """What has been filled; fees in the bought coin are the trade's matter."""
        return self.filled

    @property
    def safe_remaining(self) -> float:
        """What has not been filled."""
        return self.remaining

    @property
    def cost(self) -> float:
        """The worth of what was filled."""
        return self.filled * self.safe_price

    safe_cost = cost

    @property
    def stake_amount(self) -> float:
        """The capital it is over."""
        return self.amount * self.safe_price / self.leverage

    @property
    def stake_amount_filled(self) -> float:
        """The capital of what was filled."""
        return self.cost / self.leverage

    def __repr__(self) -> str:
        return (
            f"Order(id={self.id}, trade={self.trade.id if self.trade else None}, side={self.side}, "
            f"filled={self.filled}, price={self.price}, status={self.status}, date={self.order_date})"
        )


def moment_of(ts: Any) -> Any:
    """A time of the machine's as Freqtrade gives it: in UTC; None where there is none."""
    return None if ts is None else datetime.fromtimestamp(int(ts) / 1_000, UTC)
