"""What a user may get wrong before a live start: one sentence each, by `check` and by `run`, and nothing is sent."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from actors.cli import main
from tests.exchange.client import Exchange
from tests.live.bots import KEYS, live_toml

COMMANDS: Final = (["check"], ["run", "--no-screen", "--for", "90s"])
SHORT: Final = (["check"], ["run", "--no-screen", "--for", "5s"])
"""As `COMMANDS`, for what `run` waits for."""


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    """One exchange, spot and futures, for all tests of this file; nobody may have ordered anything at its end."""
    with Exchange("--pairs", "3", "--still", "--funds", "USDT=1000", futures=True) as server:
        server.control("user", key="reader", secret="secret", name="reader", funds={"USDT": 500}, can_trade=False)
        server.control("user", key="poor", secret="secret", name="poor", funds={"USDT": 20})
        server.control("user", key="spot", secret="secret", name="spot", funds={"USDT": 500}, can_futures=False)
        server.control("user", key="hedger", secret="secret", name="hedger", funds={"USDT": 500})
        server.control("modes", account="hedger", hedged=True)
        yield server
        asked = server.control("requests")
        assert [] == [r for market in ("spot", "futures") for r in asked[market] if "POST" in str(r)]


@dataclass(frozen=True)
class Case:
    """What is wrong: `text` changes the configuration, `env` the keys, `skew_ms` the exchange's clock.

    `says` is in the sentence, `also` in another one.
    """

    says: str
    env: Mapping[str, str] = field(default_factory=dict)
    text: Callable[[str], str] = str
    futures: bool = False
    skew_ms: int = 0
    also: str = ""


def put(old: str, new: str) -> Callable[[str], str]:
    """The configuration with something else in it."""

    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


def option(line: str) -> Callable[[str], str]:
    """The configuration with one more option for ccxt."""
    return put("options = {", f"options = {{ {line},")


CASES: Final = {
    "a key that nobody knows": Case("the exchange refuses the keys", {"TRADEPIT_KEY": "no-such-key"}),
    "a wrong secret": Case("the exchange refuses the keys", {"TRADEPIT_SECRET": "no-such-secret"}),
    "no secret": Case("the environment has no secret for binance. Set TRADEPIT_SECRET", {"TRADEPIT_SECRET": ""}),
    "keys that may not trade": Case("the keys may not trade spot there", {"TRADEPIT_KEY": "reader"}),
    "keys for spot only": Case("the exchange refuses the keys", {"TRADEPIT_KEY": "spot"}, futures=True),
    "keys that may not trade futures": Case(
        "the keys may not trade futures there", {"TRADEPIT_KEY": "reader"}, futures=True
    ),
    "keys in the configuration": Case(
        "exchange.key = ***", text=put("[exchange]", '[exchange]\nkey = "no-such-key"\nsecret = "no-such-secret"')
    ),
    "keys in the options": Case("exchange.options.apiKey = ***", text=option('"apiKey" = "no-such-key"')),
    "a clock an hour behind": Case("3600.0 s behind the exchange's. Set the machine's time", skew_ms=3_600_000),
    "a clock an hour ahead": Case("3600.0 s ahead of the exchange's. Set the machine's time", skew_ms=-3_600_000),
    "an unknown pair": Case("Did you mean ETH/USDT?", text=put('"ETH/USDT"', '"ETHX/USDT"')),
    "an unknown pair and wrong keys": Case(
        "Did you mean ETH/USDT?",
        {"TRADEPIT_KEY": "no-such-key"},
        put('"ETH/USDT"', '"ETHX/USDT"'),
        also="refuses the keys",
    ),
    "too much leverage": Case("may have 50 at most", text=put("[trading]", "[trading]\nleverage = 100"), futures=True),
    "hedge mode": Case("Turn the exchange's position mode to one-way", {"TRADEPIT_KEY": "hedger"}, futures=True),
    "too little money": Case("the account has 20 USDT free, and an entry takes 50", {"TRADEPIT_KEY": "poor"}),
    "no confirmation": Case('Write exchange = "binance"', text=put('[live]\nexchange = "binance"', "[live]")),
    "another exchange confirmed": Case(
        'live.exchange = "kraken"', text=put('[live]\nexchange = "binance"', '[live]\nexchange = "kraken"')
    ),
    "no largest stake": Case("Write largest_stake = ", text=put("largest_stake = 120", "")),
    "a stake above the largest": Case(
        "live.largest_stake is 20", text=put("largest_stake = 120", "largest_stake = 20")
    ),
    "an exchange that is not known": Case('"bitstamp": nothing is known', text=put('"binance"', '"bitstamp"')),
    "a market that is not traded": Case(
        "Kraken, futures: not traded live", text=put('"binance"', '"kraken"'), futures=True
    ),
    "an option that ccxt has not": Case("Did you mean timeout?", text=option('"timeot" = 5000')),
    "an option of the wrong kind": Case("options.timeout: it must be a number", text=option('"timeout" = "soon"')),
}


def attempt(command: list[str], folder: Path, text: str) -> int:
    """The command's status on a configuration."""
    path = folder / "config.toml"
    path.write_text(text + f'\n[history]\ndb = "{folder / "x.duckdb"}"\n', encoding="utf-8")
    return main([*command, "-c", str(path)])


