"""Configuration: what is read, what is refused and in which words, and what is never shown."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config import (
    candle_settings,
    effective_protections,
    fingerprint,
    known_keys,
    make_settings,
    masked,
    parse_config,
    shown,
)
from engine.errors import ConfigError, Problem
from engine.protections import protections_from
from engine.settings import Config
from engine.strategy import CALLBACKS, SETTINGS, Strategy, StrategyFacts, facts_of


def read(text: str) -> Config:
    """The configuration of a TOML text."""
    return parse_config(tomllib.loads(text, parse_float=Decimal))


def problems(text: str) -> dict[str, Problem]:
    """The refusals of a TOML text, by key."""
    with pytest.raises(ConfigError) as caught:
        read(text)
    return {p.key: p for p in caught.value.problems}


def facts(callbacks: tuple[str, ...] = (), **settings: Any) -> StrategyFacts:
    """The facts of a strategy with these settings, the rest being defaults."""
    plain = facts_of(Strategy())
    return replace(plain, name="Mine", settings={**plain.settings, **settings}, callbacks=callbacks)


def strategy_problems(**settings: Any) -> dict[str, Problem]:
    """The refusals of a strategy's settings, by key."""
    with pytest.raises(ConfigError) as caught:
        make_settings(Config(), facts(**settings))
    return {p.key: p for p in caught.value.problems}


def test_an_empty_file_is_the_defaults() -> None:
    """Nothing must be written: every key has a default, and these pass their own rules."""
    assert Config() == read("")


def test_numbers_are_what_they_are_written_as() -> None:
    """A ratio with a binary neighbour is read as the decimal in the file."""
    config = read("[trading]\ntradable_balance_ratio = 0.1\n[paper]\nwallet = 1000")

    assert Decimal("0.1") == config.trading.tradable_balance_ratio
    assert Decimal(1000) == config.paper.wallet


def test_all_mistakes_are_said_at_once() -> None:
    """One run shows every mistake, in the file's order, each with key, value, reason and cure."""
    found = problems('mode = "real"\n[trading]\nleverage = 0\nmax_open_trades = 0\n[feed]\nspeed = "fast"')

    assert ["mode", "trading.leverage", "trading.max_open_trades", "feed.speed"] == list(found)
    assert all(p.value and p.why and p.cure for p in found.values())


