"""Ten exchanges' answers, written by hand after their documentation, through ccxt's own classes into our reading."""

from __future__ import annotations

from typing import Any

import pytest

from actors.venues.capabilities import exchanges
from tests.answers.fixtures import OURS, Entry, entries
from tests.answers.playing import READINGS, Played, instance, play
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
