"""What is found of an account before anything is sent: each thing in the way is one sentence, and nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from actors.venues.ccxt import Connection
from actors.venues.live.examining import Account, described, examine
from engine.errors import ConfigError, Outage
from engine.settings import Config, ExchangeConfig, LiveConfig, TradingConfig
from tests.exchange.client import Exchange

PAIRS = ("BTC/USDT", "ETH/USDT")


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    """One exchange for all tests of this file; each makes a user of its own."""
    with Exchange("--pairs", "3", "--still", "--funds", "USDT=1000,BNB=1") as server:
        yield server


def config_of(exchange: Exchange, **more: Any) -> Config:
    """A live configuration for the local exchange."""
    options = {k: v for k, v in exchange.options().items() if k in ("urls", "options")}
    return Config(
        mode="live",
        trading=TradingConfig(pairs=PAIRS, stake_amount=Decimal(50)),
        exchange=ExchangeConfig(name="binance", options=options),
        live=LiveConfig(exchange="binance", largest_stake=Decimal(100)),
        **more,
    )


def look(
    exchange: Exchange, key: str, config: Config | None = None, *, secret: str = "secret", strict: bool = True
) -> Account:
    """Connect with this key and look."""
    config = config or config_of(exchange)
    connection = Connection(config.exchange, keys={"apiKey": key, "secret": secret})
    connection.start()
    try:
        connection.spawn(connection.load()).result()
        return connection.spawn(examine(connection, config, PAIRS, strict=strict)).result()
    finally:
        connection.close()


def user(exchange: Exchange, name: str, **more: Any) -> str:
    """A new user's key."""
    exchange.control("user", key=f"key-{name}", secret="secret", name=name, **more)
    return f"key-{name}"


def test_a_sound_account_has_no_problem(exchange: Exchange) -> None:
    """Balances, foreign orders and what would be done are told; the user's orders are called theirs."""
    name = user(exchange, "sound", funds={"USDT": "500", "BNB": "2"})
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.001", "price": "50000"}
    exchange.control("order", account="sound", params={**order, "timeInForce": "GTC"})
    found = look(exchange, name)
    text = "\n".join(described(found, config_of(exchange), PAIRS, "ABCDEF"))

    assert [] == found.problems
    assert (Decimal(450), Decimal(2)) == (found.free("USDT"), found.free("BNB"))
    assert "USDT 450 (+ 50 locked)" in text
    assert "BTC/USDT: buy 0.001 limit at 50000, yours: it is left alone" in text
    assert "10 trades at once on 2 pairs, 100 USDT each at most, on binance spot" in text
    assert "another Tradepit" not in text


def test_a_second_bot_is_warned_of(exchange: Exchange) -> None:
    """Orders of another installation are called what they are; a stop is told as one, at its trigger."""
    name = user(exchange, "second", funds={"USDT": "500", "BTC": "1"})
    order = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_LOSS", "quantity": "0.001", "stopPrice": "50000"}
    exchange.control("order", account="second", params={**order, "newClientOrderId": "tpabcdefr1p0000beeft1i2"})
    text = "\n".join(described(look(exchange, name), config_of(exchange), PAIRS, "ABCDEF"))

    assert "BTC/USDT: sell 0.001 stop at 50000" in text
    assert "WARNING: another Tradepit has orders in this account" in text


def test_wrong_keys_are_one_sentence(exchange: Exchange) -> None:
    """A key that the exchange does not know, or a wrong secret, ends the look with what to do, and is not repeated."""
    for key, secret in (("nobody-knows-me", "secret"), (user(exchange, "mine"), "hushhush")):
        with pytest.raises(ConfigError, match="the exchange refuses the keys") as caught:
            look(exchange, key, secret=secret)
        assert key not in str(caught.value)
        assert secret not in str(caught.value)


def test_keys_without_permission_are_refused(exchange: Exchange) -> None:
    """Keys that may not trade are a problem; keys that may withdraw are warned of."""
    found = look(exchange, user(exchange, "reader", funds={"USDT": "500"}, can_trade=False, can_withdraw=True))

    assert ["the keys may not trade spot there"] == [p.why for p in found.problems]
    assert any("WARNING: the keys may withdraw money" in note for note in found.notes)


def test_an_empty_account_is_called_so(exchange: Exchange) -> None:
    """An account in which the exchange names no coin at all is refused on a first run in words of its own; later it is a note."""
    name = user(exchange, "empty", funds={})
    found = look(exchange, name)
    later = look(exchange, name, strict=False)

    assert () == found.balances
    assert [
        "the exchange names no coin in the account: it is empty, or the answer says nothing. An entry takes 50 USDT"
    ] == [problem.why for problem in found.problems]
    assert any(note.startswith("the exchange names no coin in the account") for note in later.notes)


def test_missing_money_is_a_problem_at_first(exchange: Exchange) -> None:
    """An account that cannot pay an entry is refused on its first run; later it is a note, since money may be in trades."""
    name = user(exchange, "poor", funds={"USDT": "20"})

    assert "the account has 20" in look(exchange, name).problems[0].why
    later = look(exchange, name, strict=False)
    assert [] == later.problems
    assert any("no entries until there is more" in note for note in later.notes)


def test_a_halted_pair_is_told(exchange: Exchange) -> None:
    """A pair that is halted now is a note: it may go on, and the others trade."""
    name = user(exchange, "halted", funds={"USDT": "500"})
    exchange.control("pair", symbol="ETHUSDT", status="HALT")
    found = look(exchange, name)
    exchange.control("pair", symbol="ETHUSDT", status="TRADING")

    assert [] == found.problems
    assert any("ETH/USDT: halted" in note for note in found.notes)


def test_a_wrong_clock_is_told_and_gone_around(exchange: Exchange) -> None:
    """With a clock half a minute off the account is read all the same, and the difference is said."""
    name = user(exchange, "skewed", funds={"USDT": "500"})
    exchange.control("clock", skew_ms=30_000)
    found = look(exchange, name)
    exchange.control("clock", skew_ms=0)

    assert [] == found.problems
    assert any("s behind the exchange's" in note for note in found.notes)


@pytest.mark.parametrize("kind", ["unavailable", "cut", "too_many", "reset_before"])
def test_an_exchange_that_does_not_answer_is_an_outage(exchange: Exchange, kind: str) -> None:
    """What is no answer is nobody's mistake: it is waited for, not refused."""
    name = user(exchange, f"out-{kind}", funds={"USDT": "500"})
    fault = exchange.control("fault", kind=kind, endpoint="GET /api/v3/account", probability=1)
    try:
        with pytest.raises(Outage, match=r"^binance does not answer"):
            look(exchange, name)
    finally:
        exchange.control("clear", id=fault["id"])


def test_leverage_beyond_the_market_is_a_problem(exchange: Exchange) -> None:
    """Leverage that a market does not allow is refused with the most there may be."""
    config = config_of(exchange)
    config = replace(config, trading=replace(config.trading, leverage=Decimal(50)))
    account = Account()
    from actors.venues.live import examining
    from engine.market import Market

    market = Market(
        pair="BTC/USDT:USDT",
        base="BTC",
        quote="USDT",
        price_step=Decimal("0.1"),
        amount_step=Decimal("0.001"),
        leverage_max=Decimal(20),
    )
    examining._check_markets({market.pair: market}, config, [market.pair], account)

    assert ["trading.leverage = 50: BTC/USDT:USDT may have 20 at most. Write 20, or leave them out"] == [
        str(p) for p in account.problems
    ]
