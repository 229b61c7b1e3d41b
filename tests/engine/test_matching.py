"""The simulated exchange: both fill models, what it refuses, and that no money is made or lost."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from engine.clearing import Fees
from engine.depth import Depth
from engine.market import Market
from engine.matching import Accepted, Exchange, Refused, Rules
from engine.messages import OrderCanceled, OrderFilled
from engine.order import Order
from engine.ranges import Range
from engine.types import ONE, ZERO, OrderSide, OrderStatus, OrderType, Purpose, TimeInForce

D = Decimal
PAIR = "BTC/USDT"
MARKET = Market(
    pair=PAIR,
    base="BTC",
    quote="USDT",
    price_step=D("0.01"),
    amount_step=D("0.001"),
    cost_min=D(5),
    maker_fee=D("0.001"),
    taker_fee=D("0.002"),
    leverage_max=D(10),
)
BOOK = Rules(depth=Depth(D("0.002"), D(10_000)))


def exchange(rules: Rules = BOOK, *, usdt: str = "10000", btc: str = "0", market: Market = MARKET) -> Exchange:
    made = Exchange({market.pair: market}, rules)
    made.clearing.ledger.deposit("USDT", D(usdt))
    made.clearing.ledger.deposit("BTC", D(btc))
    return made


def an_order(client_id: str = "a", **changes: Any) -> Order:
    order = Order(
        pair=PAIR,
        client_order_id=client_id,
        purpose=Purpose.ENTRY,
        side=OrderSide.BUY,
        type=OrderType.LIMIT,
        amount=ONE,
        price=D(100),
        created_at=0,
    )
    return replace(order, **changes)


def sale(client_id: str = "s", **changes: Any) -> Order:
    return an_order(client_id, **{"side": OrderSide.SELL, "purpose": Purpose.EXIT, **changes})


def seen(low: str, high: str, **rest: Any) -> Range:
    return Range(PAIR, 1_000, D(low), D(high), **rest)


def fills(events: tuple[Any, ...]) -> list[tuple[Decimal, Decimal, bool]]:
    return [(e.fill.amount, e.fill.price, e.fill.maker) for e in events if isinstance(e, OrderFilled)]


def usdt(made: Exchange) -> tuple[Decimal, Decimal]:
    return made.clearing.ledger.free("USDT"), made.clearing.ledger.locked("USDT")


def refused(made: Exchange, order: Order, price: str | None = "100") -> str:
    outcome = made.submit(order, 1, None if price is None else D(price))
    assert isinstance(outcome, Refused)
    assert made.working == {}
    return f"{outcome.code}: {outcome.reason}"


# ---------------------------------------------------------------- candle


@pytest.mark.parametrize("kind", [OrderType.LIMIT, OrderType.MARKET])
def test_a_candle_fills_only_what_lies_in_it(kind: OrderType) -> None:
    """An order rests while its price is outside the candle, on either side, and fills wholly inside it."""
    made = exchange(Rules())
    outcome = made.submit(an_order(type=kind), 1)

    assert outcome == Accepted(f"{PAIR}#1")
    assert made.match(seen("89", "99.99")) == ()
    assert made.match(seen("100.01", "110")) == ()
    assert fills(made.match(seen("100", "110"))) == [(ONE, D(100), False)]
    assert usdt(made) == (D("9899.8"), ZERO)


def test_prices_that_come_as_they_come_fill_market_orders() -> None:
    """A tolerant range fills a market order at its nearest price: it must not wait for one that is gone."""
    made = exchange(Rules())
    made.submit(an_order(type=OrderType.MARKET), 1)

    assert fills(made.match(seen("101", "102", tolerant=True))) == [(ONE, D(101), False)]


def test_candles_refuse_nothing_for_want_of_funds() -> None:
    """The stake may be the whole balance: the fee overdraws it, as in Freqtrade's backtest."""
    made = exchange(Rules(), usdt="100")
    made.submit(an_order(), 1)
    made.match(seen("100", "100"))

    assert usdt(made) == (D("-0.2"), ZERO)


