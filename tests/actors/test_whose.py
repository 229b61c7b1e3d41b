"""Whose account a key leads to: the number in each exchange's answer, and none in what is no answer."""

from __future__ import annotations

from typing import Any

import ccxt
import pytest

from actors.venues.ccxt import Connection
from actors.venues.live.whose import NUMBERS, number_in, number_of
from engine.errors import Outage
from engine.settings import ExchangeConfig
from tests.exchange.client import Exchange

TOLD: dict[str, tuple[Any, str]] = {
    "bybit": ({"retCode": 0, "result": {"id": "13770661", "userID": 24617703}}, "24617703"),
    "okx": ({"code": "0", "data": [{"uid": "44705892343619584", "mainUid": "1"}]}, "44705892343619584"),
    "kucoin": ({"code": "200000", "data": {"uid": 165111215, "isMaster": False, "subName": "two"}}, "165111215/two"),
    "gate": ({"user_id": 1667201533, "tier": 2}, "1667201533"),
    "bitget": ({"code": "00000", "data": {"userId": "7264631750", "parentId": 1}}, "7264631750"),
    "htx": ({"code": 200, "data": 63628520}, "63628520"),
    "mexc": ({"uid": "209302839"}, "209302839"),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_the_number_is_where_the_exchange_writes_it(name: str) -> None:
    """Ccxt has the method, the answer's number is read, and what says nothing, or something else, has none."""
    method, places = NUMBERS[name]
    told, number = TOLD[name]

    assert hasattr(getattr(ccxt, name)(), method)
    assert number_in(told, places) == number
    for odd in (None, [], {}, "text", {"data": []}, {"data": None}, {"result": {"userID": None}}, {"uid": {}}):
        assert number_in(odd, places) == ""


def test_two_keys_of_one_account_have_one_number() -> None:
    """Bybit tells the user behind a key: the same for two keys of his, another for another's."""
    with Exchange("--pairs", "1", "--still", name="bybit") as exchange:
        for key, owner in (("first", "one"), ("second", "one"), ("third", "two")):
            exchange.control("user", key=key, secret="secret", name=owner, funds={})
        options = {name: value for name, value in exchange.options().items() if name in ("urls", "options", "hostname")}
        numbers = []
        for key in ("first", "second", "third"):
            connection = Connection(
                ExchangeConfig(name="bybit", options=options), keys={"apiKey": key, "secret": "secret"}
            )
            connection.start()
            numbers.append(connection.spawn(number_of(connection)).result(60))
            connection.close()

    assert numbers[0] == numbers[1] != numbers[2]
    assert "" not in numbers


def test_an_account_whose_number_is_not_answered_is_waited_for() -> None:
    """Without an answer two keys of one account would be taken for two accounts: only a refusal is no number."""
    with Exchange("--pairs", "1", "--still", name="bybit") as exchange:
        options = {name: value for name, value in exchange.options().items() if name in ("urls", "options", "hostname")}
    connection = Connection(ExchangeConfig(name="bybit", options=options), keys={"apiKey": "key", "secret": "secret"})
    connection.start()
    try:
        with pytest.raises(Outage, match="whose account it is"):
            connection.spawn(number_of(connection)).result(60)
    finally:
        connection.close()
