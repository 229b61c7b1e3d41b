"""Ten exchanges' classes of ccxt write what we mean: the right order, our id in it, and stops that are stops."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from functools import cache
from typing import Any, Final

import ccxt.pro
import pytest

from actors.venues.capabilities import KINDS, CannotTrade, capability, exchanges, markets_of
from engine.errors import ConfigError
from engine.order import Order
from engine.ratelimit import Grant, RateLimiter, Wait
from engine.settings import Settings
from engine.types import OrderSide, OrderType, Priority, Purpose, TimeInForce
from tests.requests.recorder import (
    ID,
    ORDER_ID,
    REPLACED_ID,
    Request,
    capabilities,
    market_of,
    pair_of,
    recorder,
    request_of,
)
from tests.requests.written import FILE, as_text, written

ALL: Final = {f"{able.exchange} {able.market}": able for able in capabilities()}
STOPPED: Final = [name for name, able in ALL.items() if able.stop is not None]

TRIGGERS: Final = frozenset(
    {"stopPrice", "triggerPrice", "slTriggerPx", "stop-price", "stop_price"}
)  # fmt: skip
"""What exchanges call a stop's trigger; Kraken calls it `price`, beside an order type of its own."""
STOP_TYPES: Final = frozenset({"stop-loss", "STOP_LOSS", "STOP_MARKET", "conditional", "sell-stop-limit"})
STOP_PLACES: Final = ("algo", "stop-order", "plan-order")
"""Addresses that take nothing but conditional orders."""


@cache
def sent() -> dict[str, dict[str, Request | None]]:
    """Every exchange's requests, written once for all tests."""
    return written()


def order_at(name: str, call: str) -> Request:
    """One request that there must be."""
    request = sent()[name][call]
    assert request is not None
    return request


def field(request: Request, *names: str) -> str:
    """The value of the field that is called one of `names`, wherever in the request it is; empty if there is none."""
    found = [value for name, value in request.fields.items() if name.rpartition(".")[2] in names]
    return found[0] if found else ""


def test_nothing_else_is_sent_than_was_read() -> None:
    """Every request is as it is written down in sent.txt, where a person has read it; a new ccxt may change them."""
    assert FILE.read_text(encoding="utf-8") == as_text(sent())


def test_all_ten_exchanges_are_written_about() -> None:
    """Spot is traded on all ten, futures on five; of the rest it is said why not."""
    assert exchanges() == (
        "binance", "bybit", "okx", "kraken", "kucoin", "gate", "bitget", "mexc", "htx", "coinbase",
    )  # fmt: skip
    assert {f"{name} spot" for name in exchanges()} < set(ALL)
    assert {"binance futures", "bybit futures", "okx futures", "kucoin futures", "bitget futures"} < set(ALL)
    for name in exchanges():
        for market in markets_of(name):
            if f"{name} {market}" not in ALL:
                with pytest.raises(CannotTrade, match="not traded live, since "):
                    capability(name, futures=market == "futures")


@pytest.mark.parametrize("name", ALL)
def test_every_order_carries_our_id(name: str) -> None:
    """The id is in each order as the exchange takes it, and reading it back gives ours."""
    able = ALL[name]
    theirs = able.theirs(ID)
    assert re.fullmatch(able.id_pattern, theirs)
    assert able.ours(theirs) == ID
    placed = [call for call in sent()[name] if call.startswith(("limit", "market", "stop "))]
    assert len(placed) >= 6
    for call in placed:
        assert theirs in order_at(name, call).fields.values(), call


@pytest.mark.parametrize("name", ALL)
def test_orders_are_found_and_cancelled_by_our_id_where_that_goes(name: str) -> None:
    """A look-up or a cancel by our id has it in its address or its fields; by the exchange's id it has that one."""
    theirs = ALL[name].theirs(ID)
    for call, request in sent()[name].items():
        if request is None or not call.startswith(("fetch", "cancel")):
            continue
        wanted = ORDER_ID if "known" in call else theirs
        assert wanted in (*request.fields.values(), *request.path.split("/")), call