# ---------------------------------------------------------------- book: taking


def test_a_market_order_pays_for_its_size() -> None:
    """The average price of a market order gets worse in proportion to its cost."""
    made = exchange(usdt="100000")
    small = made.submit(an_order("small", type=OrderType.MARKET, amount=D("0.1")), 1, D(100))
    large = made.submit(an_order("large", type=OrderType.MARKET, amount=D(200)), 1, D(100))
    assert isinstance(small, Accepted)
    assert isinstance(large, Accepted)

    assert fills(small.events) == [(D("0.1"), D("100.11"), False)]  # ask 100.10, on the step above 100.1001
    assert fills(large.events) == [(D(200), D("100.31"), False)]  # 100.10 × (1 + 0.002 × 20000 / 20000)


def test_the_book_ends() -> None:
    """A market order larger than the book gets what there is; the exchange ends the rest."""
    made = exchange(usdt="10000000")
    outcome = made.submit(an_order(type=OrderType.MARKET, amount=D(5_000)), 1, D(100))
    assert isinstance(outcome, Accepted)
    filled, ended = outcome.events
    assert isinstance(filled, OrderFilled)
    assert isinstance(ended, OrderCanceled)

    assert filled.fill.amount == D(2_500)  # 10,000 in each of the 25 spreads that 5% hold
    assert (ended.expired, ended.filled) == (True, D(2_500))
    assert usdt(made)[1] == ZERO


def test_a_crossing_limit_takes_then_rests() -> None:
    """A limit over the ask takes what rests up to it, not worse, and waits with what is left."""
    made = exchange()
    outcome = made.submit(an_order(price=D("100.19"), amount=D(80)), 1, D(100))
    assert isinstance(outcome, Accepted)
    (taken,) = fills(outcome.events)

    assert taken == (D(50), D("100.16"), False)  # (0.09 + one step) / 0.2 of 10,000 at 100
    assert made.working["a"].order.status is OrderStatus.PARTIALLY_FILLED
    assert made.working["a"].order.remaining == D(30)


@pytest.mark.parametrize(
    ("time_in_force", "amount", "filled", "rests"),
    [
        (TimeInForce.IOC, D(80), D(50), False),
        (TimeInForce.FOK, D(80), ZERO, False),
        (TimeInForce.FOK, D(50), D(50), False),
        (TimeInForce.GTC, D(80), D(50), True),
    ],
)
def test_time_in_force(time_in_force: TimeInForce, amount: Decimal, filled: Decimal, rests: bool) -> None:
    """IOC takes what there is, FOK all or nothing, GTC waits; what ended holds no money."""
    made = exchange()
    outcome = made.submit(an_order(price=D("100.19"), amount=amount, time_in_force=time_in_force), 1, D(100))
    assert isinstance(outcome, Accepted)

    assert sum(f[0] for f in fills(outcome.events)) == filled
    assert ("a" in made.working) is rests
    assert rests or usdt(made)[1] == ZERO


# ---------------------------------------------------------------- book: resting


def test_a_resting_limit_wants_the_price_to_go_through() -> None:
    """Touching the limit is not enough: others rest there too."""
    made = exchange()
    made.submit(an_order(price=D(99)), 1, D(100))

    assert made.match(seen("99", "100")) == ()
    assert fills(made.match(seen("98.99", "100"))) == [(ONE, D(99), True)]
    assert usdt(made) == (D(10_000) - 99 - D("0.099"), ZERO)


def test_volume_limits_resting_orders_best_price_first() -> None:
    """A range's volume goes to the better price first, and what it does not cover goes on resting."""
    made = exchange()
    made.submit(an_order("low", price=D(98), amount=D(2)), 1, D(100))
    made.submit(an_order("high", price=D(99), amount=D(2)), 1, D(100))

    assert fills(made.match(seen("97", "100", volume=D("2.5004")))) == [(D(2), D(99), True), (D("0.5"), D(98), True)]
    assert made.working["low"].order.remaining == D("1.5")


