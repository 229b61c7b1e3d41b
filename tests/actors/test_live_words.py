"""What exchanges answer through ccxt, odd answers among it: read, or known not to be readable, never guessed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from actors.venues.live.words import (
    balances_of,
    became_of,
    client_id_of,
    fill_of,
    is_known_status,
    order_of,
    payment_of,
    position_of,
    rows,
    unreadable_of,
)
from engine.market import Market
from engine.types import OrderSide, OrderStatus, OrderType

D = Decimal
NOW = 2_000_000_000_000
SPOT = Market(pair="BTC/USDT", base="BTC", quote="USDT", price_step=D("0.1"), amount_step=D("0.001"))
SWAP = Market(
    pair="BTC/USDT:USDT", base="BTC", quote="USDT", price_step=D("0.1"), amount_step=D("0.01"), contract_size=D("0.01")
)
ORDER = {
    "id": "7",
    "clientOrderId": "tpAAAAAAr1p0000beeft1i1",
    "status": "open",
    "side": "buy",
    "type": "limit",
    "amount": 2.0,
    "price": 100.5,
    "filled": 0.5,
    "timestamp": 1_700_000_000_000,
}
TRADE = {
    "id": "t1",
    "order": "7",
    "price": "100.10",
    "amount": "0.30",
    "timestamp": 1_700_000_000_001.0,
    "takerOrMaker": "maker",
    "fee": {"cost": "0.03", "currency": "USDT"},
}


def same(client_order_id: str) -> str:
    return client_order_id


def test_an_order_is_read_exactly() -> None:
    """Numbers are what they are written as, contracts become coins, the status says how far it has filled."""
    spot, swap = order_of(ORDER, SPOT, same), order_of(ORDER, SWAP, str.upper)
    assert spot is not None
    assert swap is not None

    assert (spot.amount, spot.price, spot.filled, spot.status) == (
        D("2.0"),
        D("100.5"),
        D("0.5"),
        OrderStatus.PARTIALLY_FILLED,
    )
    assert (spot.side, spot.type, spot.ts) == (OrderSide.BUY, OrderType.LIMIT, 1_700_000_000_000)
    assert (swap.amount, swap.filled) == (D("0.020"), D("0.005"))
    assert swap.client_order_id == "TPAAAAAAR1P0000BEEFT1I1"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"status": "open", "filled": None}, OrderStatus.NEW),
        ({"status": "closed", "filled": "2"}, OrderStatus.FILLED),
        ({"status": "closed", "filled": 1}, OrderStatus.EXPIRED),
        ({"status": "canceled"}, OrderStatus.CANCELED),
        ({"status": "canceled", "filled": 2}, OrderStatus.FILLED),
        ({"status": "expired"}, OrderStatus.EXPIRED),
        ({"status": "rejected", "filled": 0}, OrderStatus.REJECTED),
        ({"status": "canceling", "filled": 0}, OrderStatus.NEW),
        ({"status": None, "filled": 0}, OrderStatus.NEW),
        ({"status": "HALF_DONE", "filled": 0}, OrderStatus.NEW),
        ({"status": 17, "filled": "2.00"}, OrderStatus.FILLED),
        ({"status": "open", "filled": float("nan")}, OrderStatus.NEW),
        ({"status": "open", "filled": "nonsense"}, OrderStatus.NEW),
        ({"status": "open", "filled": -1}, OrderStatus.NEW),
    ],
)
def test_a_status_is_what_is_known(changes: dict[str, Any], status: OrderStatus) -> None:
    """Unknown words count as working: the order exists and is asked for again; amounts decide what has filled."""
    told = order_of({**ORDER, **changes}, SPOT, same)
    assert told is not None

    assert told.status is status


@pytest.mark.parametrize(
    "odd",
    [None, [], "text", 5, {}, {**ORDER, "id": None, "clientOrderId": None}, {**ORDER, "side": "both"}]
    + [{**ORDER, "amount": amount} for amount in (None, 0, "x", float("inf"))],
)
def test_what_names_no_order_is_none(odd: Any) -> None:
    """Answers of the wrong shape, without an id, a side or an amount are no order."""
    assert order_of(odd, SPOT, same) is None


def test_a_coin_without_its_amount_is_not_known() -> None:
    """Nobody may think that there is none of it, which would close its trade."""
    told = {"BTC": {"free": 1, "used": 0, "total": None}, "ETH": {"free": 1, "total": "NaN"}, "XRP": {"total": 0}}

    assert unreadable_of({**told, "info": {}, "timestamp": None}) == {"BTC", "ETH"}
    assert unreadable_of([]) == frozenset()


def test_a_cancels_answer_names_the_order_that_was_cancelled() -> None:
    """The answer carries a new id of the exchange's own; the old one is inside."""
    told = order_of({**ORDER, "clientOrderId": "random", "info": {"origClientOrderId": "mine"}}, SPOT, same)
    assert told is not None

    assert told.client_order_id == "mine"


