"""What is held at the venue, against what our trades hold: no position may be abandoned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from actors.batch.audit_books import BookedTrade
from actors.batch.findings import Findings
from engine.order import Fill
from engine.types import ONE, ZERO, OrderSide, Side


class VenueFills(Protocol):
    """The venue's orders by their id there, and its fills with the order's id."""

    @property
    def orders(self) -> Mapping[str, Any]: ...

    @property
    def fills(self) -> Sequence[tuple[str, Fill]]: ...


def is_ours(client_order_id: str, installation: str) -> bool:
    """Whether an order carries this installation's prefix."""
    return bool(installation) and client_order_id.startswith(f"tp{installation}r")


def check_held(
    trades: Mapping[str, BookedTrade],
    venue: VenueFills,
    booked: Mapping[str, BookedTrade],
    installation: str,
    findings: Findings,
    kept: Mapping[str, Decimal],
) -> None:
    """What our orders have bought and not sold at the venue, against what the trades hold: none is abandoned.

    `kept` is what the pairs themselves keep, signed; where the journal has lost entries that is the better word.
    """
    bought: dict[str, Decimal] = {}
    forgotten: dict[str, Decimal] = {}
    for order_id, fill in venue.fills:
        order = venue.orders.get(order_id)
        if order is None:
            continue
        pair = order.told.pair
        # An order of the user's that took of a position is one of its exits; by its id where no other name was heard.
        names = (fill.client_order_id, f"order {order.told.order_id}")
        taken = any(name in booked and booked[name].pair == pair for name in names)
        if not (taken or is_ours(fill.client_order_id, installation)):
            continue
        is_buy = order.told.side is OrderSide.BUY
        amount = fill.amount if is_buy else -fill.amount
        if is_buy and fill.fee_currency == pair.partition("/")[0]:  # a sale's is taken of other coins there are of it
            amount -= fill.fee
        bought[pair] = bought.get(pair, ZERO) + amount
        if not taken:
            forgotten[pair] = forgotten.get(pair, ZERO) + fill.amount
    held: dict[str, Decimal] = {}
    for trade in trades.values():
        sign = ONE if trade.position.side is Side.LONG else -ONE
        held[trade.pair] = held.get(trade.pair, ZERO) + sign * (trade.position.amount + trade.dust + trade.moved)
    for pair in sorted(bought.keys() | held.keys()):
        ours, theirs = held.get(pair, ZERO), bought.get(pair, ZERO)
        # What trades that the journal lost have written off is not known; it is less than a percent of them.
        most = forgotten.get(pair, ZERO) / 100
        if abs(theirs - ours) > most and abs(theirs - kept.get(pair, ours)) > most:
            text = f"{pair}: our orders have left {theirs} at the venue, the journal's trades hold {ours}."
            findings.differ("held", pair, text)
