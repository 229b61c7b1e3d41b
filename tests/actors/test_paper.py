"""The paper venue: its record survives anything, its market goes on without the bot."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from actors.venues.paper.built_in import BuiltInMarket
from actors.venues.paper.venue import DAY_MS, PaperVenue
from actors.venues.trading import Acknowledged, Canceled, Refused, TradingVenue
from engine.candles import MINUTE
from engine.errors import StorageError
from engine.messages import OrderCanceled, OrderFilled
from engine.settings import FeedConfig, PaperConfig
from engine.types import ONE, ZERO, Millis, OrderSide, OrderStatus, OrderType, Purpose
from tests.actors.ticks import PAIR, PERMIT, D, Ticks, an_order, undisturbed

BOOK = PaperConfig(spread=D("0.002"), depth=D(10_000), maker_fee=D("0.001"), taker_fee=D("0.002"))


FLAT = {PAIR: [(0, 100.0)], "ETH/USDT": [(0, 10.0)]}


def venue(path: Path | None = None, source: Ticks | None = None, config: PaperConfig = BOOK, **rest: Any) -> PaperVenue:
    return PaperVenue(path, config, source or Ticks(FLAT), **rest)


def opened(*arguments: Any, at: Millis = 1_000, **rest: Any) -> PaperVenue:
    made = venue(*arguments, **rest)
    made.open(1, at, undisturbed)
    return made


def everything(path: Path) -> list[Any]:
    with sqlite3.connect(path) as db:
        tables = ("orders", "fills", "balances", "positions", "pairs", "meta")
        return [db.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in tables]


def trade_a_little(made: PaperVenue) -> None:
    made.submit(an_order("bought", type=OrderType.MARKET), 2_000, PERMIT)
    made.submit(an_order("resting"), 2_000, PERMIT)
    made.submit(an_order("short", pair="ETH/USDT", side=OrderSide.SELL, type=OrderType.MARKET), 2_000, PERMIT)
    made.submit(an_order("gone", price=D(98)), 2_000, PERMIT)
    made.cancel(PAIR, "gone", "", 2_500, PERMIT)
    stop = {"type": OrderType.STOP, "trigger_price": D(95), "purpose": Purpose.STOP, "side": OrderSide.SELL}
    made.submit(an_order("stop", **stop), 3_000, PERMIT)


def test_it_is_a_trading_venue() -> None:
    """The paper venue is what the gateway asks for."""
    port: TradingVenue = venue()

    assert port.epoch == 0


def test_a_record_opened_again_is_the_same(tmp_path: Path) -> None:
    """Cut off after a commit and opened again, balances, orders, fills and positions are what they were."""
    path = tmp_path / "x.venue.sqlite"
    first = opened(path)
    trade_a_little(first)
    assert first.commit()
    before = everything(path)
    again = opened(path, at=3_000)

    assert again.balances() == first.balances()
    assert again._exchange.working == first._exchange.working
    assert again._exchange.counts == first._exchange.counts
    assert again._exchange.clearing.positions.items() == first._exchange.clearing.positions.items()
    assert again.events() == ()
    assert everything(path) == before
    assert again.submit(an_order("next"), 4_000, PERMIT) == Acknowledged(f"{PAIR}#5")


@pytest.mark.parametrize("in_memory", [True, False])
def test_what_was_not_committed_never_was(tmp_path: Path, in_memory: bool) -> None:
    """A gateway that dies before the commit leaves the venue as it was before that batch."""
    made = opened(None if in_memory else tmp_path / "x.venue.sqlite")
    trade_a_little(made)
    made.commit()
    working, balances = dict(made._exchange.working), made.balances()
    made.submit(an_order("lost"), 4_000, PERMIT)
    assert made.find(PAIR, "lost") is not None
    made.open(2, 4_000, undisturbed)

    assert made.epoch == 2
    assert made._exchange.working == working
    assert made.balances() == balances
    assert made.find(PAIR, "lost") is None
    assert made.find(PAIR, "resting") is not None


def test_stops_fill_while_the_bot_is_down(tmp_path: Path) -> None:
    """A stop whose trigger the price reached during a downtime is filled then, at that time's price."""
    path, fell_at = tmp_path / "x.venue.sqlite", 3 * DAY_MS + 12_345_000
    source = Ticks({**FLAT, PAIR: [(0, 100.0), (fell_at, 94.0), (fell_at + 1_000, 120.0)]})
    first = opened(path, source)
    trade_a_little(first)
    first.commit()
    first.close()
    source.looks = 0
    again = opened(path, source, at=30 * DAY_MS)
    fills = {e.fill.client_order_id: e.fill for e in again.events() if isinstance(e, OrderFilled)}

    assert fills["stop"].ts == fell_at
    assert fills["stop"].price == D("93.89")  # trading began at 94: the bid there, walked by a cost of 94
    assert (fills["resting"].price, fills["resting"].maker) == (D(99), True)
    assert source.looks < 80  # a month of minutes was not looked at one by one
    assert again.commit() is False  # it is on record before anybody hears of it
    assert {row[3] for row in everything(path)[1]} >= {"stop", "resting"}