@pytest.mark.parametrize(
    ("text", "key", "value", "why", "cure"),
    [
        ('mode = "real"', "mode", '"real"', '"paper" or "live"', '"paper"'),
        ("[trading]\nstake_ammount = 5", "trading.stake_ammount", "5", "nothing", "trading.stake_amount"),
        ("[strategy]\nmax_open_trades = 5", "strategy.max_open_trades", "5", "nothing", "[trading]"),
        ("dry_run = true", "dry_run", "true", "nothing", 'mode = "paper"'),
        ("[exchange]\npair_whitelist = []", "exchange.pair_whitelist", "[]", "nothing", "pairs"),
        ("stoploss = -0.1", "stoploss", "-0.1", "nothing", "[strategy.overrides]"),
        ("trading = 5", "trading", "5", "section", "[trading]"),
        ('[trading]\nmax_open_trades = "10"', "trading.max_open_trades", '"10"', "whole number", "10, without quotes"),
        ("[trading]\nmax_open_trades = 2.5", "trading.max_open_trades", "2.5", "whole number", "10"),
        ("[trading]\nmax_open_trades = true", "trading.max_open_trades", "true", "whole number", "10"),
        ('[risk]\nmax_drawdown = "5%"', "risk.max_drawdown", '"5%"', "a number", "0.05"),
        ('[entry_pricing]\nprice_side = "Same"', "entry_pricing.price_side", '"Same"', '"same"', '"same"?'),
        ("[entry_pricing]\norder_book_top = 0", "entry_pricing.order_book_top", "0", "from 1 to 50", "1"),
        ("[entry_pricing]\nuse_order_book = true", "entry_pricing.use_order_book", "true", "no book", '"other"'),
        ("[exit_pricing]\nprice_last_balance = 0.5", "exit_pricing.price_last_balance", "0.5", "the last", '"same"'),
        ("[exit_pricing]\nbids_to_ask_delta = 1", "exit_pricing.bids_to_ask_delta", "1", "nothing", "[entry_pricing]"),
        (
            "[entry_pricing.check_depth_of_market]\nenabled = true",
            "entry_pricing.check_depth_of_market",
            "",
            "nothing",
            "bids_to_ask_delta",
        ),
        (
            "custom_price_max_distance_ratio = 0.01",
            "custom_price_max_distance_ratio",
            "0.01",
            "nothing",
            "[trading]",
        ),
        ("[risk]\nmax_drawdown = 20", "risk.max_drawdown", "20", "at most 1", "0.2"),
        ("[risk]\nmax_drawdown = nan", "risk.max_drawdown", "NaN", "a number", "none"),
        ("[trading]\nleverage = inf", "trading.leverage", "Infinity", "a number", "1"),
        ('[trading]\nstake_amount = "100"', "trading.stake_amount", '"100"', "unlimited", "unlimited"),
        ('[trading]\nstake_amount = "150%"', "trading.stake_amount", '"150%"', "percentage", "unlimited"),
        ("[trading]\nstake_amount = -5", "trading.stake_amount", "-5", "above 0", "unlimited"),
        ('[trading]\nstake_currency = "usdt"', "trading.stake_currency", '"usdt"', "capitals", "USDT"),
        ('[trading]\npairs = "BTC/USDT"', "trading.pairs", '"BTC/USDT"', "a list", '["BTC/USDT"]'),
        ('[trading]\npairs = ["btc_usdt"]', "trading.pairs[0]", '"btc_usdt"', "BASE/QUOTE", "BTC/USDT"),
        ('[trading]\npairs = ["A/USDT", "A/USDT"]', "trading.pairs[1]", '"A/USDT"', "already", "Leave one"),
        ('[trading]\npairs = ["ETH/BTC"]', "trading.pairs", '"ETH/BTC"', "USDT", "/USDT"),
        ("[trading]\npairs = [5]", "trading.pairs[0]", "5", "BASE/QUOTE", "BTC/USDT"),
        ('[feed]\nsource = "files"', "feed.data", '""', "folder", "data ="),
        ('[feed]\nsource = "mraket"', "feed.source", '"mraket"', "market", '"market"?'),
        ('[feed]\nstart = "soon"', "feed.start", '"soon"', "ISO 8601", "2026"),
        ('[feed]\nstart = "2026-01-01"', "feed.start", '"2026-01-01"', "zone", "2026"),
        ("[paper]\nmaker_fee = 0.1", "paper.maker_fee", "0.1", "0.05", "0.001"),
        ('[paper]\nfills = "Book"', "paper.fills", '"Book"', "book", '"book"?'),
        ('[paper]\nfee_in_base = "yes"', "paper.fee_in_base", '"yes"', "true or false", "true, without quotes"),
        ("[history]\ndb = 5", "history.db", "5", "text", '"5", in quotes'),
        ('[history]\nmemory_limit = "lots"', "history.memory_limit", '"lots"', "size", "128MB"),
        ('[runtime]\nlog_level = "debug"', "runtime.log_level", '"debug"', "DEBUG", "DEBUG"),
        ("[runtime]\nwatchdog_s = 60", "runtime.watchdog_s", "60", "deadman_s", "10"),
        ("protections = 5", "protections", "5", "a list", "["),
        ("[exchange]\noptions = 5", "exchange.options", "5", "a table", "{"),
        ("[risk]\nmax_exposure = 5\nmax_exposure_per_pair = 6", "risk.max_exposure_per_pair", "6", "all", "Lower"),
        ("[strategy.overrides]\nstop_loss = -0.1", "strategy.overrides.stop_loss", "-0.1", "no strategy", "stoploss?"),
        ("[strategy.overrides]\nstoploss = 0.1", "strategy.overrides.stoploss", "0.1", "below 0", "-0.1"),
    ],
)  # fmt: skip
def test_each_mistake_says_what_would_do(text: str, key: str, value: str, why: str, cure: str) -> None:
    """A refusal names the key and the value, says what is wrong with it, and proposes what to write."""
    problem = problems(text)[key]

    assert value == problem.value
    assert why in problem.why
    assert cure in problem.cure