@pytest.mark.parametrize("name", ALL)
def test_sides_and_amounts_are_what_was_meant(name: str) -> None:
    """Buying buys and selling sells, 0.02 coins or as many contracts; only what leaves a futures position reduces only."""
    able = ALL[name]
    amount = Decimal("0.02") / market_of(able).contract_size
    for call, request in sent()[name].items():
        if request is None or not call.startswith(("limit", "market", "stop ")):
            continue
        told = field(request, "quantity", "qty", "sz", "volume", "size", "amount", "base_size")
        assert abs(Decimal(told)) == amount, call
        sells = call.endswith("sell")
        side = field(request, "side", "type") if name != "gate futures" else ("sell" if told < "0" else "buy")
        assert side.lower().startswith("sell" if sells else "buy") or name.startswith("binance"), call
        if name.startswith("binance"):
            assert request.fields["side"] == ("SELL" if sells else "BUY")
        reduces = field(request, "reduceOnly", "reduce_only").lower() in ("true", "yes")
        leaves = sells or call == "stop buy"
        assert reduces == (leaves and able.market == "futures") or name == "bybit spot", call


@pytest.mark.parametrize("name", STOPPED)
def test_a_stop_is_a_stop(name: str) -> None:
    """What ccxt does not know it passes on, and then a stop is a market order that fills at once: none of ours is."""
    for call in [c for c in sent()[name] if c.startswith("stop ")]:
        request = order_at(name, call)
        trigger = field(request, *TRIGGERS) or (request.fields["price"] if name == "kraken spot" else "")
        assert Decimal(trigger) == (45_000 if call == "stop sell" else 55_000)
        conditional = (
            field(request, "type", "ordType", "ordertype") in STOP_TYPES
            or any(place in request.path for place in STOP_PLACES)
            or field(request, "triggerDirection", "stop", "stop_direction")
        )
        assert conditional, request


def test_a_stop_takes_the_place_of_another_in_one_request() -> None:
    """Binance spot: the old one by our id and only if nothing of it has filled, the new one with its own id and trigger."""
    request = order_at("binance spot", "replace stop")

    assert (request.method, request.path) == ("POST", "/api/v3/order/cancelReplace")
    assert request.fields == {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "STOP_LOSS",
        "quantity": "0.02",
        "stopPrice": "45000",
        "newClientOrderId": ID,
        "newOrderRespType": "FULL",
        "cancelOrigClientOrderId": REPLACED_ID,
        "cancelReplaceMode": "STOP_ON_FAILURE",
        "cancelRestrictions": "ONLY_NEW",
    }
    assert [name for name, able in ALL.items() if able.stop_replace] == ["binance spot"]


def test_a_stop_is_changed_in_place() -> None:
    """By the exchange's own id, to the new amount and trigger, and still at market price; a second one is never written."""
    bybit, okx = order_at("bybit spot", "amend stop"), order_at("okx spot", "amend stop")

    assert (bybit.method, bybit.path) == ("POST", "/v5/order/amend")
    assert bybit.fields == {
        "category": "spot",
        "symbol": "BTCUSDT",
        "orderId": ORDER_ID,
        "qty": "0.01",
        "triggerPrice": "46000.5",
        "triggerBy": "LastPrice",
    }
    assert (okx.method, okx.path) == ("POST", "/api/v5/trade/amend-algos")
    assert okx.fields == {
        "instId": "BTC-USDT",
        "algoId": ORDER_ID,
        "newSz": "0.01",
        "newSlTriggerPx": "46000.5",
        "newSlOrdPx": "-1",
        "newSlTriggerPxType": "last",
    }
    for exchange, field in (("bybit", "qty"), ("okx", "newSz")):  # Bybit wants no amount that stays as it is
        assert field not in order_at(f"{exchange} spot", "amend stop's trigger").fields
    assert [name for name, able in ALL.items() if able.stop_amend] == ["bybit spot", "okx spot"]


def test_a_users_own_window_moves_the_horizon() -> None:
    """An exchange takes a request for as long as `recvWindow` says; what the user sets there is what is waited for."""
    able = ALL["binance spot"]

    assert (able.horizon_ms, able.under({}).horizon_ms) == (3_000, 3_000)
    assert able.under({"options": {"recvWindow": 10_000}}).horizon_ms == 11_000
    assert ALL["kraken spot"].under({"options": {"recvWindow": 10_000}}).horizon_ms == 60_000
    for name in ("bybit spot", "bybit futures", "mexc spot"):
        assert ALL[name].under({"options": {"recvWindow": 20_000}}).horizon_ms == 21_000, name
    heeding = {able.exchange for able in ALL.values() if "recvWindow" in getattr(ccxt.pro, able.exchange)().options}
    assert heeding == {able.exchange for able in ALL.values() if "recvWindow" in able.options}


