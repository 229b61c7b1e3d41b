"""A stop is changed in place: what each venue does, and every way in which the answer goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.venues.trading import Amended, InDoubt, Refused
from engine.messages import AmendRejected, OrderAmended, OrderInDoubt
from engine.order import Amendment
from tests.contract.desk import Desk, PaperWorld, a_stop, client_id, fresh, guarded, quiet_exchange
from tests.exchange.client import Exchange

D = Decimal
AMEND = "POST /v5/order/amend"
STOP = 2


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    """Bybit, whose prices move when told."""
    with quiet_exchange(name="bybit") as there:
        yield there


@pytest.fixture(params=["paper", "exchange"])
def desk(request: pytest.FixtureRequest, exchange: Exchange, tmp_path: Path) -> Iterator[Desk]:
    """A desk that holds 0.00999 bitcoin, with a stop for 0.009 at 55,000."""
    paper = request.param == "paper"
    world: Any = PaperWorld(tmp_path / "venue.sqlite") if paper else fresh(exchange, request.node.name)
    yield from guarded(world)


@pytest.fixture
def live(request: pytest.FixtureRequest, exchange: Exchange) -> Iterator[Desk]:
    """The same at the local exchange only."""
    yield from guarded(fresh(exchange, request.node.name))


def amended(desk: Desk, trigger: int = 56_000, amount: str = "0.009") -> Any:
    """Change the stop, and wait for what becomes of that."""
    target = Amendment(amount=D(amount), trigger_price=D(trigger))
    order = replace(a_stop(desk), amending=target, amended_at=desk.world.now())
    before = len(desk.told)
    outcome = desk.venue.amend(order, desk.world.now(), desk.permit())
    if isinstance(outcome, Amended | Refused | InDoubt):
        return outcome
    kinds = (OrderAmended, AmendRejected, OrderInDoubt)
    return desk.wait(
        lambda: next((e for e in desk.told[before:] if isinstance(e, kinds)), None), "what became of the change"
    )


def stands(desk: Desk) -> tuple[Decimal, Decimal | None]:
    """What the venue tells of the stop: its amount and its trigger."""
    (told,) = (order for order in desk.look(STOP).orders if order.client_order_id == client_id(STOP))
    return told.amount, told.trigger_price


def test_it_stands_as_it_was_to_be(desk: Desk) -> None:
    """Another trigger and a smaller amount, one request, the same order; it is triggered where it stands now."""
    outcome = amended(desk, 56_000, "0.005")
    there = stands(desk)
    desk.world.move(55_500)

    assert isinstance(outcome, Amended | OrderAmended)
    assert there == (D("0.005"), D(56_000))
    assert desk.wait(lambda: desk.filled(STOP), "the stop") == D("0.005")


def test_one_that_would_strike_at_once_is_refused(desk: Desk) -> None:
    """The price is past the new trigger: the stop stands as it did."""
    outcome = amended(desk, 61_000)

    assert isinstance(outcome, Refused | AmendRejected)
    assert stands(desk) == (D("0.009"), D(55_000))


def test_one_that_has_filled_is_not_changed(desk: Desk) -> None:
    """The price was there first: what was to be changed is gone, and is sold once."""
    desk.world.move(54_000)
    desk.wait(lambda: desk.filled(STOP), "the stop")
    outcome = amended(desk)

    assert isinstance(outcome, Refused | AmendRejected)
    assert desk.filled(STOP) == D("0.009")


@pytest.mark.parametrize("kind", ["lost", "cut", "done_unavailable"])
def test_a_lost_answer_is_in_doubt_and_the_new_trigger_is_found(live: Desk, exchange: Exchange, kind: str) -> None:
    """It was done: nobody is told so, and the look tells what stands."""
    exchange.control("fault", endpoint=AMEND, kind=kind, count=1)
    outcome = amended(live)

    assert isinstance(outcome, OrderInDoubt)
    assert stands(live) == (D("0.009"), D(56_000))
