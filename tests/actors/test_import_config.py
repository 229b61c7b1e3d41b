"""`import-freqtrade`: every key of Freqtrade's configuration becomes something, and no secret becomes anything."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.batch.freqtrade_config import plain_json, read_freqtrade_config
from actors.batch.freqtrade_keys import LACKING, NEEDLESS, SECRET, TAKEN, UNKNOWN, Converted, convert_config
from actors.cli import main
from actors.commands.parsing import BAD_INPUT, OK
from actors.config_file import read_config
from engine.config import parse_config
from engine.errors import TradepitError

D = Decimal
SECRETS = ("MYKEY", "MYSECRET", "MYPASS", "MYTOKEN", "MYJWT", "MYPROXY")

FULL = """{
    "$schema": "https://schema.example/schema.json",
    // slots "as they are"
    "max_open_trades": 3, /* "a": 1, */
    "stake_currency": "USDT", "stake_amount": "unlimited", "tradable_balance_ratio": 0.99,
    "dry_run": true, "dry_run_wallet": {"USDT": 1000.5, "BTC": 1}, "trading_mode": "spot", "fee": 0.00075,
    "unfilledtimeout": {"entry": 5, "exit": 20, "unit": "minutes"},
    "entry_pricing": {"price_side": "same", "url": "http://not//a comment"},
    "exchange": {
        "name": "binance", "key": "MYKEY", "secret": "MYSECRET", "password": "MYPASS",
        "ccxt_config": {"proxy": "http://me:MYPROXY@host:1", "apiKey": "MYKEY"}, "ccxt_async_config": {"timeout": 20000},
        "pair_whitelist": ["BTC/USDT", "ETH/BTC", "BNB/USDT", ".*UP/USDT", "ETH/USDT",],
        "pair_blacklist": ["BNB/.*"],
    },
    "pairlists": [{"method": "StaticPairList"}], "telegram": {"enabled": true, "token": "MYTOKEN"},
    "api_server": {"jwt_secret_key": "MYJWT"}, "internals": {"process_throttle_secs": 5},
    "minimal_roi": {"0": 0.04, "30": 0.02}, "stoploss": -0.1, "timeframe": "15m", "trailing_stop": null,
    "order_types": {"entry": "limit", "exit": "market", "stoploss": "market", "stoploss_price_type": "mark"},
    "protections": [{"method": "CooldownPeriod", "stop_duration_candles": 5}, {"method": "Astrology"}],
    "strategy": "MyStrategy", "available_capital": -5, "something_else": 1,
}"""


def converted(
    text: str | dict[str, Any], tmp_path: Path, find: Callable[[str], str] = lambda name: f"{name}.py:{name}"
) -> Converted:
    """A configuration's conversion."""
    path = tmp_path / "freqtrade.json"
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return convert_config(read_freqtrade_config(path), find)


def fate(done: Converted, key: str) -> tuple[str, str]:
    """What became of a key."""
    (found,) = [outcome for outcome in done.outcomes if outcome.key == key]
    return found.what, found.says


def test_prices_by_the_book_are_taken_over(tmp_path: Path) -> None:
    """Freqtrade's pricing means the same here; what it leaves out is its default, and a check that is off stays off."""
    text: dict[str, Any] = {
        "strategy": "S",
        "entry_pricing": {
            "price_side": "other",
            "use_order_book": True,
            "order_book_top": 3,
            "check_depth_of_market": {"enabled": True, "bids_to_ask_delta": 0.5},
        },
        "exit_pricing": {"price_last_balance": 0.25, "check_depth_of_market": {"enabled": False}},
        "custom_price_max_distance_ratio": 0.01,
    }
    done = converted(text, tmp_path)
    config = parse_config(done.config)
    entry, leave = config.entry_pricing, config.exit_pricing

    assert ("other", True, 3, D("0.5")) == (
        entry.price_side,
        entry.use_order_book,
        entry.order_book_top,
        entry.bids_to_ask_delta,
    )
    assert ("same", D("0.25")) == (leave.price_side, leave.price_last_balance)
    assert D("0.01") == config.trading.custom_price_max_distance_ratio
    assert (TAKEN, 'as exit_pricing.price_side = "same", Freqtrade\'s default') == fate(done, "exit_pricing.price_side")

    text["entry_pricing"]["check_depth_of_market"]["enabled"] = False
    off = converted(text, tmp_path)
    assert NEEDLESS == fate(off, "entry_pricing.check_depth_of_market")[0]
    assert parse_config(off.config).entry_pricing.bids_to_ask_delta is None