def configured(exchange: Exchange, *, futures: bool = False) -> str:
    """A sound configuration of two pairs."""
    exchange.futures = futures
    return live_toml(exchange, [f"{coin}/USDT{':USDT' if futures else ''}" for coin in ("BTC", "ETH")])


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_mistake_is_one_sentence_before_any_order(
    exchange: Exchange,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    case: Case,
    command: list[str],
) -> None:
    """Status 2 and the sentence that says what to do, from both commands; no secret in it, no traceback, no journal."""
    for name, value in {**KEYS, **case.env}.items():
        monkeypatch.setenv(name, value)
    exchange.control("clock", skew_ms=case.skew_ms)
    try:
        status = attempt(command, tmp_path, case.text(configured(exchange, futures=case.futures)))
    finally:
        exchange.control("clock", skew_ms=0)
    told = capsys.readouterr()

    assert 2 == status
    assert case.says in told.err
    assert case.also in told.err
    assert "no-such-" not in told.out + told.err
    assert "Traceback" not in told.err
    assert not (tmp_path / "x.duckdb.journal").exists()
    assert [] == [path for path in tmp_path.iterdir() if "journal" in path.name]


@pytest.mark.parametrize("skew_ms", [2_000, -2_000, 30_000, -30_000])
def test_a_clock_that_is_a_little_off_is_gone_around(
    exchange: Exchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skew_ms: int
) -> None:
    """Half a minute in either direction is no reason to refuse: requests are stamped with the exchange's time."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    exchange.control("clock", skew_ms=skew_ms)
    try:
        assert 0 == attempt(["check"], tmp_path, configured(exchange))
    finally:
        exchange.control("clock", skew_ms=0)


class Page(http.server.BaseHTTPRequestHandler):
    """A web server that is no exchange: one page for everything."""

    def do_GET(self) -> None:
        body = b"<html><h1>It works</h1></html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def page() -> Iterator[int]:
    """The port of such a server."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


@pytest.mark.parametrize("command", SHORT, ids=lambda command: command[0])
@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("nobody", "Cannot connect to host"),
        ("no host", "Cannot connect to host"),
        ("a page", "its answer is no JSON"),
        ("no TLS", "SSL"),
    ],
)
def test_what_is_no_exchange_is_an_outage(
    exchange: Exchange,
    page: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    why: str,
    command: list[str],
) -> None:
    """Nobody there, another server, no TLS: `check` says it and fails; `run` says it and waits, until its time is over."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    here = f"http://127.0.0.1:{exchange.port}"
    there = {
        "nobody": "http://127.0.0.1:1",
        "no host": "http://no.such.host.invalid",
        "a page": f"http://127.0.0.1:{page}",
        "no TLS": f"https://127.0.0.1:{exchange.port}",
    }
    status = attempt(command, tmp_path, configured(exchange).replace(here, there[what]))
    told = capsys.readouterr()

    assert (1 if command[0] == "check" else 0) == status
    assert "binance does not answer: " in told.err
    assert why in told.err
    assert ("It is asked again in" in told.err) == (command[0] == "run")
    assert [] == [path for path in tmp_path.iterdir() if "journal" in path.name]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_keys_that_others_may_read_are_refused(
    exchange: Exchange,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
) -> None:
    """A file of keys with mode 0644 is refused with the command that cures it, and nothing of it is shown."""
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    keys = tmp_path / "keys.toml"
    keys.write_text('key = "no-such-key"\nsecret = "no-such-secret"\n')
    keys.chmod(0o644)
    status = attempt(command, tmp_path, put("[exchange]", f'[exchange]\nkeys_file = "{keys}"')(configured(exchange)))
    told = capsys.readouterr()

    assert 2 == status
    assert f"has mode 0644. Run: chmod 600 {keys}" in told.err
    assert "no-such-" not in told.out + told.err


def test_a_halted_pair_and_keys_that_may_withdraw_are_told(
    exchange: Exchange, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither keeps a bot from starting, and both are said."""
    exchange.control("user", key="free", secret="secret", name="free", funds={"USDT": 500}, can_withdraw=True)
    monkeypatch.setenv("TRADEPIT_KEY", "free")
    monkeypatch.setenv("TRADEPIT_SECRET", "secret")
    exchange.control("pair", symbol="ETHUSDT", status="HALT")
    try:
        assert 0 == attempt(["check"], tmp_path, configured(exchange))
    finally:
        exchange.control("pair", symbol="ETHUSDT", status="TRADING")
    said = capsys.readouterr().out

    assert "WARNING: the keys may withdraw money" in said
    assert "ETH/USDT: halted on the exchange" in said
