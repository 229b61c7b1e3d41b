"""What our orders have left at the venue, against what the trades hold: fees in the pair's own coin count as they are taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from actors.batch.audit_books import BookedTrade
from actors.batch.audit_held import check_held
from actors.batch.findings import Findings
from engine.order import Fill
from engine.position import Position
from engine.types import OrderSide, Side

D = Decimal
PAIR = "BNB/USDT"


@dataclass
class Record:
    """The venue's record of an entry and an exit."""

    orders: Mapping[str, Any] = field(default_factory=dict)
    fills: Sequence[tuple[str, Fill]] = ()


def fill(number: int, amount: str, fee: str) -> Fill:
    """An execution whose fee was taken in BNB."""
    return Fill(
        fill_id=str(number),
        client_order_id=f"tpaaaaaar1p0t1i{number}",
        ts=number,
        price=D(500),
        amount=D(amount),
        fee=D(fee),
        fee_currency="BNB",
    )


@pytest.mark.parametrize(("dust", "differs"), [("0.000925", False), ("0.000185", True)])
def test_the_fee_of_a_sale_is_not_taken_of_what_was_bought(dust: str, differs: bool) -> None:
    """Who pays fees in BNB and trades BNB: the purchase has less by its fee, the sale's is paid with other BNB."""
    bought, sold = fill(1, "0.1", "0.000075"), fill(2, "0.099", "0.00074")
    told = {"1": OrderSide.BUY, "2": OrderSide.SELL}
    orders = {n: SimpleNamespace(told=SimpleNamespace(pair=PAIR, side=side, order_id=n)) for n, side in told.items()}
    trade = BookedTrade(trade_id="1", pair=PAIR, position=Position(side=Side.LONG, leverage=D(1)), dust=D(dust))
    findings = Findings()
    booked = {one.client_order_id: trade for one in (bought, sold)}
    check_held({"1": trade}, Record(orders, (("1", bought), ("2", sold))), booked, "aaaaaa", findings, {})

    assert bool(findings.differences) is differs