def test_what_means_the_same_is_taken_over(tmp_path: Path) -> None:
    """Values are under our names, exact to the digit, and our configuration takes them."""
    config = parse_config(converted(FULL, tmp_path).config)

    assert (3, "USDT", "unlimited") == (
        config.trading.max_open_trades,
        config.trading.stake_currency,
        config.trading.stake_amount,
    )
    assert (D("1000.5"), D("0.00075"), D("0.00075")) == (
        config.paper.wallet,
        config.paper.maker_fee,
        config.paper.taker_fee,
    )
    assert (5, 20) == (config.unfilledtimeout.entry, config.unfilledtimeout.exit)
    assert {"timeout": 20000} == config.exchange.options
    assert "MyStrategy.py:MyStrategy" == config.strategy.name
    assert {
        "minimal_roi": {"0": 0.04, "30": 0.02},
        "stoploss": -0.1,
        "timeframe": "15m",
        "order_types": {"entry": "limit", "exit": "market", "stoploss": "market"},
    } == config.strategy.overrides
    assert ({"method": "CooldownPeriod", "stop_duration_candles": 5},) == config.protections


def test_pairs_are_those_that_can_be_traded(tmp_path: Path) -> None:
    """Without the barred ones, those of another stake and the patterns; the last two are said."""
    done = converted(FULL, tmp_path)

    assert ["BTC/USDT", "ETH/USDT"] == done.config["trading"]["pairs"]
    assert LACKING == fate(done, "exchange.pair_whitelist (some)")[0]
    assert LACKING == fate(done, "exchange.pair_whitelist (patterns)")[0]


def test_no_pair_left_is_not_all_pairs(tmp_path: Path) -> None:
    """An empty list would trade everything the feed has: that is said, not done silently."""
    done = converted({"stake_currency": "USDT", "exchange": {"pair_whitelist": [".*/USDT"]}}, tmp_path)

    assert (LACKING, True) == (fate(done, "exchange.pair_whitelist")[0], "would trade all" in done.outcomes[1].says)


def test_every_key_has_one_fate(tmp_path: Path) -> None:
    """Each key of the file is told once, with one of five words."""
    done = converted(FULL, tmp_path)
    told = [outcome.key for outcome in done.outcomes]

    assert len(told) == len(set(told))
    assert {outcome.what for outcome in done.outcomes} == {TAKEN, NEEDLESS, SECRET, LACKING, UNKNOWN}
    assert {"max_open_trades", "$schema", "entry_pricing.url", "internals.process_throttle_secs"} <= set(told)
    assert (UNKNOWN, NEEDLESS) == (fate(done, "something_else")[0], fate(done, "trailing_stop")[0])
    assert "must be above 0" in fate(done, "available_capital")[1]


def test_no_secret_is_written_or_shown(tmp_path: Path) -> None:
    """Keys, tokens and a password inside an address are named with their variable, and are nowhere else."""
    done = converted(FULL, tmp_path)

    assert not [s for s in SECRETS if s in repr(done.config) or any(s in repr(o) for o in done.outcomes)]
    assert "TRADEPIT_EXCHANGE_KEY" in fate(done, "exchange.key")[1]
    assert [SECRET] * 4 == [
        fate(done, key)[0]
        for key in ("exchange.secret", "exchange.ccxt_config.proxy", "exchange.ccxt_config.apiKey", "telegram.token")
    ]


@pytest.mark.parametrize(
    ("key", "value", "ours"),
    [
        ("max_open_trades", -1, -1),
        ("max_open_trades", 0, -1),
        ("max_open_trades", D("4.0"), 4),
        ("max_open_trades", D("Infinity"), -1),
    ],
)
def test_slots_without_limit(key: str, value: object, ours: int) -> None:
    """Freqtrade has several ways to say that there is no limit."""
    assert ours == convert_config({key: value}, lambda _: "").config["trading"]["max_open_trades"]


@pytest.mark.parametrize(
    ("given", "key", "what", "says"),
    [
        ({"dry_run": False}, "dry_run", LACKING, 'write mode = "live"'),
        ({"exchange": {"name": "binance"}}, "exchange.name", TAKEN, "as exchange.name"),
        ({"exchange": {"name": "bitflyer"}}, "exchange.name", LACKING, "paper trades on the simulated exchange"),
        ({"dry_run_wallet": {"BTC": 1}, "stake_currency": "USDT"}, "dry_run_wallet", LACKING, "none of the stake"),
        ({"trading_mode": "futures"}, "trading_mode", TAKEN, "BASE/QUOTE:SETTLE"),
        ({"pairlists": [{"method": "VolumePairList"}]}, "pairlists", LACKING, "VolumePairList"),
        ({"strategy": "Gone"}, "strategy", LACKING, "no file with this class"),
        ({"stoploss": 0.5}, "stoploss", LACKING, "not taken as strategy.overrides.stoploss"),
        ({"ask_strategy": {}}, "ask_strategy", UNKNOWN, "no key of Freqtrade's"),
        ({}, "strategy", LACKING, "it is not in there"),
    ],
)
def test_what_is_not_the_same_says_why(given: dict[str, Any], key: str, what: str, says: str) -> None:
    """Each has its word, and a sentence for what to do."""
    found = fate(convert_config(given, lambda _: ""), key)

    assert what == found[0]
    assert says in found[1]