def test_a_stop_becomes_a_market_order_at_its_trigger() -> None:
    """A stop waits for its trigger and sells into the book there; beyond a gap it sells where trading began."""
    for opened, expected in (("100", "94.90"), ("90", "89.90")):
        made = exchange(btc="1")
        made.submit(sale(type=OrderType.STOP, trigger_price=D(95)), 1, D(100))
        assert made.match(seen("95.01", "100", open=D(opened))) == ()
        (fill,) = fills(made.match(seen("89", "100", open=D(opened))))

        assert fill[0] == ONE
        assert fill[1] == pytest.approx(D(expected), abs=D("0.01"))
        assert made.clearing.ledger.free("BTC") == ZERO


def test_a_stop_goes_before_a_limit() -> None:
    """When a range reaches both, the stop counts: the better outcome is never assumed."""
    made = exchange()
    made.submit(an_order("e", leverage=D(2)), 1, D(99))
    made.match(seen("99", "99"))
    made.submit(sale("tp", price=D(110)), 2, D(100))
    made.submit(sale("sl", type=OrderType.STOP, trigger_price=D(95)), 2, D(100))
    events = made.match(seen("90", "120", open=D(100)))

    assert [type(e).__name__ for e in events] == ["OrderFilled", "OrderCanceled"]
    assert made.working == {}


def test_a_stop_that_cannot_pay_ends() -> None:
    """A buying stop whose market price costs more than there is expires, and gives its lock back."""
    made = exchange(usdt="105.3")
    made.submit(an_order(type=OrderType.STOP, trigger_price=D(105)), 1, D(100))
    assert made.working
    (ended,) = made.match(seen("100", "106", open=D(100)))

    assert isinstance(ended, OrderCanceled)
    assert ended.expired
    assert usdt(made) == (D("105.3"), ZERO)


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"pair": "XXX/USDT"}, "INVALID_ORDER: XXX/USDT is not traded here"),
        ({"amount": D("1.0001")}, "INVALID_ORDER: amount 1.0001 is not a multiple of 0.001"),
        ({"price": D("99.001")}, "INVALID_ORDER: price 99.001 is not a multiple of 0.01"),
        ({"amount": D("0.049")}, "INVALID_ORDER: cost 4.900 is under the minimum of 5"),
        ({"type": OrderType.MARKET, "amount": D("0.04")}, "INVALID_ORDER: cost 4.00 is under the minimum of 5"),
        ({"amount": D(1_000)}, "INSUFFICIENT_FUNDS: 100200.000 USDT are needed, 10000 are free."),
        (
            {"time_in_force": TimeInForce.PO, "price": D("100.1")},
            "INVALID_ORDER: a post-only order at 100.1 would take",
        ),
        ({"type": OrderType.STOP}, "INVALID_ORDER: a stop needs a trigger price"),
        ({"type": OrderType.STOP, "trigger_price": D(100)}, "WOULD_TRIGGER: the price of 100 is at or past"),
        ({"leverage": D(11)}, "INVALID_ORDER: leverage 11 is over the maximum of 10"),
        ({"purpose": Purpose.EXIT}, "INVALID_ORDER: 1 BTC is beyond the position of 0"),
        (
            {"side": OrderSide.SELL, "purpose": Purpose.EXIT, "reduce_only": True},
            "INVALID_ORDER: 1 BTC is beyond the position of 0",
        ),
        ({"side": OrderSide.SELL, "purpose": Purpose.EXIT}, "INSUFFICIENT_FUNDS: 1 BTC are needed, 0 are free."),
    ],
)
def test_refusals(changes: dict[str, Any], why: str) -> None:
    """What an exchange refuses is refused with its code, and leaves no trace."""
    made = exchange()

    assert refused(made, an_order(**changes)).startswith(why)
    assert usdt(made) == (D(10_000), ZERO)


def test_closed_markets_and_markets_without_a_price_refuse() -> None:
    """A halted pair takes no orders, nor does one that has not traded yet."""
    assert refused(exchange(market=replace(MARKET, active=False)), an_order()).startswith("MARKET_CLOSED")
    assert refused(exchange(), an_order(), None).startswith("MARKET_CLOSED")


