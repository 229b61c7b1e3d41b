"""Ten exchanges' answers, written by hand after their documentation, through ccxt's own classes into our reading."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actors.venues.capabilities import exchanges, unsure_codes
from actors.venues.live.failure import Exchanged, Failure, Verdict, failure_of
from tests.answers.fixtures import OURS, Entry, entries
from tests.answers.playing import NOW, READINGS, Played, instance, play
from tests.requests.recorder import capabilities, ccxt_market

ALL = [(name, entry) for name in exchanges() for entry in entries(OURS, "response", name)]


def made_for(entry: Entry) -> Any:
    """An instance for one answer, with Bitcoin's markets, spot and futures."""
    made = instance(entry.exchange, None, None, entry.options)
    markets = [ccxt_market(made, able) for able in capabilities() if able.exchange == entry.exchange]
    coins = {code: {"id": code, "code": code, "precision": 1e-8} for code in ("BTC", "USDT")}
    made.set_markets(markets, coins)
    return made


def played(entry: Entry) -> Played:
    """What comes of one answer."""
    into = Played()
    play(made_for(entry), entry, into)
    return into


@pytest.mark.parametrize(("name", "entry"), ALL, ids=[entry.title for _, entry in ALL])
def test_an_answer_is_read_as_it_was_meant(name: str, entry: Entry) -> None:
    """Ids, amounts, what has filled, fees and their coins, sides and sizes of positions: none is another."""
    into = played(entry)

    assert into.wrong == []
    assert not into.refused or entry.said["parsedResponse"] is None
    assert into.read or into.refused or entry.said["parsedResponse"] == []
    assert entry.method in READINGS
    assert name == entry.exchange


@pytest.mark.parametrize(
    ("name", "answer", "code", "same"),
    [
        ("bybit", {"retCode": 110043, "retMsg": "leverage not modified", "result": {}, "time": 1}, "REFUSED", True),
        ("mexc", {"msg": "Order does not exist.", "code": -2013}, "NOT_FOUND", False),
        ("kraken", {"error": ["EOrder:Unknown order"]}, "NOT_FOUND", False),
        ("gate", {"label": "ORDER_NOT_FOUND", "message": "Order not found"}, "NOT_FOUND", False),
        ("okx", {"code": "51603", "data": [], "msg": "Order does not exist"}, "NOT_FOUND", False),
        ("bitget", {"code": "43001", "msg": "The order does not exist", "data": None}, "NOT_FOUND", False),
        (
            "htx",
            {"status": "error", "err-code": "base-record-invalid", "err-msg": "record invalid"},
            "NOT_FOUND",
            False,
        ),
        ("okx", {"code": "50113", "data": [], "msg": "Invalid Sign"}, "REFUSED", False),
        ("gate", {"label": "INVALID_KEY", "message": "Invalid key provided"}, "REFUSED", False),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_refusal_says_what_it_is_about(name: str, answer: dict[str, Any], code: str, same: bool) -> None:
    """That there is no such order, or that it is so already, in each exchange's words; a bad key is neither."""
    made, written = instance(name, None, None, {}), json.dumps(answer)
    with pytest.raises(Exception) as raised:
        made.handle_errors(200, "OK", "https://x/api", "GET", {}, written, answer, {}, None)

    failure = failure_of(raised.value, Exchanged(written=True, status=200, told=answer), NOW)
    assert (failure.verdict, failure.code, failure.same) == (Verdict.REFUSED, code, same)


TROUBLES = [
    ("bybit", 200, {"retCode": 5004, "retMsg": "Server Timeout", "result": None, "time": 1}),
    ("bybit", 200, {"retCode": 10016, "retMsg": "System error. Please try again later.", "time": 1}),
    ("bybit", 200, {"retCode": 170001, "retMsg": "Internal error.", "time": 1}),
    ("bybit", 200, {"retCode": 170032, "retMsg": "Network error. Please try again later", "time": 1}),
    ("bybit", 200, {"retCode": 170035, "retMsg": "Submitted to the system for processing!", "time": 1}),
    ("bybit", 200, {"retCode": 170146, "retMsg": "Order creation timeout", "time": 1}),
    ("bybit", 200, {"retCode": 170234, "retMsg": "", "time": 1}),
    ("kucoin", 200, {"code": "408000", "msg": "Network timeout, please try again later"}),
    ("bitget", 200, {"code": "40015", "msg": "System is abnormal, please try again later", "data": None}),
    ("bitget", 200, {"status": "error", "err_code": "system exception", "err_msg": "system exception"}),
    ("mexc", 200, {"code": 500, "msg": "Internal error"}),
    ("okx", 200, {"code": "1", "msg": "", "data": [{"sCode": "63999", "sMsg": "Internal system error"}]}),
    ("coinbase", 500, {"error": "internal_server_error", "message": ""}),
    ("gate", 502, {"label": "INVALID_PARAM_VALUE", "message": "what a proxy has made of it"}),
]


def failure_behind(name: str, status: int, answer: dict[str, Any]) -> Failure:
    """What an exchange's answer to an order means, read by ccxt's own class."""
    made, written = instance(name, None, None, {}), json.dumps(answer)
    with pytest.raises(Exception) as raised:
        made.handle_errors(status, "", "https://x/api", "POST", {}, written, answer, {}, None)
    return failure_of(raised.value, Exchanged(written=True, status=status, told=answer), NOW, unsure_codes(name))


@pytest.mark.parametrize(("name", "status", "answer"), TROUBLES, ids=[f"{n} {a}"[:40] for n, _, a in TROUBLES])
def test_a_trouble_of_the_exchanges_own_leaves_an_order_in_doubt(
    name: str, status: int, answer: dict[str, Any]
) -> None:
    """A timeout or a system error behind which the order may stand is no refusal, whatever class ccxt gives it."""
    assert failure_behind(name, status, answer).verdict is Verdict.IN_DOUBT


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("bybit", {"retCode": 170131, "retMsg": "Balance insufficient, try again later", "time": 1}),
        ("bybit", {"retCode": 10002, "retMsg": "invalid request, please check your server timestamp", "time": 1}),
        ("bybit", {"retCode": 170136, "retMsg": "Order quantity lower than the minimum", "time": 5004}),
        ("binance", {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}),
        ("kucoin", {"code": "200004", "msg": "Balance insufficient!"}),
        ("mexc", {"code": 30005, "msg": "Oversold"}),
        ("coinbase", {"error": "PERMISSION_DENIED", "message": "UNKNOWN_FAILURE_REASON"}),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_sure_refusal_stays_one(name: str, answer: dict[str, Any]) -> None:
    """What the order, the account or our clock was refused for is not taken for a trouble by a word beside it."""
    assert failure_behind(name, 400, answer).verdict is Verdict.REFUSED