def test_another_strategy_is_never_taken_instead() -> None:
    """Where the class is nowhere, its name stays in the configuration, which `check` then refuses."""
    assert "Gone.py:Gone" == convert_config({"strategy": "Gone"}, lambda _: "").config["strategy"]["name"]


def test_files_that_are_added_go_below(tmp_path: Path) -> None:
    """A file's own keys win over those it adds, a later one over an earlier; tables merge, lists do not."""
    (tmp_path / "sub").mkdir()
    for name, said in {
        "a.json": {"max_open_trades": 1, "add_config_files": ["b.json", "sub/c.json"], "exchange": {"name": "a"}},
        "b.json": {"max_open_trades": 2, "stake_amount": 2, "exchange": {"name": "b", "key": "b", "list": [1]}},
        "sub/c.json": {"stake_amount": 3, "add_config_files": ["d.json"], "exchange": {"list": [3]}},
        "sub/d.json": {"stake_amount": 4, "fee": 4},
    }.items():
        (tmp_path / name).write_text(json.dumps(said))

    assert {
        "max_open_trades": 1,
        "stake_amount": 3,
        "fee": 4,
        "exchange": {"name": "a", "key": "b", "list": [3]},
    } == read_freqtrade_config(tmp_path / "a.json")


def test_comments_are_blanks_and_texts_are_not_comments() -> None:
    """What looks like a comment within quotes stays; lines and columns stay where they were."""
    text = '{"a": "x // y /* z */", // end\n "b": [1, 2, /* c */ ], }'

    assert {"a": "x // y /* z */", "b": [1, 2]} == json.loads(plain_json(text))
    assert [len(line) for line in text.splitlines()] == [len(line) for line in plain_json(text).splitlines()]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": 1,\n "b" 2}', r"line 2, column 6"),
        (b"[1]", "a table is expected, not list"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"add_config_files": ["freqtrade.json"]}', "round in a circle"),
        (b'{"add_config_files": ["nowhere.json"]}', r"nowhere\.json: there is no such file"),
        (b'{"add_config_files": "x"}', "must be a list of file names"),
    ],
)
def test_a_file_that_is_no_configuration_is_a_sentence(content: bytes, said: str, tmp_path: Path) -> None:
    """What is wrong and where, never a traceback."""
    path = tmp_path / "freqtrade.json"
    path.write_bytes(content)
    with pytest.raises(TradepitError, match=said):
        read_freqtrade_config(path)


def test_the_command_writes_what_check_accepts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The strategy's file is found, the TOML is read as it was meant, and everything is said; no file is replaced."""
    (tmp_path / "user_data" / "strategies").mkdir(parents=True)
    (tmp_path / "user_data" / "strategies" / "mine.py").write_text("class MyStrategy(IStrategy):\n    pass\n")
    source, target = tmp_path / "freqtrade.json", tmp_path / "ours.toml"
    source.write_text(FULL)
    arguments = ["import-freqtrade", str(source), "-o", str(target)]

    assert OK == main(arguments)
    config = read_config(target)
    said = capsys.readouterr().out
    assert str(tmp_path / "user_data" / "strategies" / "mine.py:MyStrategy") == config.strategy.name
    assert ("BTC/USDT", "ETH/USDT") == config.trading.pairs
    assert "not supported (" in said
    assert not [s for s in SECRETS if s in said or s in target.read_text()]
    assert BAD_INPUT == main(arguments)
    assert "exists; give another with -o" in capsys.readouterr().err
    assert BAD_INPUT == main(["import-freqtrade", str(tmp_path / "nowhere.json"), "-o", str(target)])
    assert "nowhere.json: there is no such file" in capsys.readouterr().err


def test_the_command_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A program reads each key with its fate."""
    source, target = tmp_path / "freqtrade.json", tmp_path / "ours.toml"
    source.write_text('{"max_open_trades": 2}')

    assert OK == main(["import-freqtrade", str(source), "-o", str(target), "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert {"key": "max_open_trades", "value": "2", "what": TAKEN, "says": "as trading.max_open_trades"} in answer[
        "keys"
    ]
    assert 2 == tomllib.loads(target.read_text())["trading"]["max_open_trades"]
