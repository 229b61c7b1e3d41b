"""Orders and trades as the exchange records them."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

ZERO: Final = Decimal(0)
WORKING: Final = ("NEW", "PARTIALLY_FILLED")
TRIGGERED_TYPES: Final = (
    "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT", "STOP", "STOP_MARKET", "TAKE_PROFIT_MARKET",
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Trade:
    """One fill of one order."""

    id: int
    order_id: int
    client_id: str
    symbol: str
    side: str
    price: Decimal
    qty: Decimal
    fee: Decimal
    fee_asset: str
    maker: bool
    ts: int
    realized: Decimal = ZERO

    @property
    def cost(self) -> Decimal:
        """What it moved in the quote coin."""
        return self.price * self.qty

    def facts(self) -> dict[str, Any]:
        """Everything, for the ledger's reader."""
        return {
            "id": self.id,
            "order_id": self.order_id,
            "client_id": self.client_id,
            "symbol": self.symbol,
            "side": self.side,
            "price": str(self.price),
            "qty": str(self.qty),
            "fee": str(self.fee),
            "fee_asset": self.fee_asset,
            "maker": self.maker,
            "ts": self.ts,
            "realized": str(self.realized),
        }


@dataclass(slots=True, kw_only=True)
class Order:
    """One order. `waiting`: its trigger has not been reached. `reserved` is what it has locked, and of which asset."""

    id: int
    client_id: str
    account: str
    symbol: str
    side: str
    type: str
    tif: str
    qty: Decimal
    price: Decimal
    stop_price: Decimal
    created: int
    quote_qty: Decimal = ZERO
    status: str = "NEW"
    filled: Decimal = ZERO
    cost: Decimal = ZERO
    updated: int = 0
    waiting: bool = False
    reserved: Decimal = ZERO
    reserved_asset: str = ""
    reduce_only: bool = False
    original_type: str = ""
    origin: str = "api"
    ended_by: str = ""
    trades: list[Trade] = field(default_factory=list)

    @property
    def remaining(self) -> Decimal:
        """What is still to be filled."""
        return self.qty - self.filled

    @property
    def working(self) -> bool:
        """Whether it can still fill."""
        return self.status in WORKING

    @property
    def buys(self) -> bool:
        """Whether it is a buy."""
        return self.side == "BUY"

    @property
    def rests_at(self) -> Decimal | None:
        """Its limit, if it has one."""
        return self.price or None

    def facts(self) -> dict[str, Any]:
        """Everything, for the ledger's reader."""
        return {
            "id": self.id,
            "client_id": self.client_id,
            "symbol": self.symbol,
            "side": self.side,
            "type": self.original_type or self.type,
            "tif": self.tif,
            "qty": str(self.qty),
            "price": str(self.price),
            "stop_price": str(self.stop_price),
            "status": self.status,
            "filled": str(self.filled),
            "cost": str(self.cost),
            "created": self.created,
            "updated": self.updated,
            "reduce_only": self.reduce_only,
            "origin": self.origin,
            "ended_by": self.ended_by,
            "trades": [trade.facts() for trade in self.trades],
        }