def test_unlimited_stakes_need_slots() -> None:
    """Slots without limit cannot share the balance; a percentage can."""
    assert "trading.stake_amount" in problems("[trading]\nmax_open_trades = -1")
    assert "5%" == read('[trading]\nmax_open_trades = -1\nstake_amount = "5%"').trading.stake_amount


def test_a_time_may_be_written_without_quotes() -> None:
    """TOML has times of its own; the feed's start may be one."""
    assert "2026-01-01T00:00:00+00:00" == read("[feed]\nstart = 2026-01-01T00:00:00Z").feed.start


def test_what_users_code_gets_has_floats() -> None:
    """Strategy parameters and ccxt options are read with the floats their code expects."""
    config = read("[strategy.parameters]\nfactor = 1.5\n[exchange.options]\ndeep = { rate = 0.5, list = [0.1] }")

    assert {"factor": 1.5} == config.strategy.parameters
    assert isinstance(config.strategy.parameters["factor"], float)
    assert {"deep": {"rate": 0.5, "list": [0.1]}} == config.exchange.options


def test_protections_are_checked() -> None:
    """Unknown methods and keys, two durations at once, and a drawdown without its limit are refused."""
    found = problems(
        """
        [[protections]]
        method = "CooldownPriod"
        [[protections]]
        method = "StoplossGuard"
        stop_duration = 5
        stop_duration_candles = 5
        trade_limit = 0
        limit = 1
        [[protections]]
        method = "MaxDrawdown"
        unlock_at = "7:30"
        """
    )

    assert "CooldownPeriod" in found["protections[0].method"].cure
    assert "stop_duration says it" in found["protections[1].stop_duration_candles"].why
    assert {"protections[1].trade_limit", "protections[1].limit", "protections[2].unlock_at"} <= set(found)
    assert "protections[2].max_allowed_drawdown" in found


def test_checked_protections_are_what_the_engine_takes() -> None:
    """The config's come first, then the strategy's own; the engine makes rules of them."""
    config = read('[[protections]]\nmethod = "MaxDrawdown"\nmax_allowed_drawdown = 0.2\nunlock_at = "07:30"')
    both = effective_protections(config, facts(protections=[{"method": "CooldownPeriod", "stop_duration": 5}]))
    first, second = protections_from(both, 60_000)

    assert ("MaxDrawdown", 450, Decimal("0.2")) == (first.method, first.unlock_at, first.max_allowed_drawdown)
    assert ("CooldownPeriod", 300_000) == (second.method, second.stop_ms)


# ---------------------------------------------------------------- secrets


def test_secrets_are_never_shown() -> None:
    """Values under telling keys, at any depth, and passwords inside addresses are masked."""
    config = read(
        """
        [exchange.options]
        apiKey = "SECRET1"
        proxies = { http = "http://user:SECRET2@host:80" }
        nested = { headers = { Authorization = "SECRET3" }, list = [{ private_key = "SECRET4" }] }
        rateLimit = 50
        """
    )
    text = str(masked(config))

    assert "SECRET" not in text
    assert "rateLimit" in text
    assert "host:80" in text
    assert fingerprint(config) != fingerprint(Config())


def test_a_secret_in_the_wrong_place_is_not_shown_either() -> None:
    """The refusal of a misplaced key does not repeat what it holds."""
    found = problems('[exchange]\nsecret = "HUSH1"\nkey = "HUSH2"\n[trading]\napi_key = "HUSH3"')

    assert "HUSH" not in "".join(str(p) for p in found.values())
    assert "***" == found["exchange.secret"].value