@pytest.mark.parametrize("window", ["60000", 60_000.0, True, 0])
def test_a_window_that_is_no_whole_number_is_refused(window: Any) -> None:
    """Ccxt reads a text as a number and sends it: the horizon would not know."""
    with pytest.raises(ConfigError, match="recvWindow"):
        ALL["binance spot"].under({"options": {"recvWindow": window}})


@pytest.mark.parametrize("name", [n for n in STOPPED if ALL[n].market == "futures"])
def test_a_shorts_stop_is_triggered_from_below(name: str) -> None:
    """Where the exchange is told a direction, a long's stop waits for a fall and a short's for a rise."""
    directions = [
        field(order_at(name, call), "triggerDirection", "stop", "operator") for call in ("stop sell", "stop buy")
    ]

    assert directions in (["2", "1"], ["down", "up"], ["", ""])


@pytest.mark.parametrize("name", ALL)
def test_times_in_force_are_written(name: str) -> None:
    """Post-only, immediate-or-cancel and fill-or-kill differ from a plain limit order, and from each other."""
    able = ALL[name]
    plain = order_at(name, "limit buy")
    seen = [(plain.path, plain.fields)]
    for tif in able.tif:
        request = order_at(name, f"limit {tif}")
        assert (request.path, request.fields) not in seen
        seen.append((request.path, request.fields))


@pytest.mark.parametrize("name", [n for n, able in ALL.items() if able.market_buy == "cost"])
def test_a_market_buy_that_would_name_money_takes_by_a_limit(name: str) -> None:
    """Where a market order to buy names money, not coins, a limit order 2 % above the price goes out that takes at once."""
    request = order_at(name, "market buy")

    assert Decimal(field(request, "price", "limit_price")) == 51_000
    assert "ioc" in str(request).lower()


@pytest.mark.parametrize("name", ALL)
def test_every_kind_of_request_has_a_cost(name: str) -> None:
    """Whatever a permit is asked for costs something in pools that there are; a list that is not asked costs nothing."""
    able = ALL[name]
    limits = able.limits()
    pools = {pool.name for pool in limits.pools}

    assert set(KINDS) == set(limits.costs)
    for kind, cost in limits.costs.items():
        assert set(cost) <= pools
        assert cost or kind.startswith("open_stops")
    orders = max(sum(limits.costs[kind].values()) for kind in ("order", "stop"))
    assert orders <= min(pool.limit for pool in limits.pools)


def test_binances_costs_are_its_own() -> None:
    """The weights that Binance counts, of the kinds that matter most: a look-up is 4, a pair's reading 26, trades 20."""
    spot, futures = ALL["binance spot"].limits().costs, ALL["binance futures"].limits().costs

    assert spot["order"] == {"weight_1m": 1, "orders_10s": 1, "orders_1d": 1}
    assert (spot["fetch_order"]["weight_1m"], spot["snapshot"]["weight_1m"]) == (4, 26)
    assert (futures["my_trades"], futures["snapshot"]) == ({"weight_1m": 5}, {"weight_1m": 7})


def test_fifty_entries_with_their_stops_go_at_once() -> None:
    """On Binance's hundred orders in ten seconds fifty entries leave at once, each with its stop's place; then these go."""
    made = RateLimiter(ALL["binance spot"].limits(), known=True)
    entries = [made.acquire(f"e{n}", "order", Priority.ENTRY, 0, 60_000, reserve=1) for n in range(51)]
    stops = [made.acquire(f"s{n}", "stop", Priority.GUARD, 1, 60_000) for n in range(51)]

    assert [type(e) for e in entries] == [Grant] * 50 + [Wait]
    assert [type(s) for s in stops] == [Grant] * 50 + [Wait]


