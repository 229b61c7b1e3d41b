"""A real exchange's prices as the paper venue meets them: funding told late, requests that wait, what is never asked."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from actors.venues.ccxt import Connection
from actors.venues.live.metered import Meter
from actors.venues.live.on_paper import ExchangeMarket
from actors.venues.live.reading import Reader
from actors.venues.paper.patient import PATIENCE_MS, PatientVenue
from actors.venues.paper.reading import as_listed
from actors.venues.paper.venue import HOUR_MS, PaperVenue
from actors.venues.paper.venue_market import PromptVenueMarket
from actors.venues.ports import PriceRange
from actors.venues.trading import Looked, Permit, Refused, RequestEnded, Sent
from engine.exits import liquidation_level
from engine.margin import FundingRate
from engine.market import Market
from engine.messages import (
    CancelRejected,
    FundingPaid,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderRejected,
    TakeSnapshot,
)
from engine.order import Order
from engine.position import Position
from engine.settings import ExchangeConfig, PaperConfig
from engine.types import ONE, ZERO, Millis, OrderSide, OrderType, Purpose
from tests.actors.live_feed import LIMITS
from tests.actors.ticks import PAIR, Ticks, an_order, undisturbed
from tests.exchange.client import Exchange

D = Decimal
FUTURE = "BTC/USDT:USDT"
BTC = "BTC/USDT"
PERMIT = Permit("1.1.99999999999999", 99_999_999_999_999)
RATE = FundingRate(pair=FUTURE, ts=HOUR_MS, rate=D("0.001"), price=D(100))


class Late(PromptVenueMarket):
    """A futures market that tells its funding when the test says so."""

    def __init__(self) -> None:
        self.ticks = Ticks({FUTURE: [(0, 100.0)]})
        super().__init__(self.ticks, 60_000)
        self.told_until: Millis = HOUR_MS - 1

    def funded_until(self, pairs: Collection[str], since: Millis, now: Millis) -> Millis:
        del pairs, since
        return min(now, self.told_until)

    def funding(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[FundingRate]:
        return [RATE] if FUTURE in pairs and after < RATE.ts <= until else []


def traded(client_id: str, side: OrderSide, amount: int, *, reduces: bool = False) -> Order:
    """A market order on the future."""
    purpose = Purpose.EXIT if reduces else Purpose.ENTRY
    changes = {"pair": FUTURE, "side": side, "type": OrderType.MARKET, "amount": D(amount), "price": D(100)}
    return an_order(client_id, purpose=purpose, reduce_only=reduces, **changes)


@pytest.mark.parametrize(("then", "later", "pays"), [(2, 0, 2), (2, 1, 2), (2, -1, 1), (0, 2, 0)])
def test_late_funding_is_paid_on_what_was_held_at_its_time(then: int, later: int, pays: int) -> None:
    """A rate told after its hour is paid on what was held at the hour and still is; what came since pays nothing."""
    market = Late()
    markets = {pair: replace(rules, leverage_max=D(5)) for pair, rules in market.markets().items()}
    venue = PaperVenue(None, PaperConfig(), market, markets=markets)
    venue.open(1, HOUR_MS // 2, undisturbed)
    for number, (now, amount) in enumerate(((HOUR_MS - 9_000, then), (HOUR_MS + 5_000, later))):
        venue.advance(now)
        if amount:
            venue.advance(HOUR_MS + 1 if number else now)
            side = OrderSide.BUY if amount > 0 else OrderSide.SELL
            venue.submit(traded(f"o{number}", side, abs(amount), reduces=amount < 0), now, PERMIT)
    venue.events()
    venue.advance(HOUR_MS + 15_000)
    assert not [event for event in venue.events() if isinstance(event, FundingPaid)]
    market.told_until = HOUR_MS + 15_000
    venue.advance(HOUR_MS + 16_000)

    paid = [event.amount for event in venue.events() if isinstance(event, FundingPaid)]
    assert paid == ([D(pays)] if pays else [])


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    """Futures and spot that stand still."""
    with Exchange("--pairs", "1", "--still", futures=True) as running:
        yield running


def connection_to(exchange: Exchange, *, futures: bool) -> Connection:
    """A connection without keys, with its markets."""
    options = {name: value for name, value in exchange.options().items() if name in ("urls", "options")}
    made = Connection(ExchangeConfig(name="binance", options=options), futures=futures)
    made.start()
    assert made.spawn(made.load()).result(60).failure is None
    return made


def test_funding_rates_are_read_with_their_mark_price(exchange: Exchange) -> None:
    """What the exchange tells of a held pair's funding is known from then on, with the price it was reckoned at."""
    connection = connection_to(exchange, futures=True)
    try:
        market, start = ExchangeMarket(connection), connection.now()
        limits = replace(LIMITS, costs={**LIMITS.costs, "funding_rates": {"weight_1m": 1}})
        assert market.funded_until((FUTURE,), start - 120_000, start) == start - 120_000
        exchange.control("fund", symbol="BTCUSDT", rate="0.0007")
        reader = Reader(connection, connection.spawn(_meter(connection, limits)).result(60))
        connection.spawn(market._read_rates(FUTURE, reader)).result(60)
        (rate,) = market.funding((FUTURE,), start - 120_000, connection.now())
    finally:
        connection.close()

    assert (rate.rate, rate.pair) == (D("0.0007"), FUTURE)
    assert rate.price > ZERO
    assert rate.ts % 60_000 == 0


