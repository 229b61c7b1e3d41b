"""`tradepit check` on a real account: what is found, what would be done, and each mistake before any order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from actors.cli import main
from tests.exchange.client import Exchange
from tests.live.bots import KEYS, live_toml


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    """One exchange for all tests of this file."""
    with Exchange("--pairs", "3", "--still", "--funds", "USDT=1000") as server:
        yield server


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account's keys in the environment."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


def check(folder: Path, text: str) -> int:
    """Check a configuration; its status."""
    path = folder / "config.toml"
    path.write_text(text)
    return main(["check", "-c", str(path)])


def test_a_sound_account_is_described(exchange: Exchange, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what the account holds, what would be done, what the exchange can do; and no key."""
    status = check(tmp_path, live_toml(exchange, ["BTC/USDT", "ETH/USDT"]))
    told = capsys.readouterr().out

    assert 0 == status
    assert "venue       binance: real money, 120 USDT a trade at most" in told
    assert "balances    USDT 1000" in told
    assert "3 trades at once" not in told
    assert "5 trades at once on 2 pairs, 120 USDT each at most, on binance spot" in told
    assert "What Binance (spot) can do" in told


def test_a_program_can_read_it(exchange: Exchange, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json all of it is one object: the account in lines, the exchange as plain data."""
    path = tmp_path / "config.toml"
    path.write_text(live_toml(exchange, ["BTC/USDT"]))

    assert 0 == main(["check", "-c", str(path), "--json"])
    told = orjson.loads(capsys.readouterr().out)
    assert told["exchange"]["costs"]["fetch_order"]["weight_1m"] == 4
    assert told["pairs"] == ["BTC/USDT"]


def test_an_unknown_pair_is_refused(exchange: Exchange, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pair that the exchange does not trade is refused with the nearest that it does."""
    status = check(tmp_path, live_toml(exchange, ["BTC/USDT", "ETHX/USDT"]))
    told = capsys.readouterr().err

    assert 2 == status
    assert 'trading.pairs = "ETHX/USDT": binance spot does not trade it. Did you mean ETH/USDT?' in told


@pytest.mark.parametrize(
    ("timeframe", "why"),
    [("7m", "binance has no candles of 7m, which it wants. It has 1s, 1m, 3m"), ("1w", "longer than a day")],
)
def test_candles_that_cannot_be_had_are_refused(
    exchange: Exchange, tmp_path: Path, capsys: pytest.CaptureFixture[str], timeframe: str, why: str
) -> None:
    """A strategy's timeframe that the exchange does not tell, or that begins on no certain day, is refused."""
    text = live_toml(exchange, ["BTC/USDT"]) + f'\n[strategy.overrides]\ntimeframe = "{timeframe}"\n'
    status = check(tmp_path, text)
    told = capsys.readouterr().err

    assert 2 == status
    assert why in told


def test_wrong_keys_are_refused(
    exchange: Exchange, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence says whose fault it may be, and holds neither key nor secret."""
    monkeypatch.setenv("TRADEPIT_KEY", "AAAwrongAAA")
    status = check(tmp_path, live_toml(exchange, ["BTC/USDT"]))
    told = capsys.readouterr()

    assert 2 == status
    assert "the exchange refuses the keys" in told.err
    assert "AAAwrong" not in told.out + told.err


def test_an_outage_is_told_at_once(exchange: Exchange, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing answers, `check` does not wait: it says that and fails."""
    text = live_toml(exchange, ["BTC/USDT"]).replace(str(exchange.port), "1")
    status = check(tmp_path, text)

    assert status != 0
    assert "binance does not answer" in capsys.readouterr().err
