"""What a gateway does towards a venue, without the actors: permits are given at once, and what is told is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol, TypeVar

from actors.venues.capabilities import capability
from actors.venues.ccxt import Connection
from actors.venues.live.venue import CcxtVenue
from actors.venues.paper.venue import PaperVenue
from actors.venues.trading import (
    Acknowledged,
    Canceled,
    InDoubt,
    Looked,
    Missed,
    Permit,
    PermitWanted,
    Refused,
    Snapshot,
    TradingVenue,
)
from engine.messages import (
    CancelRejected,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderInDoubt,
    OrderRejected,
    TakeSnapshot,
)
from engine.order import Order
from engine.settings import ExchangeConfig, PaperConfig
from engine.types import Millis, OrderSide, OrderType, Purpose
from tests.actors.ticks import Ticks
from tests.exchange.client import Exchange

D = Decimal
PAIR = "BTC/USDT"
FUTURE = "BTC/USDT:USDT"
INSTALLATION = "AAAAAA"
HORIZON_MS = 2_500
PATIENT_MS, IMPATIENT_MS = 30_000, 1_500

E = TypeVar("E")


def client_id(number: int, *, trade: int = 1) -> str:
    """An id as this installation makes them."""
    return f"tp{INSTALLATION}r1p0000beeft{trade}i{number}"


def an_order(number: int, now: Millis, **changes: Any) -> Order:
    """A limit order to buy that rests, unless said otherwise."""
    plain: dict[str, Any] = {
        "pair": PAIR,
        "client_order_id": client_id(number),
        "purpose": Purpose.ENTRY,
        "side": OrderSide.BUY,
        "type": OrderType.LIMIT,
        "amount": D("0.01"),
        "price": D(50_000),
        "created_at": now,
    }
    return Order(**{**plain, **changes})


class World(Protocol):
    """A venue whose market a test moves."""

    venue: TradingVenue
    pair: str

    def now(self) -> Millis: ...

    def move(self, price: int) -> None: ...

    def rest(self) -> None: ...


@dataclass
class Desk:
    """The gateway's part; `told` is all that the venue has told."""

    world: World
    told: list[Any] = field(default_factory=list)
    permits: int = 0
    granting: bool = True

    @property
    def venue(self) -> TradingVenue:
        return self.world.venue

    def permit(self) -> Permit:
        self.permits += 1
        until = self.world.now() + 60_000
        return Permit(f"1.{self.permits}.{until}", until)

    def open(self, epoch: int) -> None:
        """A new gateway has the venue."""
        self.venue.open(epoch, self.world.now(), lambda: None)

    def pump(self) -> None:
        """Take what there is to hear."""
        for event in self.venue.events():
            if isinstance(event, PermitWanted) and self.granting:
                self.venue.grant(event.request_id, self.permit(), self.world.now())
            elif isinstance(event, Missed):  # as its pair does: it looks
                self.venue.look(self._question(f"missed {len(self.told)}"), self.world.now())
            self.told.append(event)

    def wait(self, wanted: Callable[[], Any], what: str, timeout_s: float = 60.0) -> Any:
        """Hear until `wanted` has something; fails with what was heard when it does not come."""
        end = time.monotonic() + timeout_s
        while True:
            self.pump()
            found = wanted()
            if found:
                return found
            assert time.monotonic() < end, f"{what} did not come: {self.told}"
            self.world.rest()

    def of(self, kind: type[E], number: int | None = None) -> list[E]:
        """What was told of one kind, of one order where it is named."""
        found = [event for event in self.told if isinstance(event, kind)]
        return found if number is None else [event for event in found if _id_of(event) == client_id(number)]

    def submit(self, order: Order) -> Any:
        """Send an order and wait for what becomes of the request."""
        number = int(order.client_order_id.rpartition("i")[2])
        before = len(self.told)
        outcome = self.venue.submit(order, self.world.now(), self.permit())
        if isinstance(outcome, Acknowledged | Refused | InDoubt):
            return outcome
        answers = (OrderAccepted, OrderRejected, OrderInDoubt)

        def answer() -> Any:
            fresh = [e for e in self.told[before:] if isinstance(e, answers) and _id_of(e) == client_id(number)]
            return fresh[-1] if fresh else None

        return self.wait(answer, f"the answer to {order.client_order_id}")

    def cancel(self, number: int, order_id: str = "") -> Any:
        """Cancel an order and wait for what becomes of that."""
        before = len(self.told)
        outcome = self.venue.cancel(self.world.pair, client_id(number), order_id, self.world.now(), self.permit())
        if isinstance(outcome, Canceled | Refused | InDoubt):
            return outcome
        answers = (OrderCanceled, CancelRejected, OrderInDoubt)
        return self.wait(
            lambda: next(
                (e for e in self.told[before:] if isinstance(e, answers) and _id_of(e) == client_id(number)), 0
            ),
            f"the answer to the cancel of {number}",
        )

    def look(self, *numbers: int, since: Millis | None = None) -> Snapshot:
        """What is true of the pair."""
        before = len(self.told)
        question = self._question(f"pair {len(self.told)}", *numbers, since=since)
        self.venue.look(question, self.world.now())
        looked: Looked = self.wait(
            lambda: next((e for e in self.told[before:] if isinstance(e, Looked) and e.question == question), None),
            "the look",
        )
        return looked.snapshot

    def look_at(self, asker: str, *numbers: int) -> None:
        """Ask as one who may have asked before; the answer is among what is told."""
        self.venue.look(self._question(asker, *numbers), self.world.now())

    def _question(self, asker: str, *numbers: int, since: Millis | None = None) -> TakeSnapshot:
        return TakeSnapshot(
            request_id=asker,
            pair=self.world.pair,
            client_order_ids=tuple(client_id(number) for number in numbers),
            since=self.world.now() - 600_000 if since is None else since,
            reply_to=asker,
        )

    def filled(self, number: int) -> Decimal:
        """What the fills of an order come to, each counted once."""
        fills = {event.fill.fill_id: event.fill.amount for event in self.of(OrderFilled, number)}
        return sum(fills.values(), D(0))