def test_a_triggered_stop_counts_as_the_order_that_it_has_become() -> None:
    """Closed, with nothing filled of its own: the other order's amount counts, or it is still on its way."""
    info = {"algoId": 3, "actualOrderId": "9", "actualQty": "2"}
    stop = {**ORDER, "status": "closed", "filled": 0, "triggerPrice": 90, "info": info}
    filled = order_of(stop, SPOT, same)
    under_way = order_of({**stop, "info": {**info, "actualQty": "0"}}, SPOT, same)
    ended = order_of({**stop, "status": "canceled", "info": {"algoId": 3, "actualOrderId": ""}}, SPOT, same)
    assert filled is not None
    assert under_way is not None
    assert ended is not None

    assert (filled.status, filled.filled, filled.type) == (OrderStatus.FILLED, D(2), OrderType.STOP)
    assert under_way.status is OrderStatus.NEW
    assert ended.status is OrderStatus.CANCELED
    assert (became_of(stop), became_of(ORDER)) == ("9", "")


def test_an_execution_is_read_exactly() -> None:
    """Price, amount, fee and its coin, maker or taker; contracts become coins."""
    told, swap = fill_of(TRADE, "mine", SPOT, NOW), fill_of({**TRADE, "amount": 3}, "mine", SWAP, NOW)
    assert told is not None
    assert swap is not None
    fill = told.fill

    assert (fill.fill_id, fill.price, fill.amount, fill.ts) == ("t1", D("100.10"), D("0.30"), 1_700_000_000_001)
    assert (fill.fee, fill.fee_currency, fill.maker, told.order_id) == (D("0.03"), "USDT", True, "7")
    assert swap.fill.amount == D("0.03")


@pytest.mark.parametrize(
    ("fees", "fee"),
    [
        ({"fee": {"cost": 0, "currency": None}}, (D(0), "")),
        ({"fee": None, "fees": [{"cost": 1, "currency": "BNB"}, {"cost": "2", "currency": "BNB"}]}, (D(3), "BNB")),
        ({"fee": {"cost": -0.01, "currency": "USDT"}}, (D("-0.01"), "USDT")),
    ],
)
def test_fees_are_what_was_charged(fees: dict[str, Any], fee: tuple[Decimal, str]) -> None:
    """Several fees in one coin are summed, a rebate is negative, nothing needs no coin."""
    told = fill_of({**TRADE, **fees}, "mine", SPOT, NOW)
    assert told is not None

    assert (told.fill.fee, told.fill.fee_currency) == fee


IN_BASE, IN_QUOTE = (D("0.000300"), "BTC"), (D("0.03003000"), "USDT")


@pytest.mark.parametrize(
    ("changes", "fee"),
    [
        ({"fee": None}, IN_BASE),
        ({"fee": "free", "fees": "none"}, IN_BASE),
        ({"fee": None, "side": "sell"}, IN_QUOTE),
        ({"fee": None, "takerOrMaker": None}, (D("0.000600"), "BTC")),
        ({"fee": {"cost": "0.03", "currency": None}, "side": "buy"}, IN_BASE),
        ({"fee": {"cost": "0.03", "currency": ""}, "side": "sell"}, IN_QUOTE),
        ({"fee": {"cost": "NaN", "currency": "USDT"}, "side": "buy"}, IN_QUOTE),
        ({"fee": {"cost": None, "currency": "BTC"}, "side": "sell"}, IN_BASE),
        ({"fee": {"cost": None, "currency": "BNB"}, "side": "buy"}, IN_QUOTE),
        ({"fee": None, "fees": [{"cost": 1, "currency": "BNB"}, {"cost": None, "currency": "BNB"}]}, IN_QUOTE),
    ],
)
def test_a_fee_that_is_not_told_whole_is_the_markets(changes: dict[str, Any], fee: tuple[Decimal, str]) -> None:
    """A taker's or a maker's rate; of what may be bought in the bought coin, so that no more counts as held than there is."""
    market = replace(SPOT, maker_fee=D("0.001"), taker_fee=D("0.002"))
    told = fill_of({**TRADE, **changes}, "mine", market, NOW)
    assert told is not None

    assert (told.fill.fee, told.fill.fee_currency) == fee