def test_volume_fills_a_resting_order_in_parts() -> None:
    """A resting order gets no more than what has traded of the candle so far, less what it had, and goes on resting."""
    source = Ticks({PAIR: [(0, 100.0), (10_000, 98.0), (20_000, 98.0)]}, volume=3.0)
    made = opened(None, source, at=5_000)
    made.submit(an_order("a"), 5_000, PERMIT)
    made.advance(11_000)
    made.advance(26_000)
    amounts = [e.fill.amount for e in made.events() if isinstance(e, OrderFilled)]

    assert amounts == [D("0.55"), D("0.45")]  # 3 × 11 s / 60 s; 0.5 more has traded ten seconds later


def test_an_order_meets_only_what_comes_after_it() -> None:
    """A price from before an order was accepted cannot fill it, though others waited there."""
    source = Ticks({PAIR: [(0, 100.0), (10_000, 90.0), (12_000, 100.0)]})
    made = opened(None, source)
    made.submit(an_order("early", price=D(89)), 2_000, PERMIT)
    made.submit(an_order("late"), 13_000, PERMIT)
    made.advance(20_000)

    assert made.events() == ()


def test_a_cancel_comes_after_what_the_market_did() -> None:
    """An order that the price has passed is filled, though its cancel came before anybody looked."""
    source = Ticks({PAIR: [(0, 100.0), (10_000, 98.0)]})
    made = opened(None, source)
    made.submit(an_order("a"), 2_000, PERMIT)

    assert isinstance(made.cancel(PAIR, "a", "", 15_000, PERMIT), Refused)
    assert [type(e) for e in made.events()] == [OrderFilled]


def test_cancel_by_either_id() -> None:
    """An order is found for its cancel by our id or the venue's; an unknown one is refused."""
    made = opened()
    made.submit(an_order("a"), 2_000, PERMIT)
    made.submit(an_order("b"), 2_000, PERMIT)

    assert made.cancel(PAIR, "a", "", 3_000, PERMIT) == Canceled()
    assert made.cancel(PAIR, "", f"{PAIR}#2", 3_000, PERMIT) == Canceled()
    assert isinstance(made.cancel(PAIR, "a", "", 3_000, PERMIT), Refused)
    assert [e.client_order_id for e in made.events() if isinstance(e, OrderCanceled)] == ["a", "b"]


def test_a_snapshot_tells_what_is_true() -> None:
    """Open orders, orders asked for, fills since, unknown ids, and what is held, before any commit too."""
    made = opened()
    trade_a_little(made)
    snapshot = made.snapshot(PAIR, ["bought", "never"], 500_000, 3_000)
    short = made.snapshot("ETH/USDT", [], 0, 3_000)

    assert [(o.client_order_id, o.status) for o in snapshot.orders] == [
        ("resting", OrderStatus.NEW),
        ("stop", OrderStatus.NEW),
        ("bought", OrderStatus.FILLED),
    ]
    assert [f.fill.client_order_id for f in snapshot.fills] == ["bought"]
    assert (snapshot.unknown, snapshot.final, snapshot.position) == (("never",), True, ONE)
    assert short.position == -ONE
    assert made.snapshot("XXX/USDT", [], 0, 3_000).position is None


def test_candle_turns_fill_only_by_match() -> None:
    """In a run by candles the market does not go on by itself; a turn's candle fills what lies in it."""
    source = Ticks({PAIR: [(0, 100.0), (10_000, 90.0)]})
    made = opened(None, source, replace(BOOK, fills="candle"), by_turns=True)
    made.submit(an_order("a"), 2_000, PERMIT)
    made.advance(20_000)
    assert made.events() == ()
    made.match(PAIR, 20_000, D(98), D(99))
    (event,) = made.events()
    assert isinstance(event, OrderFilled)

    assert (event.fill.price, event.fill.fee, event.fill.fee_currency) == (D(99), D("0.198"), "USDT")
    assert made.markets()[PAIR].maker_fee == made.markets()[PAIR].taker_fee


def test_candle_fills_in_real_time() -> None:
    """With the candle model and a market that goes on, market orders fill at the next price there is."""
    source = Ticks({PAIR: [(0, 100.0), (10_000, 90.0)]})
    made = opened(None, source, replace(BOOK, fills="candle"))
    made.submit(an_order("a", type=OrderType.MARKET), 2_000, PERMIT)
    made.advance(20_000)

    assert [e.fill.price for e in made.events() if isinstance(e, OrderFilled)] == [D(90)]