def _id_of(event: Any) -> str:
    return str(event.fill.client_order_id if isinstance(event, OrderFilled) else event.client_order_id)


class PaperWorld:
    """The paper venue with a market that the test moves."""

    def __init__(self, path: Path) -> None:
        self.at = 1_700_000_000_000
        self.ticks = Ticks({PAIR: [(self.at, 60_000.0)]})
        config = PaperConfig(wallet=D(100_000), fee_in_base=True)
        self.pair = PAIR
        self.venue: TradingVenue = PaperVenue(path, config, self.ticks)

    def now(self) -> Millis:
        return self.at

    def move(self, price: int) -> None:
        self.at += 5_000
        self.ticks.ticks[PAIR] = [*self.ticks.ticks[PAIR], (self.at, float(price))]
        self.at += 5_000
        self.venue.advance(self.at)

    def rest(self) -> None:
        self.at += 1_000
        self.venue.advance(self.at)

    def close(self) -> None:
        self.venue.close()


class ExchangeWorld:
    """The local exchange through the unmodified ccxt class; late orders are possible for two seconds and a half only.

    `horizon_ms`: for so long instead. `as_known`: for as long as is known of Binance.
    """

    def __init__(
        self,
        exchange: Exchange,
        key: str = "key",
        *,
        horizon_ms: Millis = HORIZON_MS,
        as_known: bool = False,
    ) -> None:
        self.exchange = exchange
        known = capability(exchange.name, futures=exchange.futures)
        window = known.options["recvWindow"] if as_known else horizon_ms - 300
        told = exchange.options()
        told = {**told, "timeout": PATIENT_MS, "options": {**told["options"], "recvWindow": window}}
        self.connection = Connection(
            ExchangeConfig(name=exchange.name, options=told),
            futures=exchange.futures,
            keys={"apiKey": key, "secret": "secret"},
        )
        self.connection.start()
        loaded = self.connection.spawn(self.connection.load()).result(60)
        assert loaded.failure is None, loaded.failure
        self.ability = known if as_known else replace(known, horizon_ms=horizon_ms)
        self.pair = FUTURE if exchange.futures else PAIR
        self.anew()

    def anew(self, runs: Mapping[int, Millis] | None = None, **able: Any) -> None:
        """Another venue on this connection, which knows nothing of before but when each run began; `able`: what it can do."""
        self.live = CcxtVenue(self.connection, replace(self.ability, **able), INSTALLATION, began=runs)
        self.venue: TradingVenue = self.live

    def hurry(self) -> None:
        """From now on a request is given up soon, as a short time-out in the configuration has it."""
        self.connection.trading.timeout = IMPATIENT_MS

    def now(self) -> Millis:
        return self.connection.now()

    def move(self, price: int) -> None:
        market = "futures" if self.exchange.futures else "spot"
        self.exchange.control("price", symbol="BTCUSDT", price=price, market=market)

    def rest(self) -> None:
        time.sleep(0.01)

    def close(self) -> None:
        self.connection.close()