async def _meter(connection: Connection, limits: object) -> Meter:
    return Meter(connection, limits)  # type: ignore[arg-type]


class Still:
    """What an `ExchangeMarket` needs of a connection, with a clock that the test sets."""

    futures = False

    def __init__(self, at: Millis) -> None:
        self.at = at
        self.data = None
        self.listed = Ticks({PAIR: []}).markets()

    def now(self) -> Millis:
        return self.at

    def usage(self, now: Millis) -> dict[str, int]:
        del now
        return {"weight_1m": 7}

    def markets(self) -> Mapping[str, Market]:
        return self.listed


class Desk:
    """A patient venue at a market that the test tells prices to."""

    def __init__(self) -> None:
        self.clock = Still(1_000_000)
        self.market = ExchangeMarket(self.clock)
        paper = PaperVenue(None, PaperConfig(), self.market, markets=self.market.markets())
        self.venue = PatientVenue(paper, self.market, LIMITS)
        self.venue.open(1, self.clock.at, undisturbed)

    def tell(self, price: float, *, after: Millis = 100) -> None:
        """A price by stream."""
        self.clock.at += after
        self.market.told(PriceRange(PAIR, self.clock.at, *4 * (price,)), price, price, asked=False)
        self.venue.advance(self.clock.at)

    def bought(self, client_id: str = "a") -> Sent | object:
        """A market order to buy."""
        order = an_order(client_id, type=OrderType.MARKET, price=D(100), created_at=self.clock.at)
        return self.venue.submit(order, self.clock.at, PERMIT)


@pytest.fixture
def desk() -> Desk:
    """A venue that has heard no price yet."""
    return Desk()


def test_an_order_waits_for_a_price_and_meets_it(desk: Desk) -> None:
    """Without a price an order is on its way; with the first one it is taken and filled there, and its permit is done with."""
    assert isinstance(desk.bought(), Sent)
    assert desk.venue.events() == ()
    assert PAIR in desk.market.wanted
    desk.tell(101.0)
    kinds = [type(event) for event in desk.venue.events()]

    assert kinds[:2] == [OrderAccepted, OrderFilled]
    assert RequestEnded in kinds


def test_an_order_meets_no_price_that_is_too_old(desk: Desk) -> None:
    """A price of a second ago is no price: the next order waits for another one."""
    desk.bought()
    desk.tell(101.0)
    desk.clock.at += 1_001

    assert isinstance(desk.bought("b"), Sent)


def test_an_order_without_a_price_is_refused_in_the_end(desk: Desk) -> None:
    """An exchange that tells nothing takes no orders: after the stated patience it is refused, and so is a cancel."""
    desk.bought()
    desk.venue.cancel(PAIR, "other", "", desk.clock.at, PERMIT)
    desk.clock.at += PATIENCE_MS + 1
    told = desk.venue.events()

    assert [event.code for event in told if isinstance(event, OrderRejected)] == ["UNREACHABLE"]
    assert len([event for event in told if isinstance(event, CancelRejected)]) == 1
    assert desk.venue.find(PAIR, "a") is None


