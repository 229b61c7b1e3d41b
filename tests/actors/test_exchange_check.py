"""`check` says what the configured exchange can do, and refuses what cannot be done there safely."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from actors.cli import main
from actors.commands.exchange_check import exchange_check
from actors.venues.capabilities import CannotTrade
from engine.errors import ConfigError
from engine.settings import Config, ExchangeConfig, Settings, TradingConfig

SETTINGS = Settings(timeframe_ms=60_000, stop_on_venue=True)


def on(name: str, market: str = "spot") -> Config:
    """A configuration for an exchange."""
    return Config(exchange=ExchangeConfig(name=name, market=market))


def test_the_simulated_exchange_needs_no_table() -> None:
    """On paper there is nothing to know of an exchange."""
    assert exchange_check(on("paper"), SETTINGS) is None


def test_it_says_how_it_goes_about_an_exchange() -> None:
    """Ids, look-ups, stops, streams and limits, a line each; what is done otherwise than asked is a note."""
    found = exchange_check(on("gate"), SETTINGS)

    assert found is not None
    text = "\n".join(found.lines)
    assert "packed into 22 characters after 't-'; orders are read and cancelled by them" in text
    assert "in doubt    asked about for 61 s" in text
    assert "10 orders_1s in any 1 s" in text
    assert "note        Gate (spot) takes no stops that we could find again" in text
    futures = exchange_check(on("binance", "futures"), SETTINGS)
    assert futures is not None
    assert futures.plain["stop"]["beside"] is True
    assert futures.plain["notes"] == []
    assert futures.plain["streams"]["watchOrders"] is True


def test_what_cannot_be_done_safely_is_refused() -> None:
    """An unknown exchange, a market whose orders could not be found again, an order type that is not there."""
    with pytest.raises(CannotTrade, match="nothing is known of its order ids"):
        exchange_check(on("bitmex"), SETTINGS)
    with pytest.raises(CannotTrade, match="MEXC, futures: not traded live, since"):
        exchange_check(on("mexc", "futures"), SETTINGS)
    short = replace(on("binance"), exchange=ExchangeConfig(name="binance", options={"options": {"recvWindow": "x"}}))
    with pytest.raises(ConfigError, match="recvWindow = 'x': it must be a whole number"):
        exchange_check(short, SETTINGS)
    with pytest.raises(ConfigError, match="Kraken has no such orders"):
        exchange_check(on("kraken"), replace(SETTINGS, exit_time_in_force="FOK"))


@pytest.mark.parametrize(("name", "title"), [("bybit", "Bybit"), ("gate", "Gate"), ("bitget", "Bitget")])
@pytest.mark.parametrize(("command", "mode"), [("check", "live"), ("run", "live"), ("run", "paper")])
def test_futures_that_no_list_would_tell_of_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, title: str, command: str, mode: str
) -> None:
    """A position settled in USDC would be taken for moved away, and lose its stop: it is refused, before any network."""
    live = f'[live]\nexchange = "{name}"\nlargest_stake = 100\n' if mode == "live" else ""
    file = tmp_path / "config.toml"
    file.write_text(
        f'mode = "{mode}"\n[trading]\nstake_currency = "USDC"\nstake_amount = 50\npairs = ["BTC/USDC:USDC"]\n'
        f'[exchange]\nname = "{name}"\nmarket = "futures"\n{live}[history]\ndb = "{tmp_path / "a.duckdb"}"\n',
        encoding="utf-8",
    )

    assert main([command, "-c", str(file), *(["--for", "1s"] if command == "run" else [])]) == 2
    told = capsys.readouterr().err
    assert (
        f'trading.stake_currency = "USDC": {title} lists the positions and open orders of futures settled in USDT'
        in told
    )
    assert 'Write "USDT", and pairs such as BTC/USDT:USDT' in told


def test_other_coins_are_traded_where_all_lists_tell_of_them() -> None:
    """Spot has no coin it is settled in, and OKX lists all positions at once: stakes in USDC stay what they were."""
    usdc = TradingConfig(stake_currency="USDC")
    for name, market in (("bybit", "spot"), ("okx", "futures"), ("binance", "futures"), ("kucoin", "futures")):
        assert exchange_check(replace(on(name, market), trading=usdc), SETTINGS) is not None


def test_check_prints_it_before_it_asks_the_exchange(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What needs no network is said first; that the keys are missing, or the exchange not known, ends it with an error."""
    monkeypatch.delenv("TRADEPIT_KEY", raising=False)
    file = tmp_path / "config.toml"
    text = (
        'mode = "live"\n[trading]\nstake_amount = 50\npairs = ["BTC/USDT"]\n'
        '[exchange]\nname = "{0}"\n[live]\nexchange = "{0}"\nlargest_stake = 100\n'
    )
    file.write_text(text.format("binance"), encoding="utf-8")
    assert main(["check", "--config", str(file)]) != 0
    told = capsys.readouterr()
    assert "What Binance (spot) can do" in told.out
    assert "is in order" not in told.out
    assert "TRADEPIT_KEY" in told.err

    file.write_text(text.format("bitmex"), encoding="utf-8")
    assert main(["check", "--config", str(file)]) != 0
    assert "nothing is known of its order ids" in capsys.readouterr().err