def quiet_exchange(*arguments: str, futures: bool = False, name: str = "binance") -> Exchange:
    """The local exchange for one file of tests: three pairs whose prices stand still.

    It ends with the process that started it; its own time is far longer than the file takes on a busy machine.
    """
    return Exchange("--pairs", "3", "--still", "--for", "1800", *arguments, futures=futures, name=name)


def order_trouble(desk: Desk, exchange: Exchange, endpoint: str, fault: Mapping[str, Any]) -> None:
    """Have the next such request go wrong; the answer that does not come is not waited for as long as usual."""
    world: Any = desk.world
    if fault["kind"].startswith("hang"):
        world.hurry()
    exchange.control("fault", endpoint=endpoint, count=1, **fault)


def fresh(exchange: Exchange, name: str, **known: Any) -> ExchangeWorld:
    """A new account with 100,000 USDT at the exchange, which has no faults and bitcoin at 60,000."""
    market = "futures" if exchange.futures else "spot"
    exchange.control("clear")
    exchange.control("limits", reset=True, market=market)
    exchange.control("price", symbol="BTCUSDT", price=60_000, market=market)
    exchange.control("user", key=name, secret="secret", name=name, funds={"USDT": 100_000}, market=market)
    return ExchangeWorld(exchange, name, **known)


@contextmanager
def at_desk(world: Any) -> Iterator[Desk]:
    """A desk at a world, which is closed at the end; what was to go wrong at its exchange does so no more."""
    made = Desk(world)
    made.open(1)
    try:
        yield made
    finally:
        if isinstance(world, ExchangeWorld):
            world.exchange.control("clear")
        world.close()


def a_stop(desk: Desk, number: int = 2, trigger: int = 55_000, **changes: Any) -> Order:
    """A stop for what `guarded` holds."""
    plain = {"purpose": Purpose.STOP, "side": OrderSide.SELL, "type": OrderType.STOP, "amount": Decimal("0.009")}
    prices = {"price": Decimal(trigger), "trigger_price": Decimal(trigger)}
    return an_order(number, desk.world.now(), **{**plain, **prices, **changes})


def guarded(world: Any) -> Iterator[Desk]:
    """A desk that holds 0.00999 bitcoin, with a stop for 0.009 at 55,000."""
    with at_desk(world) as made:
        made.submit(an_order(1, world.now(), type=OrderType.MARKET, price=Decimal(60_000)))
        made.wait(lambda: made.filled(1) == Decimal("0.01"), "the entry")
        made.submit(a_stop(made))
        yield made