def test_a_contracts_fee_that_is_not_told_is_in_the_quote_coin() -> None:
    """Nothing of what is bought is taken there; the amount is coins, not contracts."""
    told = fill_of({**TRADE, "amount": 3, "fee": None, "side": "buy"}, "mine", SWAP, NOW)
    assert told is not None

    assert (told.fill.fee, told.fill.fee_currency) == (D("0.003003"), "USDT")


@pytest.mark.parametrize("field", ["id", "price", "amount"])
@pytest.mark.parametrize("value", [None, "", [], {"x": 1}, True, "9" * 500])
def test_an_execution_without_its_facts_is_none(field: str, value: Any) -> None:
    """Without an id, a price or an amount nothing is booked: it is read again."""
    assert fill_of({**TRADE, field: value}, "mine", SPOT, NOW) is None


@pytest.mark.parametrize("field", ["price", "amount"])
@pytest.mark.parametrize("value", ["NaN", float("nan"), float("inf"), "-Infinity", -1, "1e400", "1e-400", 0])
def test_what_is_no_amount_is_not_booked(field: str, value: Any) -> None:
    """Not a number, infinite, negative, nothing or beyond all measure: no money is made of it."""
    assert fill_of({**TRADE, field: value}, "mine", SPOT, NOW) is None


@pytest.mark.parametrize("value", [None, "", "NaN", -5, NOW + 3_600_000, "9" * 40])
def test_an_execution_without_a_time_happened_now(value: Any) -> None:
    """It is money all the same; one that is dated ahead would keep all later ones from being read."""
    told = fill_of({**TRADE, "timestamp": value}, "mine", SPOT, NOW)
    assert told is not None

    assert (told.fill.ts, told.fill.amount) == (NOW, D("0.30"))


def test_a_done_order_without_its_amount_goes_on() -> None:
    """Closed, and nothing said of what it has filled: it is asked about again, not taken for one that filled nothing."""
    for unsaid in (None, "", "NaN", float("nan")):
        told = order_of({**ORDER, "status": "closed", "filled": unsaid}, SPOT, same)
        assert told is not None
        assert told.status is OrderStatus.NEW
    ended = order_of({**ORDER, "status": "canceled", "filled": None}, SPOT, same)
    assert ended is not None
    assert ended.status is OrderStatus.CANCELED


@pytest.mark.parametrize(
    "info", [{"status": "FILLED"}, {"X": "FILLED"}, {"orderStatus": "Filled"}, {"state": "filled"}]
)
def test_what_the_exchange_calls_filled_is_not_taken_for_nothing(info: dict[str, Any]) -> None:
    """Ccxt makes 0 of a filled amount that is missing: the exchange's own word counts, and its executions are read."""
    told = order_of({**ORDER, "status": "closed", "filled": 0, "info": info}, SPOT, same)
    ended = order_of({**ORDER, "status": "closed", "filled": 0, "info": {"status": "cancelled"}}, SPOT, same)
    assert told is not None
    assert ended is not None

    assert (told.status, told.filled) == (OrderStatus.FILLED, told.amount)
    assert (ended.status, ended.filled) == (OrderStatus.EXPIRED, D(0))


def test_the_order_that_okxs_stop_has_become_says_itself_how_it_ended() -> None:
    """It comes under the stop's id; cancelled by the exchange after a part, it must not be waited for for ever."""
    info = {"algoId": "5", "ordId": "9", "accFillSz": "1", "algoClOrdId": "mine"}
    child = {**ORDER, "id": "5", "clientOrderId": None, "status": "canceled", "filled": 1, "info": info}
    told = order_of(child, SPOT, same)
    assert told is not None

    assert (told.status, told.filled, told.client_order_id) == (OrderStatus.CANCELED, D(1), "mine")
    assert became_of(child) == "9"


