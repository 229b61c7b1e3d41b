"""Our orders at an exchange: whoever tells first, each thing is told once, and ends wait for their fills."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import permutations
from types import MappingProxyType
from typing import Any
from zlib import crc32

import pytest

from actors.venues.live.books import KEPT, NEVER_MS, Books
from actors.venues.trading import Remark, VenueEvent
from engine.market import Market
from engine.messages import OrderAccepted, OrderCanceled, OrderFilled, OrderRejected, VenueOrder
from engine.order import Order
from engine.types import OrderSide, OrderStatus, OrderType, Purpose

D = Decimal
MARKET = Market(pair="BTC/USDT", base="BTC", quote="USDT", price_step=D("0.1"), amount_step=D("0.001"))
NOW = 2_000_000_000_000
MINE = "tpAAAAAAr1p0000beeft1i1"


class Desk:
    """Books, and what they have told."""

    def __init__(self, account: str = "") -> None:
        self.told: list[VenueEvent] = []
        self.books = Books("AAAAAA", self.told.append, lambda: 0.0, lambda: NOW, account=account)

    def order(self, status: str, filled: str = "0", client_id: str = MINE, order_id: str = "7", **rest: Any) -> Any:
        told = VenueOrder(
            client_order_id=client_id,
            order_id=order_id,
            status=status,
            side="buy",
            type=rest.pop("type", "limit"),
            amount=D(1),
            price=D(100),
            trigger_price=None,
            filled=D(filled),
            ts=5,
        )
        return self.books.hear_order(MARKET.pair, told, **rest)

    def fill(self, fill_id: str, amount: str, order_id: str = "7", fee: Any = MappingProxyType({"cost": 0})) -> Any:
        told = {"id": fill_id, "order": order_id, "price": 100, "amount": amount, "timestamp": 6, "fee": fee}
        return self.books.hear_fill(MARKET, told)

    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.told]


def test_another_accounts_order_is_not_ours() -> None:
    """Of two accounts each has its own orders only, though both are this installation's and one account there."""
    main, second = (f"tpAAAAAAr1p{crc32(f'BTC/USDT@{name}'.encode()):08x}t1i1" for name in ("main", "second"))
    desk = Desk("main")

    assert desk.order("NEW", client_id=second, order_id="8") is None
    assert desk.fill("f8", "1", order_id="8") is None
    assert desk.order("NEW", client_id=main, order_id="9") is not None
    assert [main] == [known.client_order_id for known in desk.books.all()]


def an_order() -> Order:
    return Order(
        pair=MARKET.pair,
        client_order_id=MINE,
        purpose=Purpose.ENTRY,
        side=OrderSide.BUY,
        type=OrderType.LIMIT,
        amount=D(1),
        price=D(100),
        created_at=1,
    )


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_the_order_of_what_is_heard_does_not_matter(order: tuple[int, ...]) -> None:
    """Acceptance, two fills and the end in any order, each twice: told once each, and the end last."""
    desk = Desk()
    heard = [
        lambda: desk.order("NEW"),
        lambda: desk.fill("a", "0.4"),
        lambda: desk.fill("b", "0.2"),
        lambda: desk.order("CANCELED", "0.6"),
    ]
    for number in (*order, *order):
        heard[number]()
    ends = [event for event in desk.told if isinstance(event, OrderCanceled)]

    assert sorted(desk.names()) == ["OrderAccepted", "OrderCanceled", "OrderFilled", "OrderFilled"]
    assert [event.filled for event in ends] == [D("0.6")]
    assert isinstance(desk.told[-1], OrderCanceled)
    assert {event.fill.client_order_id for event in desk.told if isinstance(event, OrderFilled)} == {MINE}


@pytest.mark.parametrize("order_is_first", [True, False])
def test_a_fee_that_is_not_told_is_said_once_an_order(order_is_first: bool) -> None:
    """Its executions are booked at once, since its position needs a stop; the user hears that the fee is the market's rate."""
    desk = Desk()
    heard = [
        lambda: desk.order("NEW"),
        lambda: desk.fill("a", "0.4", fee=None),
        lambda: desk.fill("b", "0.2", fee={"cost": 1}),
    ]
    for hear in heard if order_is_first else heard[::-1]:
        hear()
    desk.fill("a", "0.4")
    fills = [event.fill for event in desk.told if isinstance(event, OrderFilled)]
    (said,) = [event for event in desk.told if isinstance(event, Remark)]

    assert {(fill.fill_id, fill.fee, fill.fee_currency) for fill in fills} == {
        ("a", D("0.0004"), "BTC"),
        ("b", D("0.0002"), "BTC"),
    }
    assert (said.severity, said.event) == ("warning", "fee_unsaid")
    assert f"does not say what it took for {MINE} (BTC/USDT)" in said.text