def test_a_client_order_id_is_refused_only_while_it_works() -> None:
    """As on Binance: a used id is refused among working orders, and taken again afterwards."""
    made = exchange()
    made.submit(an_order(price=D(90)), 1, D(100))
    again = made.submit(an_order(price=D(90)), 2, D(100))
    made.cancel("a", 3)

    assert isinstance(again, Refused)
    assert made.submit(an_order(price=D(90)), 4, D(100)) == Accepted(f"{PAIR}#2")


def test_a_cancel_gives_everything_back() -> None:
    """A cancelled order releases its lock exactly and says how much had filled; an unknown one says nothing."""
    made = exchange()
    made.submit(an_order(price=D("90.01"), amount=D("1.111")), 1, D(100))
    (ended,) = made.cancel("a", 5)

    assert ended == OrderCanceled(pair=PAIR, client_order_id="a", filled=ZERO, ts=5)
    assert usdt(made) == (D(10_000), ZERO)
    assert made.cancel("a", 6) == ()


# ---------------------------------------------------------------- margin and fees


def test_a_short_is_opened_and_closed_on_margin() -> None:
    """A selling entry locks collateral; buying back settles the profit in quote and frees it."""
    made = exchange(Rules())
    made.submit(an_order("in", side=OrderSide.SELL, leverage=D(4), amount=D(2)), 1)
    made.match(seen("100", "100"))
    assert usdt(made) == (D(10_000) - 50 - D("0.4"), D(50))
    made.submit(an_order("out", purpose=Purpose.EXIT, price=D(90), amount=D(2), reduce_only=True), 2)
    made.match(seen("90", "90"))

    assert usdt(made) == (D(10_000) - D("0.4") + 20 - D("0.36"), ZERO)
    assert made.clearing.positions.items() == ()


def test_orders_against_a_position_never_turn_it_around() -> None:
    """Two exits of a whole position: the first closes it, the exchange ends the second."""
    made = exchange()
    made.submit(an_order("in", leverage=D(2), type=OrderType.MARKET), 1, D(100))
    made.submit(sale("one", price=D(110)), 2, D(100))
    made.submit(sale("two", price=D(111)), 2, D(100))
    beyond = made.submit(sale("three", price=D(111), amount=D("1.001")), 2, D(100))
    events = made.match(seen("100", "120"))

    assert isinstance(beyond, Refused)
    assert [(type(e).__name__, getattr(e, "client_order_id", "")) for e in events] == [
        ("OrderFilled", ""),
        ("OrderCanceled", "two"),
    ]
    assert made.clearing.positions.items() == ()


def test_fees_in_the_bought_coin() -> None:
    """A buy's fee comes off what was bought; a sale's is in quote all the same."""
    made = exchange(replace(BOOK, fees=Fees(in_base=True)))
    made.submit(an_order(price=D(99)), 1, D(100))
    made.match(seen("98", "100"))

    assert made.clearing.ledger.free("BTC") == D("0.999")
    assert usdt(made) == (D(9_901), ZERO)


def test_fees_in_a_third_coin_while_it_lasts() -> None:
    """The third coin pays while there is enough of it, then the quote coin does."""
    made = exchange(replace(BOOK, fees=Fees(coin="BNB", coin_price=D(500))))
    made.clearing.ledger.deposit("BNB", D("0.0002"))
    made.submit(an_order("a", price=D(99)), 1, D(100))
    made.submit(an_order("b", price=D(98)), 1, D(100))
    first, second = made.match(seen("97", "100"))
    assert isinstance(first, OrderFilled)
    assert isinstance(second, OrderFilled)

    assert (first.fill.fee, first.fill.fee_currency, first.fill.fee_cost) == (D("0.000198"), "BNB", D("0.099"))
    assert (second.fill.fee, second.fill.fee_currency, second.fill.fee_cost) == (D("0.098"), "USDT", None)
    assert usdt(made) == (D(10_000) - 99 - 98 - D("0.098"), ZERO)
