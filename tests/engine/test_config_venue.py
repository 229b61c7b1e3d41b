"""The safety switches of live trading: each must be set, and what must not be in a configuration is refused unseen."""

from __future__ import annotations

import tomllib
from decimal import Decimal

import pytest

from engine.config import make_settings, parse_config
from engine.errors import ConfigError, Problem
from engine.settings import Config
from engine.strategy import StrategyFacts

LIVE = """
mode = "live"
[exchange]
name = "binance"
[live]
exchange = "binance"
largest_stake = 50
[trading]
stake_amount = 20
"""
FUTURES = LIVE.replace('name = "binance"', 'name = "binance"\nmarket = "futures"')


def problems(text: str) -> dict[str, Problem]:
    """The refusals of a TOML text, by key."""
    try:
        parse_config(tomllib.loads(text, parse_float=Decimal))
    except ConfigError as error:
        return {p.key: p for p in error.problems}
    return {}


def test_a_whole_confirmation_is_taken() -> None:
    """Mode, exchange, the same name again and the largest stake: with all four live trading is on."""
    assert {} == problems(LIVE)
    assert {} == problems(FUTURES + 'pairs = ["BTC/USDT:USDT"]\nleverage = 5')


def test_paper_needs_no_confirmation() -> None:
    """From paper to live only the mode and the confirmation change: with another mode the rest is taken as it is."""
    assert {} == problems(LIVE.replace('mode = "live"', 'mode = "paper"'))
    assert {} == problems('[exchange]\nname = "binance"')


def test_nothing_confirmed_is_refused_all_at_once() -> None:
    """Each switch that is missing is named, with what to write."""
    found = problems('mode = "live"\n[exchange]\nname = "binance"')

    assert ["live.exchange", "live.largest_stake"] == list(found)
    assert 'exchange = "binance"' in found["live.exchange"].cure
    assert "USDT" in found["live.largest_stake"].cure


@pytest.mark.parametrize(
    ("before", "after", "key", "why"),
    [
        ('exchange = "binance"', 'exchange = "bybit"', "live.exchange", "nothing here confirms"),
        ("stake_amount = 20", "stake_amount = 60", "trading.stake_amount", "largest_stake is 50"),
        ("largest_stake = 50", "largest_stake = 0", "live.largest_stake", "above 0"),
        ("stake_amount = 20", 'pairs = ["BTC/USDT:USDT"]', "trading.pairs", "spot market"),
        ("stake_amount = 20", "leverage = 3", "trading.leverage", "spot market"),
        ('name = "binance"', 'name = "paper"', "exchange.name", "real exchange"),
        ('mode = "live"', 'mode = "paper"\nfeed.source = "files"\nfeed.data = "x"', "feed.source", "are those of"),
        ('mode = "live"', 'mode = "paper"\nfeed.speed = 60', "feed.speed", "the world's own speed"),
        ('name = "binance"', 'name = "Binance"', "exchange.name", "small letters"),
        ('name = "binance"', 'name = "binance"\noptions = {verbose = true}', "exchange.options.verbose", "keys"),
        ('name = "binance"', 'name = "binance"\nmarket = "margin"', "exchange.market", "futures"),
    ],
)
def test_each_mistake_is_named(before: str, after: str, key: str, why: str) -> None:
    """What does not fit together is refused with its key, why, and what would do."""
    problem = problems(LIVE.replace(before, after, 1))[key]

    assert why in problem.why
    assert problem.cure


@pytest.mark.parametrize(("said", "rests"), [("", True), ("\n[live]\nstops_on_exchange = false", False)])
def test_a_live_position_has_its_stop_at_the_exchange(said: str, rests: bool) -> None:
    """Whatever the strategy's order types say, live positions are guarded at the exchange, unless the user says no."""
    text = LIVE.replace("[live]", f"{said}\n" if said else "[live]", 1)
    config = parse_config(tomllib.loads(text, parse_float=Decimal))
    facts = StrategyFacts(name="Any", timeframe="1m", startup_candles=0, settings={"order_types": {}})

    assert make_settings(config, facts).stop_on_venue is rests
    assert not make_settings(Config(), facts).stop_on_venue


def test_futures_are_written_with_their_coin() -> None:
    """A spot pair on a futures market is refused with the name it has there."""
    assert "BTC/USDT:USDT" in problems(FUTURES + 'pairs = ["BTC/USDT"]')["trading.pairs"].cure


@pytest.mark.parametrize("name", ["apiKey", "api_key", "secret", "password", "uid", "privateKey", "walletAddress"])
def test_keys_in_the_configuration_are_refused_unseen(name: str) -> None:
    """A key among the options is refused, and no part of it is in the refusal."""
    found = problems(LIVE.replace('name = "binance"', f'name = "binance"\noptions = {{{name} = "hushhush"}}', 1))

    assert "environment" in str(found) or "TRADEPIT_KEY" in found[f"exchange.options.{name}"].cure
    assert "hushhush" not in str(found)


def test_a_paper_wallet_holds_a_stake_at_least() -> None:
    """What no entry could be paid from is told before anything begins."""
    found = problems(
        '[exchange]\nname = "binance"\n[paper]\nwallet = 10\n[trading]\nstake_amount = 20\npairs = ["BTC/USDT"]'
    )

    assert ["paper.wallet"] == list(found)
    assert "an entry takes 20" in found["paper.wallet"].why