def test_an_end_whose_fills_do_not_come_can_be_told_all_the_same() -> None:
    """The exchange's figure goes with it, so that whoever hears it asks for the fills."""
    desk = Desk()
    known = desk.order("EXPIRED", "0.6")
    before = desk.names()
    assert known.is_missing_fills
    desk.books.end(known)
    desk.books.end(known)

    assert before == ["OrderAccepted"]
    assert [(e.filled, e.expired) for e in desk.told if isinstance(e, OrderCanceled)] == [(D("0.6"), True)]


def test_an_order_is_over_once_all_of_it_has_filled_whatever_its_status() -> None:
    """A status that nobody knows counts as working; the order would be missed among the open ones again and again."""
    desk = Desk()
    known = desk.order("NEW")
    desk.fill("a", "0.4")
    before = known.ended
    desk.fill("b", "0.6")

    assert (before, known.ended) == (False, True)


def test_foreign_orders_are_told_by_nobody() -> None:
    """Orders and fills of others, of another installation too, tell nothing; they are known to be foreign."""
    desk = Desk()
    desk.order("NEW", client_id="web_1", order_id="8")
    desk.order("NEW", client_id=MINE.replace("AAAAAA", "BBBBBB"), order_id="9")
    desk.fill("x", "1", order_id="8")
    desk.books.leave(MARKET.pair, "10")

    assert desk.told == []
    assert [desk.books.foreign(MARKET.pair, order_id) for order_id in ("8", "10", "7")] == ["web_1", "", None]
    assert desk.books.is_seen(MARKET.pair, "9")


def test_a_refusal_after_the_acceptance_is_told_once() -> None:
    """The matching engine may take back what was accepted."""
    desk = Desk()
    desk.order("NEW")
    desk.order("REJECTED")
    desk.order("REJECTED")

    assert desk.names() == ["OrderAccepted", "OrderRejected"]
    assert isinstance(desk.told[-1], OrderRejected)


def test_a_stop_that_has_become_another_order_fills_as_itself() -> None:
    """Executions of the other order are the stop's, whichever comes first."""
    desk = Desk()
    desk.fill("a", "0.5", order_id="99")
    desk.order("NEW", type="stop")
    desk.order("NEW", type="stop", became="99")
    desk.fill("b", "0.5", order_id="99")
    known = desk.books.get(MINE)
    assert known is not None

    assert desk.names() == ["OrderAccepted", "OrderFilled", "OrderFilled"]
    assert (known.booked, known.is_stop, desk.books.owner(MARKET.pair, "99")) == (D(1), True, MINE)


def test_what_was_not_sent_may_be_sent_again() -> None:
    """An unsent order is forgotten; one that the exchange has told of is not."""
    desk = Desk()
    desk.books.expect(an_order(), NOW)
    desk.books.unsent(MINE)
    unsent = desk.books.get(MINE)
    desk.books.expect(an_order(), NOW)
    desk.order("NEW")
    desk.books.unsent(MINE)

    assert unsent is None
    assert desk.books.get(MINE) is not None
    found = desk.books.find(MINE)
    assert found is not None
    assert found.order.order_id == "7"
    assert desk.books.find("other") is None


def test_old_orders_are_forgotten_working_ones_are_not() -> None:
    """Memory is bounded: what has ended goes first."""
    desk = Desk()
    working = desk.order("NEW")
    for number in range(KEPT + 10):
        order = replace(an_order(), client_order_id=f"{MINE[:-1]}{number + 2}")
        desk.books.expect(order, NOW).ended = True

    assert len(desk.books.all()) == KEPT
    assert desk.books.get(MINE) is working
    assert [type(event) for event in desk.told] == [OrderAccepted]
    assert working.told.status == OrderStatus.NEW


def test_a_forgotten_order_leaves_none_of_its_ids_behind() -> None:
    """A stop has two ids at the exchange; both go with it, and those of others stay."""
    desk = Desk()
    desk.order("NEW", order_id="8", type="stop", became="9").ended = True
    for number in range(KEPT):
        desk.order("NEW", client_id=f"{MINE[:-1]}{number + 2}", order_id=f"{number + 100}")

    assert [desk.books.owner(MARKET.pair, order_id) for order_id in ("8", "9")] == ["", ""]
    assert desk.books.owner(MARKET.pair, "100") == f"{MINE[:-1]}2"


def test_orders_that_never_came_are_forgotten() -> None:
    """What was given up a day ago takes no room for ever; what may still come, and what works, is remembered."""
    told: list[VenueEvent] = []
    now = [NOW]
    books = Books("AAAAAA", told.append, lambda: 0.0, lambda: now[0])
    for number in range(KEPT):
        books.expect(replace(an_order(), client_order_id=f"{MINE}{number}"), now[0] + 1)
    books.hear_order(MARKET.pair, Desk().order("NEW", client_id=f"{MINE}0", order_id="7").told)
    now[0] += 2 * NEVER_MS
    for number in range(KEPT, KEPT + 100):
        books.expect(replace(an_order(), client_order_id=f"{MINE}{number}"), now[0] + 1)
    kept = {known.client_order_id for known in books.all()}

    assert len(kept) == KEPT
    assert {f"{MINE}0", *(f"{MINE}{number}" for number in range(KEPT, KEPT + 100))} <= kept