def test_a_client_id_is_found_where_an_exchange_writes_it() -> None:
    """Beside an execution, or beside a stop, under the exchange's own name for it."""
    for name in ("clOrdId", "algoClOrdId", "orderLinkId", "text", "clientOrderId", "cl_ord_id"):
        assert client_id_of({"clientOrderId": None, "info": {"other": 1, name: "mine"}}) == "mine"
    assert client_id_of({"clientOrderId": "mine", "info": {"text": "api"}}) == "mine"
    assert client_id_of({"info": ["mine"]}) == ""


def test_balances_are_what_there_is() -> None:
    """Coins with nothing are left out; a futures wallet does not move with the mark price; odd answers are empty."""
    told = {
        "info": {"assets": [{"asset": "USDT", "walletBalance": "900.5"}, {"asset": None}, 7]},
        "USDT": {"free": "700", "used": 200, "total": 1000.25},
        "BTC": {"free": None, "used": None, "total": 0.5},
        "ETH": {"free": 0, "used": 0, "total": 0},
        "timestamp": 5,
    }

    assert balances_of(told, futures=False) == (("BTC", D(0), D("0.5")), ("USDT", D(700), D("300.25")))
    assert balances_of(told, futures=True)[1] == ("USDT", D(700), D("200.5"))
    assert balances_of(None, futures=False) == balances_of([], futures=True) == ()


def test_positions_and_funding_are_read_or_not() -> None:
    """A short is negative, contracts are coins; what says nothing is None."""
    assert position_of({"contracts": 3, "side": "short"}, SWAP) == D("-0.03")
    assert position_of({"contracts": "3", "side": "long"}, SWAP) == D("0.03")
    assert position_of({"contracts": None}, SWAP) is None
    assert position_of([], SWAP) is None
    assert position_of({"contracts": 3, "side": None}, SWAP) is None  # long or short: nobody may guess
    assert position_of({"contracts": 0, "side": None}, SWAP) == 0
    paid = payment_of({"id": 5, "amount": -0.25, "timestamp": 9, "code": "USDT"}, SWAP.pair)
    assert paid is not None
    assert (paid.payment_id, paid.received, paid.currency) == ("5", D("-0.25"), "USDT")
    assert payment_of({"id": 5, "amount": None, "timestamp": 9}, SWAP.pair) is None


@pytest.mark.parametrize("amount", [0.1, -0.1, None])
@pytest.mark.parametrize(("fee", "received"), [("0.1", D("-0.1")), ("-0.1", D("0.1")), ("", None)])
def test_funding_on_bybit_is_what_its_fee_says(fee: str, received: Decimal | None, amount: float | None) -> None:
    """There a fee that is above nothing was paid, whichever way round ccxt tells it."""
    info = {"execType": "Funding", "execFee": fee}
    paid = payment_of({"id": "8d1e", "amount": amount, "timestamp": 9, "info": info}, SWAP.pair)

    assert (None if paid is None else paid.received) == received


def test_funding_without_an_id_is_known_by_its_pair_and_time() -> None:
    """Gate gives none: one payment has one name whenever it is read, and two pairs' of one moment have two."""
    told = {"id": None, "amount": -0.5, "timestamp": 9.0}
    names = [paid.payment_id for pair in ("A/USDT:USDT", "B/USDT:USDT") if (paid := payment_of(told, pair)) is not None]

    assert names == ["A/USDT:USDT 9", "B/USDT:USDT 9"]
    assert payment_of(told, "") is None


def test_lists_and_words() -> None:
    """Only a list has rows; only known words are known statuses."""
    assert [rows(value) for value in ([1], (2,), "text", None, {"a": 1})] == [[1], (2,), (), (), ()]
    assert [is_known_status(word) for word in ("open", "CLOSED", None, "HALF_DONE")] == [True, True, False, False]


@pytest.mark.parametrize(("info", "is_taken"), [({"x": "TRADE", "t": 5}, True), ({"x": "TRADE", "a": "0"}, False)])
def test_an_execution_without_its_own_id_is_left_to_the_lists(info: dict[str, Any], is_taken: bool) -> None:
    """Binance's event without `t`: ccxt takes another number for the id, and the list would tell it a second time."""
    told = fill_of({**TRADE, "info": info}, "mine", SPOT, NOW)

    assert is_taken == (told is not None)