def test_long_values_are_shortened() -> None:
    """A refusal stays a line, whatever was pasted into the file."""
    assert 60 == len(shown("x", "y" * 1000))


# ---------------------------------------------------------------- strategy settings


def test_settings_are_those_of_the_strategy_under_the_config() -> None:
    """The config's overrides win over the strategy, the strategy over the defaults; numbers come out exact."""
    config = read(
        """
        [unfilledtimeout]
        entry = 30
        unit = "seconds"
        exit_closer = 5
        exit_market = 8
        [trading]
        leverage = 3
        [strategy.overrides]
        stoploss = -0.05
        timeframe = "1h"
        order_types = { stoploss_on_exchange = true, stoploss_on_exchange_interval = 15, stoploss_on_exchange_step = 0.002 }
        """
    )
    settings = make_settings(config, facts(stoploss=-0.2, minimal_roi={"60": 0.01, "0": 0.1, "120": -1}))

    assert Decimal("-0.05") == settings.stoploss
    assert ((0, Decimal("0.1")), (60, Decimal("0.01")), (120, Decimal(-1))) == settings.roi
    assert 3_600_000 == settings.timeframe_ms
    assert (30_000, 10_000) == (settings.entry_timeout_ms, settings.exit_timeout_ms)
    assert (5_000, 8_000) == (settings.exit_closer_ms, settings.exit_market_ms)
    assert Decimal("0.002") == settings.stop_step
    assert (True, 15_000, "limit") == (settings.stop_on_venue, settings.stop_interval_ms, settings.entry_type)
    assert Decimal(3) == settings.leverage


def test_only_switched_on_callbacks_are_asked() -> None:
    """A callback whose switch is off costs nothing, even where it is defined."""
    off = make_settings(Config(), facts(CALLBACKS))
    on = make_settings(Config(), facts(CALLBACKS, use_custom_stoploss=True, use_custom_roi=True))

    assert set(CALLBACKS) - {"custom_stoploss", "custom_roi"} == off.callbacks
    assert set(CALLBACKS) == on.callbacks


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"stoploss": 0}, "stoploss"),
        ({"stoploss": "x"}, "stoploss"),
        ({"stoploss": float("nan")}, "stoploss"),
        ({"stoploss": -2}, "stoploss"),
        ({"minimal_roi": {"x": 0.1}}, "minimal_roi.x"),
        ({"minimal_roi": {"0": "x"}}, "minimal_roi.0"),
        ({"minimal_roi": {"0": 0.1, 0: 0.2}}, "minimal_roi.0"),
        ({"minimal_roi": 5}, "minimal_roi"),
        ({"trailing_stop": 1}, "trailing_stop"),
        ({"trailing_stop_positive": 0.0}, "trailing_stop_positive"),
        ({"trailing_stop_positive_offset": -0.1}, "trailing_stop_positive_offset"),
        ({"trailing_stop": True, "trailing_only_offset_is_reached": True}, "trailing_only_offset_is_reached"),
        (
            {"trailing_stop": True, "trailing_stop_positive": 0.02, "trailing_stop_positive_offset": 0.01},
            "trailing_stop_positive_offset",
        ),
        ({"order_types": {"entry": "lmt"}}, "order_types.entry"),
        ({"order_types": {"buy": "limit"}}, "order_types.buy"),
        ({"order_types": {"stoploss_on_exchange": "yes"}}, "order_types.stoploss_on_exchange"),
        ({"order_types": []}, "order_types"),
        ({"order_time_in_force": {"entry": "gtc"}}, "order_time_in_force.entry"),
        ({"order_time_in_force": {"stop": "GTC"}}, "order_time_in_force.stop"),
        ({"max_entry_position_adjustment": -2}, "max_entry_position_adjustment"),
        ({"ignore_buying_expired_candle_after": -1}, "ignore_buying_expired_candle_after"),
        ({"exit_profit_offset": None}, "exit_profit_offset"),
        ({"protections": 5}, "protections"),
        ({"protections": [{"method": "x"}]}, "protections[0].method"),
    ],
)
def test_strategy_values_are_checked(settings: Mapping[str, Any], key: str) -> None:
    """Each value of a strategy that cannot be is refused, with the strategy's name and the setting's."""
    assert f"Mine.{key}" in strategy_problems(**settings)