def test_the_account_is_opened_once(tmp_path: Path) -> None:
    """The wallet is paid in when the record is made; another wallet in the configuration changes nothing."""
    path = tmp_path / "x.venue.sqlite"
    config = replace(BOOK, fee_coin="BNB", fee_coin_wallet=D(2))
    opened(path, None, config).close()
    again = opened(path, None, replace(config, wallet=D(5), fee_coin_wallet=D(9)))

    assert again.balances() == (("BNB", D(2), ZERO), ("USDT", D(10_000), ZERO))


def test_usage_is_what_the_venue_has_counted(tmp_path: Path) -> None:
    """Orders of the current windows are counted from the record, over a restart too; weight is the process's."""
    path = tmp_path / "x.venue.sqlite"
    made = opened(path)
    for number in range(3):
        made.submit(an_order(str(number)), 9_000 + number * 500, PERMIT)
    assert made.usage(10_000) == {"weight_1m": 3, "orders_10s": 1, "orders_1d": 3}
    made.commit()
    made.close()

    assert opened(path, at=10_100).usage(10_100) == {"weight_1m": 0, "orders_10s": 1, "orders_1d": 3}


def test_files_that_are_no_record_are_refused(tmp_path: Path) -> None:
    """Something else, or a record from a newer version, is refused in a sentence and left as it is."""
    other, newer = tmp_path / "other.venue.sqlite", tmp_path / "newer.venue.sqlite"
    other.write_bytes(b"something else entirely" * 100)
    opened(newer).close()
    with sqlite3.connect(newer) as db:
        db.execute("UPDATE meta SET value = '9' WHERE key = 'version'")

    with pytest.raises(StorageError, match=r"other\.venue\.sqlite cannot be opened as the paper venue's record"):
        opened(other)
    with pytest.raises(StorageError, match=r"newer\.venue\.sqlite is of version 9; this program knows version 2"):
        opened(newer)
    assert other.read_bytes() == b"something else entirely" * 100


def test_prices_are_looked_up_once_a_second() -> None:
    """A batch of orders costs one look at the market, not one an order; a pair without a price is refused."""
    source = Ticks({**FLAT, "NEW/USDT": [(MINUTE, 5.0)]})
    made = opened(None, source)
    outcomes = [made.submit(an_order(p, pair=p, price=D(9)), 2_000, PERMIT) for p in source.pairs]

    assert [type(o).__name__ for o in outcomes] == ["Acknowledged", "Acknowledged", "Refused"]


@pytest.mark.parametrize("seed", range(6))
def test_restarts_change_nothing(tmp_path: Path, seed: int) -> None:
    """A venue that is cut off and opened again all the time does to the same requests what one that runs on does."""
    markets = [BuiltInMarket.of(FeedConfig(pairs=4, seed=seed)) for _ in range(2)]
    steady, shaken = (PaperVenue(tmp_path / f"{n}.venue.sqlite", BOOK, market) for n, market in enumerate(markets))
    rng, now, start = Random(seed), 1_767_225_600_000, markets[0].prices(markets[0].pairs, 1_767_225_600_000)
    prices = {found.pair: D(repr(found.close)) for found in start}
    steady.open(1, now, undisturbed)
    shaken.open(1, now, undisturbed)
    told: tuple[list[Any], list[Any]] = ([], [])
    for number in range(150):
        now += rng.randrange(0, 400_000)
        pair = rng.choice(markets[0].pairs)
        market = steady.markets()[pair]
        asked = market.round_price(prices[pair] * rng.randrange(980, 1_020) / 1_000)
        order = an_order(
            str(number),
            pair=pair,
            side=rng.choice(list(OrderSide)),
            type=rng.choice(list(OrderType)),
            purpose=rng.choice(list(Purpose)),
            amount=market.truncate_amount(D(rng.randrange(10, 900)) / asked),
            price=asked,
            trigger_price=asked,
        )
        cancelled = str(rng.randrange(number + 1))
        cut_off = rng.random() < 0.3
        for made, heard in zip((steady, shaken), told, strict=True):
            if made is shaken and cut_off:
                made.submit(replace(order, client_order_id=f"never {number}"), now, PERMIT)  # its batch is lost
                made.open(made.epoch + 1, now, undisturbed)
            made.submit(order, now, PERMIT)
            made.cancel(pair, cancelled, "", now, PERMIT)
            made.advance(now)
            made.commit()
            heard.extend(made.events())

    assert len([e for e in told[0] if isinstance(e, OrderFilled)]) > 20
    assert shaken.balances() == steady.balances()
    assert shaken._exchange.working == steady._exchange.working
    for one, other in zip(*(everything(tmp_path / f"{n}.venue.sqlite")[:4] for n in range(2)), strict=True):
        # Which pair's fills were written down first may differ; what they are may not.
        assert Counter(row[1:] for row in one) == Counter(row[1:] for row in other)
    assert Counter(map(repr, told[1])) == Counter(map(repr, told[0]))
    steady.close()
    shaken.close()