def test_what_an_exchange_has_not_is_refused_before_it_is_sent() -> None:
    """A stop where none can be found again, and a time in force that is not there, are refused in a sentence."""
    gate, kraken = ALL["gate spot"], ALL["kraken spot"]
    order = Order(
        pair=pair_of(gate),
        client_order_id=ID,
        purpose=Purpose.STOP,
        side=OrderSide.SELL,
        type=OrderType.STOP,
        amount=Decimal(1),
        price=Decimal(9),
        created_at=0,
    )

    with pytest.raises(CannotTrade, match="Gate takes no stop orders that could be found again by our ids"):
        gate.create(order, market_of(gate))
    wanted = replace(order, type=OrderType.LIMIT, time_in_force=TimeInForce.FOK)
    with pytest.raises(CannotTrade, match="Kraken has no FOK orders"):
        kraken.create(wanted, market_of(kraken))
    settings = Settings(timeframe_ms=60_000, entry_time_in_force="FOK", stop_on_venue=True)
    (problem,) = kraken.refusals(settings, "EUR")
    assert (problem.key, problem.cure) == ("order_time_in_force.entry", "Write one of GTC, IOC, PO")
    assert kraken.notes(settings) == []
    assert gate.notes(settings) == [
        "Gate (spot) takes no stops that we could find again: the bot guards, while it runs"
    ]
    assert "the bot guards" in gate.notes(replace(settings, stop_on_venue=False))[0]


def test_an_exchange_that_nobody_knows_is_refused() -> None:
    """A name that is not in the table is refused with those that are."""
    with pytest.raises(CannotTrade, match=r"bitmex.: nothing is known .* Known are binance, bybit"):
        capability("bitmex")


def test_foreign_ids_stay_as_they_are() -> None:
    """An id that is not of our making is returned as it was, whatever the exchange's way of writing ours."""
    for foreign in ("t-my own", "t-AAAAAAAAAAAAAAAAAAAAAAZZ", "api", "", "t-"):
        assert ALL["gate spot"].ours(foreign) == foreign
    for foreign in ("ffffffffffffffffffffffffffffffff", "d15708c1-dbb6-465d-b77d-47258319cc90", "my own"):
        assert ALL["kraken spot"].ours(foreign) == foreign


@pytest.mark.parametrize("name", [n for n, able in ALL.items() if able.market == "futures"])
@pytest.mark.parametrize("margin", ["isolated", "cross"])
def test_a_position_is_entered_with_its_leverage(name: str, margin: str) -> None:
    """The leverage is set for the margin mode that the order is sent with, or is in the order itself."""
    told = sent()[name].get(f"leverage {margin}")
    order = order_at(name, "limit buy")

    if told is None:
        assert field(order, "leverage") == "3"
    else:
        assert "3" in told.fields.values()
    if name == "gate futures" and told is not None:  # without a margin mode beside it, which Gate has no field for
        assert set(told.fields) == {"leverage"} | ({"cross_leverage_limit"} if margin == "cross" else set())
        assert told.fields["leverage"] == ("0" if margin == "cross" else "3")
    if name == "okx futures" and told is not None:
        assert told.fields["mgnMode"] == margin
        assert margin == "cross" or field(order, "tdMode") == "isolated"


@pytest.mark.parametrize("name", [n for n, able in ALL.items() if able.market == "futures"])
def test_lists_of_one_coin_are_known_as_such(name: str) -> None:
    """Where the lists of the whole account ask for what is settled in USDT, nobody takes them for lists of all there is."""
    able = ALL[name]
    made = recorder(able)
    made.options |= {"defaultType": "swap", "defaultSubType": "linear", "warnOnFetchOpenOrdersWithoutSymbol": False}
    made.options["defaultSettle"] = "USDC"  # a user's own wish changes nothing
    asked = [request_of(made, call) for call in (able.positions(), *(call for _, call in able.open_lists(None)))]

    assert len(asked) >= 2
    for request in asked:
        words = [*request.path.split("/"), *request.fields.values()]
        coins = {word.removesuffix("-FUTURES") for each in words if "USD" in (word := each.upper())}
        assert coins == ({able.settled.coin} if able.settled.coin else set()), request
    assert able.settled.tells_of("BTC/USDT:USDT")
    assert able.settled.tells_of("BTC/USDC:USDC") is (not able.settled.coin)


def test_mexc_lists_open_orders_by_pair_only() -> None:
    """All at once is refused there: what asks for them must not, and reads each pair's."""
    assert ALL["mexc spot"].open_lists(None) == []
    assert len(ALL["mexc spot"].open_lists("BTC/USDT")) == 1
    assert [kind for kind, _ in ALL["okx spot"].open_lists(None)] == ["open_orders_all", "open_stops_all"]