def test_a_strategys_timeframe_is_checked() -> None:
    """A timeframe that is none is refused before anything starts."""
    with pytest.raises(ConfigError, match=r"Mine\.timeframe"):
        make_settings(Config(), replace(facts(), timeframe="5 minutes"))


def test_trailing_rules_count_only_when_the_stop_trails() -> None:
    """As in Freqtrade, unused trailing settings may be anything reasonable."""
    settings = make_settings(Config(), facts(trailing_only_offset_is_reached=True))

    assert settings.trailing_only_offset_is_reached


# ---------------------------------------------------------------- whatever is written


def said_by(read_it: Callable[[], object]) -> str:
    """What came of it: a refusal's text, or that it was taken; any other error is a failure of the test."""
    try:
        read_it()
    except ConfigError as error:
        return str(error)
    return "taken"


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals().filter(lambda d: not d.is_snan())
    | st.text(max_size=20)
    | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
_KEYS = st.sampled_from(sorted(known_keys())) | st.text(max_size=12)
_OVERRIDES = st.dictionaries(st.sampled_from([*SETTINGS, "timeframe", "startup_candles"]), _VALUES, max_size=4)


@settings(deadline=None)  # every unknown key is compared with all known ones: slow on a busy machine
@given(st.dictionaries(_KEYS, _VALUES, max_size=6))
def test_anything_is_read_or_refused(flat: dict[str, Any]) -> None:
    """Whatever a file says, the answer is a configuration or a list of problems, never another error."""
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        section, _, name = key.rpartition(".")
        target = nested.setdefault(section, {}) if section else nested
        if isinstance(target, dict):
            target[name] = value

    assert said_by(lambda: parse_config(nested))


@pytest.mark.parametrize(
    ("kind", "side", "refused"),
    [
        ("entry", "same", True),
        ("entry", "bid", True),
        ("entry", "ask", False),
        ("entry", "other", False),
        ("entry", "last", False),
        ("exit", "same", True),
        ("exit", "ask", True),
        ("exit", "bid", False),
        ("exit", "other", False),
    ],
)
def test_a_market_order_takes_the_other_side(kind: str, side: str, refused: bool) -> None:
    """Who prices market orders at another side than they take is told so; limit orders may have any."""
    config = read(f'[{kind}_pricing]\nprice_side = "{side}"')

    assert side == getattr(make_settings(config, facts()), f"{kind}_pricing").price_side
    if not refused:
        make_settings(config, facts(order_types={kind: "market"}))
        return
    with pytest.raises(ConfigError) as caught:
        make_settings(config, facts(order_types={kind: "market"}))
    (problem,) = caught.value.problems
    assert f"{kind}_pricing.price_side" == problem.key
    assert "takes the other side" in problem.why


def test_candles_have_no_book() -> None:
    """Over stored candles nothing is asked of a book, whatever is configured: equal candles, equal trades."""
    config = read('[entry_pricing]\nprice_side = "other"\nbids_to_ask_delta = 2\n[exit_pricing]\nprice_side = "same"')

    assert make_settings(Config(), facts()) == candle_settings(config, facts())


@given(_OVERRIDES)
def test_any_strategy_gives_settings_or_problems(settings: dict[str, Any]) -> None:
    """Whatever a user's class holds, the answer is settings or a list of problems."""
    plain = facts_of(Strategy())
    given_facts = replace(
        plain,
        timeframe=settings.pop("timeframe", plain.timeframe),
        startup_candles=settings.pop("startup_candles", 0),
        settings={**plain.settings, **settings},
    )

    assert said_by(lambda: make_settings(Config(), given_facts))


