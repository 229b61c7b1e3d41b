"""The account of the exchange in which a bot's trades were made is kept, and no other is taken for it while it holds something."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from actors.files import Files
from actors.journal import FileJournal
from actors.opening import open_journal
from actors.whose_trades import place_of_trades
from engine.errors import ConfigError
from engine.settings import Config, ExchangeConfig
from tests.actors.test_review_left_pairs import keep

HELD = ("signal enter_long 100", "granted 1000", "filled i1 10 @ 100")
BEFORE = ExchangeConfig(name="binance", options={"sandbox": True})


def live(exchange: ExchangeConfig) -> Config:
    """A live configuration on that exchange."""
    return Config(mode="live", exchange=exchange)


@pytest.fixture
def journal(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[FileJournal]:
    """The journal of a bot on `BEFORE`'s account 7; ETH/USDT as the parameter's rows leave it."""
    keep(tmp_path, "ETH/USDT", *getattr(request, "param", HELD))
    opened = open_journal(Files.beside(tmp_path / "x.duckdb"), now=0).journal
    record = place_of_trades(live(BEFORE), "7", opened)
    assert record is not None
    opened.append([record])
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("exchange", "uid", "says"),
    [
        (replace(BEFORE, name="kraken"), "", "this is kraken, and the bot holds 10 of ETH/USDT"),
        (replace(BEFORE, market="futures"), "7", "this is futures, and the bot holds 10 of ETH/USDT"),
        (replace(BEFORE, options={}), "7", "this is the exchange's real network, and the bot holds 10 of ETH/USDT"),
        (BEFORE, "8", "this is another account of the exchange, and the bot holds 10 of ETH/USDT"),
    ],
    ids=["exchange", "market", "network", "account"],
)
def test_what_is_held_is_not_looked_for_elsewhere(
    journal: FileJournal, exchange: ExchangeConfig, uid: str, says: str
) -> None:
    """Another exchange, market, network or account is refused with a sentence: its coins are not the bot's."""
    with pytest.raises(ConfigError, match=says):
        place_of_trades(live(exchange), uid, journal)


@pytest.mark.parametrize("uid", ["7", ""])
def test_the_same_place_is_no_news(journal: FileJournal, uid: str) -> None:
    """Nothing is recorded again, nor forgotten because the exchange does not tell the account's number this time."""
    assert place_of_trades(live(BEFORE), uid, journal) is None


@pytest.mark.parametrize("journal", [("signal exit_long 100",)], indirect=True)
def test_a_bot_that_holds_nothing_may_go_elsewhere(journal: FileJournal) -> None:
    """The new place is kept instead, without what the old one's account was."""
    record = place_of_trades(live(ExchangeConfig(name="kraken")), "", journal)

    assert record is not None
    assert {"exchange": "kraken", "market": "spot", "network": "real", "account": ""} == record.state


def test_on_paper_nothing_is_kept(journal: FileJournal) -> None:
    """There the coins are our own venue's, whatever exchange tells the prices."""
    assert place_of_trades(Config(exchange=ExchangeConfig(name="kraken")), "", journal) is None