def test_no_answer_is_final_while_an_order_waits(desk: Desk) -> None:
    """Whoever asks for an order that waits hears that it is not known, and that this may change."""
    desk.bought()
    question = TakeSnapshot(request_id="q", pair=PAIR, client_order_ids=("a",), since=0, reply_to="pair")
    desk.venue.look(question, desk.clock.at)
    desk.venue.grant("look.1", PERMIT, desk.clock.at)
    (looked,) = [event for event in desk.venue.events() if isinstance(event, Looked)]

    assert looked.snapshot.unknown == ("a",)
    assert not looked.snapshot.final


def test_an_order_that_waits_is_not_taken_twice(desk: Desk) -> None:
    """The same order sent again while it waits is one order."""
    desk.bought()
    desk.bought()
    desk.tell(101.0)

    assert len([event for event in desk.venue.events() if isinstance(event, OrderAccepted)]) == 1


def test_the_exchange_counts_questions_and_the_venue_orders(desk: Desk) -> None:
    """The limiter hears the exchange's own weight, and of order counts what was taken here."""
    pool = replace(LIMITS.pools[0], name="orders_10s", window_ms=10_000)
    limits = replace(LIMITS, pools=(*LIMITS.pools, pool), costs={**LIMITS.costs, "order": {"orders_10s": 1}})
    desk.venue._limits = limits
    desk.bought()
    desk.tell(101.0)

    assert desk.venue.usage(desk.clock.at) == {"weight_1m": 7, "orders_10s": 1}


def test_a_halted_pair_takes_no_order(desk: Desk) -> None:
    """What the exchange would refuse is refused here at once, though a price is known; afterwards it is taken."""
    desk.bought()
    desk.tell(101.0)
    market = desk.clock.listed[PAIR]
    desk.clock.listed = {PAIR: replace(market, active=False)}
    refused = desk.bought("b")
    desk.clock.listed = {PAIR: market}

    assert isinstance(refused, Refused)
    assert refused.code == "MARKET_CLOSED"
    assert not isinstance(desk.bought("c"), Refused)


def test_the_orders_of_a_delisted_pair_end_and_none_is_taken(desk: Desk) -> None:
    """A stop that rests there is cancelled, as the exchange does, and what is sent then is refused as DELISTED."""
    desk.bought()
    desk.tell(101.0)
    guard = an_order("g", side=OrderSide.SELL, type=OrderType.STOP, trigger_price=D(90), purpose=Purpose.STOP)
    desk.venue.submit(guard, desk.clock.at, PERMIT)
    desk.venue.events()
    desk.clock.listed = {}
    desk.venue.advance(desk.clock.at)
    (ended,) = [event for event in desk.venue.events() if isinstance(event, OrderCanceled)]
    refused = desk.venue.submit(replace(guard, client_order_id="h"), desk.clock.at, PERMIT)

    assert ended.client_order_id == "g"
    assert isinstance(refused, Refused)
    assert refused.code == "DELISTED"


@pytest.mark.parametrize(
    ("rate", "leverage_max", "listed", "most"),
    [("0.025", 20, 1, 20), ("0.01", 20, 1, 20), ("0.025", 50, 1, 20), ("0.03", 20, 1, 16), ("0.01", 20, 75, 50)],
)
def test_futures_without_tiers_have_one_of_the_configuration(
    rate: str, leverage_max: int, listed: int, most: int
) -> None:
    """A long is liquidated where its margin is down to the configured rate; leverage leaves it twice that to begin with."""
    market = replace(Ticks({FUTURE: []}).markets()[FUTURE], leverage_max=D(listed))
    paper = PaperConfig(maintenance_rate=D(rate), leverage_max=D(leverage_max))
    found = as_listed({FUTURE: market, BTC: replace(market, pair=BTC)}, paper, "binance")
    margin = ONE / D(most)
    held = Position(amount=D(2), cost=D(200), leverage=D(most))

    assert (found[FUTURE].leverage_max, found[BTC].tiers) == (most, ())
    level = liquidation_level(held, found[FUTURE], ZERO)
    assert level is not None
    left = 2 * level - (200 - 200 * margin)  # what the coins are worth, less what was borrowed
    assert abs(left - 2 * level * D(rate)) < D("0.02")