# ---------------------------------------------------------------- several accounts


def test_an_account_is_the_file_with_its_own_table_on_top() -> None:
    """Tables are merged key by key, lists and values replaced; what is shared is the whole's, and names are the accounts'."""
    config = read(
        'protections = [{method = "CooldownPeriod", stop_duration = 5}]\n[history]\ndb = "x.duckdb"\n'
        "[trading]\nmax_open_trades = 3\nstake_amount = 5\n[[accounts]]\nname = 'a'\n[accounts.trading]\nstake_amount = 7\n"
        "[[accounts]]\nname = 'b'\nprotections = []\n"
    )
    a, b = config.accounts

    assert ("a", "b", "") == (a.account, b.account, config.account)
    assert (3, 7) == (a.trading.max_open_trades, a.trading.stake_amount)
    assert (3, 5) == (b.trading.max_open_trades, b.trading.stake_amount)
    assert (1, 0) == (len(a.protections), len(b.protections))
    assert "x.duckdb" == config.history.db == a.history.db
    assert "account" not in masked(a)
    assert "accounts" not in masked(a)


@pytest.mark.parametrize(
    ("text", "key", "why"),
    [
        ("accounts = []", "accounts", "a table for each account"),
        ("accounts = 3", "accounts", "a table for each account"),
        ("[[accounts]]\n", "accounts[0].name", "needs a name"),
        ("[[accounts]]\nname = 'A b'", "accounts[0].name", "needs a name"),
        ("[[accounts]]\nname = 'a-b'\n[[accounts]]\nname = 'a_b'", "accounts[1].name", "only - and _ differ"),
        ("[[accounts]]\nname = 'a'\n[accounts.history]\ndb = 'x'", "accounts.a.history", "all accounts share it"),
        ("[[accounts]]\nname = 'a'\n[accounts.paper]\nwalet = 1", "accounts.a.paper.walet", "nothing has that name"),
        ("[[accounts]]\nname = 'a'\nacount = 1", "accounts.a.acount", "nothing has that name"),
        ("[[accounts]]\nname = 'a'\n[[accounts.accounts]]\nname = 'b'", "accounts.a.accounts", "none of its own"),
        ("[[accounts]]\nname = 'a'\npaper = 3", "accounts.a.paper", "it is a section"),
        ("[[accounts]]\nname = 'a'\naccount = 'b'", "accounts.a.account", "nothing has that name"),
        ("account = 'b'", "account", "nothing has that name"),
        ("paper = 3\n[[accounts]]\nname = 'a'", "paper", "it is a section"),
        ("[live]\nlargest_stake = 5\n[[accounts]]\nname = 'a'", "live.largest_stake", "confirms for itself"),
        ("[[accounts]]\nname = 'a'\nmode = 'live'", "accounts.a.exchange.name", "needs a real exchange"),
        (
            "[[accounts]]\nname = 'a'\nmode = 'live'\n[accounts.exchange]\nname = 'binance'",
            "accounts.a.live.exchange",
            "nothing here confirms that",
        ),
        ("[runtime]\nshutdown_s = 0\n[[accounts]]\nname = 'a'", "runtime.shutdown_s", "1 or more"),
    ],
)
def test_mistakes_name_the_account(text: str, key: str, why: str) -> None:
    """What is wrong with accounts is said of the account that it is in, and of the file's top where it stands there."""
    assert why in problems(text)[key].why


def test_a_mistake_at_the_top_is_said_once() -> None:
    """A wrong value that every account inherits is one mistake, not one an account."""
    found = problems("[trading]\nmax_open_trades = -2\n" + "".join(f"[[accounts]]\nname = '{n}'\n" for n in "abc"))

    assert ["trading.max_open_trades"] == list(found)
